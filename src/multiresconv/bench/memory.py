"""How much memory a call takes, beyond what is there before it."""

from collections.abc import Callable
from pathlib import Path

import torch

# Where Linux tells, and lets a process reset, its peak.
_RESET, _STATUS, _SYSTEM = Path("/proc/self/clear_refs"), Path("/proc/self/status"), Path("/proc/meminfo")


def peak_extra_memory(call: Callable[[], object], device: str = "cpu") -> int | None:
    """Peak bytes during `call` beyond those before it: resident memory (Linux), or what PyTorch has on the GPU.

    None where a system does not tell. Of use only in a process that does little else, and once an earlier call has
    loaded what libraries it takes. What was freed but not given back to the system is not seen when it is taken again.
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
    """Bytes that can still be taken; None where a system does not tell."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return 1024 * _kilobytes(_SYSTEM, "MemAvailable") if _SYSTEM.exists() else None


def _kilobytes(file: Path, field: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(field))
