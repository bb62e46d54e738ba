"""What keeps the operator fast, held without a clock: what it saves, what it compiles, what memory it takes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from seeded import python
from torch import Tensor

from multiresconv import MultiresLayer, fading, multires_conv
from multiresconv.bench.setting import Setting
from multiresconv.bench.trial import try_out
from multiresconv.ops import Backend, default_depth, weight_size

pytestmark = pytest.mark.slow

# What bench_conv.py measures is 2.1 to 2.7: y, the gradient of x, and what a few rows take while they are worked on.
PEAK = 3.0


def arguments(batch: int, channels: int, length: int, kernel_size: int, last: bool) -> tuple[list[Tensor], list[int]]:
    """[x, h0, h1, w], all leaves or views of one, and the memory; x has its channels last in memory, or its steps."""
    memory = list(fading(default_depth(length, kernel_size)))
    shape = (batch, length, channels) if last else (batch, channels, length)
    x = torch.randn(shape, requires_grad=True)
    parameters = [torch.randn(channels, n, requires_grad=True) for n in (kernel_size, kernel_size, weight_size(memory))]
    return [x.transpose(1, 2) if last else x, *parameters], memory


def saved_for_backward(backend: Backend, tensors: list[Tensor], memory: list[int]) -> dict[int, int]:
    """Address -> bytes of what autograd keeps, a storage that is kept twice counted once."""
    saved: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = multires_conv(*tensors, memory, backend=backend)
    y.sum().backward()  # it is enough for it
    return saved


@examples(25)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    length=st.integers(2, 3000),
    kernel_size=st.sampled_from([2, 4]),
    last=st.booleans(),
)
def test_backward_keeps_x_and_the_parameters_only(
    batch: int, channels: int, length: int, kernel_size: int, last: bool
) -> None:
    tensors, memory = arguments(batch, channels, length, kernel_size, last)
    own = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    assert saved_for_backward("cpu", tensors, memory) == own
    assert sum(own.values()) == sum(t.nbytes for t in tensors)


def test_the_plain_loop_keeps_more_for_every_scale() -> None:
    """So the hooks see what there is to see."""
    tensors, memory = arguments(1, 2, 1024, 2, last=False)
    assert sum(saved_for_backward("reference", tensors, memory).values()) > len(memory) * tensors[0].nbytes


def kernels() -> dict[str, Any]:
    from multiresconv.ops.cpu.kernels import operator as cpu_kernels

    return {name: kernel for name, kernel in vars(cpu_kernels).items() if hasattr(kernel, "signatures")}


@pytest.mark.parametrize("last", [False, True])
def test_the_kernels_are_compiled_once_for_all_shapes(last: bool) -> None:
    def run(batch: int, channels: int, length: int) -> dict[str, int]:
        tensors, memory = arguments(batch, channels, length, 4, last)
        multires_conv(*tensors, memory, backend="cpu").sum().backward()
        return {name: len(kernel.signatures) for name, kernel in kernels().items()}

    after_one = run(1, 3, 50)
    assert sum(after_one.values()) > 0
    for shape in ((2, 3, 50), (1, 40, 50), (1, 3, 51), (3, 33, 5000), (1, 2, 2)):
        assert run(*shape) == after_one, shape


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_torch_compile_compiles_a_layer_no_more_than_twice(backend: Backend) -> None:
    """Once for the first length, once for all others."""
    compiled: list[Any] = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    layer = MultiresLayer(3, depth=5, backend=backend, dtype=torch.float64)
    fast = torch.compile(layer, backend=count, fullgraph=True)
    counts = []
    for batch, length in ((2, 64), (2, 100), (2, 77), (2, 1000)):
        x = torch.randn(batch, length, 3, dtype=torch.float64)
        torch.testing.assert_close(fast(x), layer(x), rtol=0, atol=1e-12)  # some hundred eps, on outputs of about 1
        counts.append(len(compiled))
    assert counts[0] == 1
    assert counts[1] <= 2
    assert set(counts[2:]) == {counts[1]}


PEAK_OF_A_STEP = """
import sys
import torch
from multiresconv import fading, multires_conv
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.ops import default_depth, weight_size

def step(channels, length, backend, last):
    memory = fading(default_depth(length, 4))
    x = torch.randn(1, length, channels).transpose(1, 2) if last else torch.randn(1, channels, length)
    tensors = [x, *(torch.randn(channels, n) for n in (4, 4, weight_size(memory)))]
    leaves, grad = [t.detach().requires_grad_() for t in tensors], torch.randn_like(x)
    run = lambda: torch.autograd.grad(multires_conv(*leaves, memory, backend=backend), leaves, grad)
    return run, x.nbytes

def peak(backend, last):
    step(4, 64, backend, last)[0]()  # loads libraries and kernels
    run, size = step(128, 1 << 15, backend, last)
    return peak_extra_memory(run) / size

torch.set_num_threads(1)
print(peak("cpu", False), peak("cpu", True), peak("reference", False))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
def test_peak_memory_of_a_step_is_of_a_few_tensors_like_x() -> None:
    returned = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # memory is given back before the next step
    command = python(PEAK_OF_A_STEP)
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=returned)
    *ours, reference = (float(peak) for peak in done.stdout.split())
    assert len(ours) == 2
    assert all(1.5 < peak <= PEAK for peak in ours)  # y and the gradient of x are two
    assert reference > 3 * PEAK  # so the measure sees what there is to see


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
def test_memory_that_is_used_again_is_seen_by_the_speed_table() -> None:
    """A block keeps four tensors like x and gives back two, although none of them is new in a second step."""
    length, width = 4096, 128
    peak = try_out("block", length, Setting(width), timeout=120)
    assert peak is not None
    assert 6 <= peak / (4 * length * width) < 16
