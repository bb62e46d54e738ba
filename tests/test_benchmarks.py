"""The benchmarks can be run, and compare networks that compute the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from paths import ROOT
from seeded import python

from multiresconv import MultiresClassifier

BENCHMARKS = ROOT / "benchmarks"
SCRIPT = """
import runpy, sys
from pathlib import Path
script = sys.argv.pop(1)
sys.path.insert(0, str(Path(script).parent))
runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("bench_*.py")), ids=lambda path: path.stem)
def test_a_benchmark_starts(script: Path) -> None:
    done = subprocess.run(python(SCRIPT, script, "--help"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout


@pytest.mark.parametrize("options", [{"d_input": 3}, {"n_tokens": 7, "kernel_size": 4, "norm": "batch"}])
def test_the_plain_network_computes_the_same(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from plain_network import PlainClassifier  # pyright: ignore[reportMissingImports]

    model = MultiresClassifier(5, 8, 2, depth=4, **options)
    plain = PlainClassifier(model).double()
    x = torch.randint(7, (3, 20)) if "n_tokens" in options else torch.randn(3, 20, 3).double()
    torch.testing.assert_close(plain(x), model.double()(x))
    del sys.modules["plain_network"]
