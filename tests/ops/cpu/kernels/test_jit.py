"""How kernels are compiled: anew when any kernel file has changed, and not in silence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import multiresconv

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


def run(package: Path, patience: float = 600) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(package.parents[1] / "cache")}
    command = [sys.executable, "-c", NORMALISE, str(patience)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=environment)


def test_a_change_in_any_kernel_file_compiles_anew(copy: Path) -> None:
    """`normalise` is defined in batch_norm.py; elementary.py, which changes, is another file."""
    assert run(copy).stdout.split() == ["0", "1"]
    assert run(copy).stdout.split() == ["1", "0"]
    before = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    with (copy / "ops" / "cpu" / "kernels" / "elementary.py").open("a") as file:
        file.write("# another line\n")
    assert run(copy).stdout.split() == ["0", "1"]
    assert run(copy).stdout.split() == ["1", "0"]
    after = set((copy.parents[1] / "cache").rglob("*.nb[ic]"))
    assert len(after) == len(before)
    assert not after & before, "the machine code of before is still there"


def test_one_line_says_that_compiling_takes_long(copy: Path) -> None:
    assert run(copy, patience=0).stderr.count("multiresconv: compiling kernels") == 1  # two kernels, one line
    assert run(copy, patience=0).stderr == "", "they are loaded now"


def test_nothing_is_said_of_compiling_that_is_quick(copy: Path) -> None:
    assert run(copy).stderr == ""
