"""What the launches of forward and backward passes compile to, for a GPU that need not be there.

    python tests/ops/triton/compiled.py "[[90, 64, 256, 1024, 2, 10, false]]"

For each pass: capability, batch, channels, length, K, depth, channels last -> JSON, one entry for each launch.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from multiresconv import fading
from multiresconv.ops.triton import backend as triton_backend
from multiresconv.ops.triton import kernels as triton_kernels
from multiresconv.ops.triton import scales as triton_scales

POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}


class Recorder:
    """Stands in for a kernel: compiles what it is launched with."""

    def __init__(self, kernel: triton.JITFunction, capability: int) -> None:
        self.kernel, self.capability = kernel, capability
        self.compiled: list[dict] = []

    def __getitem__(self, grid: tuple[int, ...]):
        return self.launch

    def launch(self, *args: object, num_warps: int = 4, **options: object) -> None:
        given = dict(zip(self.kernel.arg_names, args, strict=False)) | options
        constants = {n: v for n, v in given.items() if v is None or isinstance(v, bool | tuple) or n.isupper()}
        constants |= {n: v for n, v in given.items() if not isinstance(v, torch.Tensor) and v == 1}
        signature, hints = {}, {}
        for index, name in enumerate(self.kernel.arg_names):
            value = given[name]
            if name in constants:
                signature[name] = "constexpr"
                continue
            signature[name] = POINTERS[value.dtype] if isinstance(value, torch.Tensor) else "i32"
            if isinstance(value, torch.Tensor) or value % 16 == 0:
                hints[(index,)] = [["tt.divisibility", 16]]
        source = ASTSource(self.kernel, signature, constants, hints)
        compiled = triton.compile(
            source, target=GPUTarget("cuda", self.capability, 32), options={"num_warps": num_warps}
        )
        said = assemble(compiled.asm["ptx"])
        self.compiled.append(
            {
                "kernel": self.kernel.__name__,
                "num_warps": num_warps,
                "shared": compiled.metadata.shared,
                "registers": int(re.findall(r"Used (\d+) registers", said)[-1]),
                "spilled": int(re.findall(r"(\d+) bytes spill stores", said)[-1]),
            }
        )


def assemble(ptx: str) -> str:
    """What the assembler says of the kernel."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    target = re.findall(r"\.target (\w+)", ptx)[0]
    command = [str(tool), "-v", f"-arch={target}", "-o", "/dev/null", "-"]
    return subprocess.run(command, input=ptx, check=True, capture_output=True, text=True).stderr


def launches(
    capability: int, batch: int, channels: int, length: int, taps: int, depth: int, channels_last: bool
) -> list[dict]:
    x = torch.empty(batch, length, channels, device="meta", dtype=torch.bfloat16).transpose(1, 2)
    x = x if channels_last else x.contiguous()
    h = torch.empty(channels, taps, device="meta", dtype=x.dtype)
    w = torch.empty(channels, depth + 2, device="meta", dtype=x.dtype)
    kernels = (
        triton_kernels.forward, triton_kernels.backward, triton_scales.filter_scale, triton_scales.filter_scale_taps
    )  # fmt: skip
    recorders = {kernel: Recorder(kernel, capability) for kernel in kernels}
    with (
        mock.patch.object(triton_backend, "launchable", recorders.__getitem__),
        mock.patch.object(triton_scales, "launchable", recorders.__getitem__),
    ):
        triton_backend.forward(x, h, h, w, fading(depth))
        triton_backend.backward(x, x, h, h, w, fading(depth))
    return [compiled for recorder in recorders.values() for compiled in recorder.compiled]


if __name__ == "__main__":
    print(json.dumps([launches(*case) for case in json.loads(sys.argv[1])], indent=1))
