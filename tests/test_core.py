"""The core installs small: it imports, trains and saves without any extra, and importing it costs next to nothing."""

import subprocess
import tomllib
from pathlib import Path

import pytest
from paths import ROOT
from seeded import python

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

WITHOUT_EXTRAS = """
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocked())
import torch
from multiresconv import MultiresClassifier, load, save
model = MultiresClassifier(3, d_model=8, n_layers=2, d_input=2, wavelet="db2", max_length=50, norm="batch")
model(torch.randn(4, 50, 2), torch.tensor([50, 3, 20, 1])).sum().backward()
assert all(parameter.grad is not None for parameter in model.parameters())
state = model.eval().init_state(1)
assert model.step(torch.randn(1, 2), state)[0].shape == (1, 3)
save(model, {folder!r})
assert torch.equal(load({folder!r}).head.weight, model.head.weight)
"""

FRESH_IMPORT = """
import sys
import torch
before = set(sys.modules)
from multiresconv import *
new = {name.partition(".")[0] for name in set(sys.modules) - before}
heavy = {"numba", "llvmlite", "pywt", "lightning", "matplotlib", "scipy", "sklearn", "pandas", "jsonargparse", "sympy"}
assert not new & heavy, new
assert not any(name.startswith("torch._dynamo") for name in set(sys.modules) - before)
"""


def test_works_with_every_extra_blocked(tmp_path: Path) -> None:
    named = [
        requirement
        for extra in ("train", "ecg", "signals", "dev")
        for requirement in PROJECT["optional-dependencies"][extra]
    ]
    imports = {
        "pyyaml": "yaml",
        "import-linter": "importlinter",
        "pytest-xdist": "xdist",
        "pytest-randomly": "pytest_randomly",
        "pillow": "PIL",
        "scikit-learn": "sklearn",
    }
    distributions = [requirement.split(">")[0].split("<")[0].split("[")[0] for requirement in named]
    blocked = {imports.get(name, name) for name in distributions} - {"multiresconv"}
    assert {
        "lightning",
        "jsonargparse",
        "yaml",
        "scipy",
        "tqdm",
        "matplotlib",
        "PIL",
        "sklearn",
        "wfdb",
        "pooch",
    } <= blocked
    code = WITHOUT_EXTRAS.format(blocked=blocked, folder=str(tmp_path / "model"))
    subprocess.run(python(code), check=True, timeout=120)


def test_the_import_brings_in_nothing_heavy_and_compiles_nothing() -> None:
    subprocess.run(python(FRESH_IMPORT), check=True, timeout=120)


def test_the_core_needs_what_the_design_says() -> None:
    names = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"torch", "numpy", "numba", "PyWavelets", "safetensors"}
