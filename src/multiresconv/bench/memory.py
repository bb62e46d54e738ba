"""Measures the extra memory that a call takes."""

from collections.abc import Callable
from pathlib import Path

import torch

# Linux: files to reset and read the peak memory of a process.
_RESET, _STATUS, _SYSTEM = Path("/proc/self/clear_refs"), Path("/proc/self/status"), Path("/proc/meminfo")


def peak_extra_memory(call: Callable[[], object], device: str = "cpu") -> int | None:
    """Return the peak bytes during `call` minus those before it; None if the system does not report them.

    On a CPU it counts resident memory (Linux only), on a GPU PyTorch's allocations. The process should do little else,
    and an earlier call should have loaded all libraries. Reuse of memory that was freed but not returned to the system
    does not count.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    if not _RESET.exists():
        call()
        return None
    _RESET.write_text("5")  # resets the peak
    before = _kilobytes(_STATUS, "VmRSS")
    call()
    return 1024 * (_kilobytes(_STATUS, "VmHWM") - before)


def available_memory(device: str = "cpu") -> int | None:
    """Return the free bytes; None if the system does not report them."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return 1024 * _kilobytes(_SYSTEM, "MemAvailable") if _SYSTEM.exists() else None


def _kilobytes(file: Path, field: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(field))
