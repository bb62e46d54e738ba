"""Description of the machine that a measurement ran on."""

import os
import platform
from pathlib import Path

import torch


def describe_machine(device: str = "cpu") -> str:
    """Describe the processor, its cores, PyTorch's threads and version; with device "cuda" the GPU too."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    capability = torch.backends.cpu.get_cpu_capability()
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return (
        f"{gpu}{model} ({capability}), {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
