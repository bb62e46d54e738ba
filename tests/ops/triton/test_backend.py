"""The Triton backend: its laws in Triton's interpreter, what its kernels compile to, and that it is loaded on use only.

The interpreter is chosen when Triton is imported, for good: so the laws (`laws.py`) run in a process of their
own, and so does the compiler, in which no interpreter was chosen.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from seeded import python, python_module

pytestmark = pytest.mark.slow

pytest.importorskip("triton")

HERE = Path(__file__).parent


def run(command: list[str], cache: Path, **environment: str) -> str:
    """Return what the command prints; Triton is imported anew in its process."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        command,
        env={**inherited, "TRITON_CACHE_DIR": str(cache), **environment},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_laws_hold_in_the_interpreter(tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    profile = ["--hypothesis-profile", settings.get_current_profile_name()]
    command = python_module("pytest", *options, *profile, "laws.py")
    passed = run(command, tmp_path, TRITON_INTERPRET="1").splitlines()[-1]
    assert "passed" in passed
    assert "skipped" not in passed


NOT_IMPORTED = """
import sys
import torch
before = set(sys.modules)
import multiresconv
x, taps, w = torch.randn(1, 2, 9, requires_grad=True), torch.randn(2, 2), torch.randn(2, 4)
multiresconv.multires_conv(x, taps, taps, w, (1, 1)).sum().backward()
assert not any(name.partition(".")[0] == "triton" for name in set(sys.modules) - before)
"""


def test_the_import_and_other_backends_leave_triton_alone(tmp_path: Path) -> None:
    run(python(NOT_IMPORTED), tmp_path)


REFUSED = """
import sys
import torch
from multiresconv import multires_conv
{block}
x, taps, w = torch.randn(1, 2, 9), torch.randn(2, 2), torch.randn(2, 4)
try:
    multires_conv(x, taps, taps, w, (1, 1), backend="triton")
except {error} as refusal:
    print(refusal)
"""


def test_a_cpu_is_refused_outside_the_interpreter(tmp_path: Path) -> None:
    said = run(python(REFUSED.format(block="", error="RuntimeError")), tmp_path)
    assert "'triton' needs tensors on a CUDA device, x is on cpu; use 'auto' or 'reference'" in said


@pytest.mark.parametrize("block", ["sys.modules['triton'] = None", "import triton; triton.__version__ = '3.3.1'"])
def test_a_missing_or_old_triton_is_named(block: str, tmp_path: Path) -> None:
    said = run(python(REFUSED.format(block=block, error="ImportError")), tmp_path)
    assert "'triton' needs Triton 3.4 or newer" in said
    assert len(said.splitlines()) == 1


def ptxas() -> Path:
    import triton

    return Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"


# compute capability, batch, channels, length, K, depth, channels last: the most that a thread may spill, in bytes
COMPILED = {
    "sCIFAR": ((90, 64, 256, 1024, 2, 10, True), 64),
    "short, on Ampere": ((80, 8, 16, 100, 4, 5, False), 0),
    "scale by scale": ((90, 2, 24, 3000, 40, 2, True), 0),
}


@pytest.mark.skipif(not ptxas().exists(), reason="no assembler for GPUs in this Triton")
def test_compiles_within_the_limits_of_a_multiprocessor(tmp_path: Path) -> None:
    said = run(python_module("compiled", json.dumps([case for case, _ in COMPILED.values()])), tmp_path)
    for (name, (_, most)), kernels in zip(COMPILED.items(), json.loads(said), strict=True):
        names = {kernel["kernel"] for kernel in kernels}
        assert names == ({"filter_scale", "filter_scale_taps"} if name == "scale by scale" else {"forward", "backward"})
        for kernel in kernels:
            assert kernel["spilled"] <= most, (name, kernel)
            assert kernel["shared"] <= 227 * 1024, (name, kernel)
            assert kernel["registers"] * 32 * kernel["num_warps"] <= 65536, (name, kernel)
