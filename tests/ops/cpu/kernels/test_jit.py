"""How kernels are compiled: anew when any kernel file has changed, not in silence, and to the same bits everywhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from seeded import python

import multiresconv

pytestmark = pytest.mark.slow

NORMALISE = """
import sys
import numpy as np
from multiresconv.ops.cpu.kernels import jit
jit.PATIENCE = float(sys.argv[1])
from multiresconv.ops.cpu.kernels.batch_norm import moments, normalise
x, lengths, one = np.ones((1, 2, 3)), np.array([3]), np.ones(2)
normalise(x, lengths, one, one, one, np.empty_like(x), 0, 2)
moments(x, lengths, np.empty((1, 2, 2)), 0, 2)
print(sum(normalise.stats.cache_hits.values()), sum(normalise.stats.cache_misses.values()))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, with no kernel compiled yet."""
    package = tmp_path / "src" / "multiresconv"
    shutil.copytree(Path(multiresconv.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


TRAIN = """
import sys
import torch
from numba.core import event
from multiresconv import MultiresClassifier
from multiresconv.ops.cpu.kernels import block, conv_gelu

class Compiled(event.Listener):
    def on_start(self, event): pass
    def on_end(self, event): names.append(event.data["dispatcher"].py_func.__name__)

names = []
event.register("numba:compile", Compiled())
torch.set_num_threads(1)
torch.manual_seed(0)
model = MultiresClassifier(10, 32, 2, d_input=3, max_length=300)
optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
for step in range(5):
    x, y = torch.randn(8, 300, 3), torch.randint(0, 10, (8,))
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item().hex(), *(p.grad.double().sum().item().hex() for p in model.parameters()))
print(*names, file=sys.stderr)
if names:
    for kernel in (conv_gelu.conv_gelu, conv_gelu.conv_gelu_backward, block.residual_norm_backward):
        for code in kernel.inspect_llvm().values():
            assert "define linkonce_odr" in code, "the check below sees nothing"
            assert not [line for line in code.splitlines() if "define linkonce_odr" in line and "multiresconv" in line]
"""


def train(cache: Path) -> tuple[str, list[str]]:
    """Loss and sums of gradients of each step, bit for bit, and the names of the functions that were compiled."""
    done = subprocess.run(
        python(TRAIN), check=True, capture_output=True, text=True, timeout=300,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
    )  # fmt: skip
    return done.stdout, done.stderr.splitlines()[-1].split()


def test_the_process_that_compiles_rounds_as_later_ones_do(tmp_path: Path) -> None:
    compiling, names = train(tmp_path)
    assert {"conv_gelu", "conv_gelu_backward", "residual_norm", "residual_norm_backward"} <= set(names)
    assert not {"_add_taps", "_add_taps_backward"} & set(names), "code for taps and coefficients that are not there"
    loading, names = train(tmp_path)
    assert not names
    assert loading == compiling


CALLBACK = """
import sys
from multiresconv.ops.cpu.kernels import jit
jit.PATIENCE = float(sys.argv[1])
from multiresconv.ops.cpu.kernels import probe
assert probe.ADDRESS
"""


def run(package: Path, patience: float = 600, program: str = NORMALISE) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(package.parents[1] / "cache")}
    command = python(program, patience)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=environment)


def test_a_change_in_any_kernel_file_compiles_anew_and_one_line_says_so_if_it_takes_long(copy: Path) -> None:
    """`normalise` is defined in batch_norm.py; elementary.py, which changes, is another file."""
    first, second = run(copy, patience=0), run(copy, patience=0)
    assert first.stdout.split() == ["0", "1"]
    assert first.stderr.count("multiresconv: compiling kernels") == 1  # two kernels, one line
    assert second.stdout.split() == ["1", "0"]
    assert second.stderr == "", "they are loaded now"
    before = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    with (copy / "ops" / "cpu" / "kernels" / "elementary.py").open("a") as file:
        file.write("# another line\n")
    third = run(copy)
    assert third.stdout.split() == ["0", "1"]
    assert third.stderr == "", "nothing is said of compiling that is quick"
    assert run(copy).stdout.split() == ["1", "0"]
    after = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    assert len(after) == len(before)
    assert not after & before, "the machine code of before is still there"


def test_functions_for_native_threads_are_treated_alike(copy: Path) -> None:
    file = copy / "ops" / "cpu" / "kernels" / "probe.py"
    file.write_text("from .jit import callback\ndef probe(call): pass\nADDRESS = callback(probe)\n")
    assert run(copy, 0, CALLBACK).stderr.count("multiresconv: compiling kernels") == 1
    before = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    file.write_text(file.read_text() + "# another line\n")
    assert run(copy, 600, CALLBACK).stderr == ""
    after = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    assert len(after) == len(before) == 2
    assert not after & before, "the machine code of before is still there"
