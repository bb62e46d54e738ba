"""`multiresconv doctor`."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from multiresconv.installation import distributions, extras, how_to_install, missing

ROUNDING = 1e-5  # about 80 eps of float32, for sums of a dozen products of about 1


def doctor() -> int:
    """Say what is installed, what is missing and how to get it, and whether the kernels compute what they should.

    Returns:
        The exit code: 1 if a library of the core is missing or the kernels are wrong, else 0.
    """
    right = False
    print(f"multiresconv {version('multiresconv')}, Python {platform.python_version()}, {platform.platform()}")
    absent = [name for name in distributions(None) if _version(name) is None]
    print(", ".join(f"{name} {_version(name) or 'missing'}" for name in distributions(None)))
    if absent:
        print(f"nothing works without {', '.join(absent)}: pip install {' '.join(absent)}")
    else:
        error = _largest_error()
        right = error <= ROUNDING
        print(f"kernels: {_kernels()}")
        print(f"a layer {'agrees' if right else 'DISAGREES'} with the reference: largest difference {error:.1e}")
        print(f"GPU: {_gpu()}")
    for extra in extras():
        lacking = missing(extra)
        print(
            f"extra {extra}: " + (f"missing {', '.join(lacking)}; {how_to_install(extra)}" if lacking else "complete")
        )
    for line in _hub():
        print(line)
    return int(not right)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _largest_error() -> float:
    """Compute a small layer with the CPU kernels, compiling them if need be, and with the reference."""
    import torch

    from multiresconv import MultiresLayer

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = MultiresLayer(4, kernel_size=4, depth=3, backend="cpu")
        reference = MultiresLayer(4, kernel_size=4, depth=3, backend="reference")
        reference.load_state_dict(layer.state_dict())
        x = torch.randn(2, 50, 4)
        return float((layer(x) - reference(x)).abs().max())


def _kernels() -> str:
    """Return the number of threads, and where the machine code is kept."""
    import torch

    from multiresconv.ops.cpu.kernels import operator

    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    dispatchers: list[Any] = [value for value in vars(operator).values() if hasattr(value, "stats")]
    folder = next((of.stats.cache_path for of in dispatchers if of.stats.cache_path), None)
    if folder is None:
        return f"{threads}; no folder for their machine code, compiled anew in every process: set NUMBA_CACHE_DIR"
    files = list(Path(folder).glob("*.nb[ic]"))
    return f"{threads}; machine code in {folder}, {_size(files)}"


def _gpu() -> str:
    import torch

    triton = _version("triton")
    kernels = f"triton {triton}" if triton else "triton is missing: pip install triton (Linux)"
    if not torch.cuda.is_available():
        return f"none that torch can use; {kernels}"
    return f"{', '.join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))}; {kernels}"


def _hub() -> Iterator[str]:
    """Yield the endpoint of the hub and the folder of its models."""
    if _version("huggingface_hub") is None:
        return
    from huggingface_hub import constants

    mode = "offline, HF_HUB_OFFLINE is set" if constants.is_offline_mode() else "online when it is asked"
    yield f"hub: {constants.ENDPOINT}, {mode}"
    folder = Path(constants.HF_HUB_CACHE)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    yield f"models of the hub in {folder}, {_size(files)}"


def _size(files: list[Path]) -> str:
    return f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
