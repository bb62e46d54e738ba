"""Rows longer than the cache, worked on in tiles and phases: the same operator, in linear memory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import event, given
from hypothesis import strategies as st
from operator_cases import Arguments, arguments, memories, value_and_gradients
from profiles import examples
from seeded import python
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops import default_depth, receptive_field
from multiresconv.ops.cpu import operator as cpu
from multiresconv.ops.cpu.kernels import long_rows as long_kernels

law = examples(80)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Long begins early, so that small shapes have many tiles and phases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "LONG", 16)
        patch.setattr(long_kernels, "TILE", 64)
        patch.setattr(long_kernels, "PHASE", 8)
        yield


@st.composite
def long_arguments(draw: st.DrawFn, dtype: torch.dtype) -> Arguments:
    kernel_size = draw(st.sampled_from([2, 4, 5, 9]))
    length = draw(st.one_of(st.integers(17, 130), st.integers(131, 700)))
    deep = st.integers(1, 12).map(fading)  # beyond the length, too
    memory = draw(st.one_of(memories(kernel_size), deep))
    args = arguments(
        draw(st.integers(1, 2)), draw(st.sampled_from([1, 2, 5, 16, 19])), length, kernel_size, memory,
        dtype=dtype, channels_last=draw(st.booleans()), seed=draw(st.integers(0, 2**16)),
    )  # fmt: skip
    event(f"scales in tiles: {long_kernels.fine_scales(memory, kernel_size, length)[0]}")
    return args


def assert_same(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    for name, value in wanted.items():
        scale = max(float(value.abs().max()), 1e-30)
        torch.testing.assert_close(got[name].to(value.dtype), value, rtol=0, atol=tolerance * scale, msg=name)


@law
@given(long_arguments(torch.float64))
def test_equals_reference_in_float64(args: Arguments) -> None:
    assert_same(value_and_gradients(args, "cpu"), value_and_gradients(args, "reference"), 1e-12)


@law
@given(long_arguments(torch.float32))
def test_equals_reference_in_float32(args: Arguments) -> None:
    exact = value_and_gradients((*(t.double() for t in args[:4]), args[4]), "reference")
    assert_same(value_and_gradients(args, "cpu"), exact, 1e-5)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("memory", [fading(8), uniform(8, 4, 30), (1, 0, 3, 1, 2, 0, 1, 2), (9, 1, 1, 5)])
@pytest.mark.parametrize("length", [17, 64, 72, 73, 74, 79, 80, 81, 137, 138, 512, 513])
def test_at_the_edges_of_tiles_and_phases(length: int, memory: tuple[int, ...], channels_last: bool) -> None:
    args = arguments(2, 3, length, 4, memory, channels_last=channels_last)
    assert_same(value_and_gradients(args, "cpu"), value_and_gradients(args, "reference"), 1e-12)


@given(st.integers(2, 9), st.data(), st.integers(17, 5000))
def test_a_halo_is_what_the_scales_in_tiles_reach_back(kernel_size: int, data: st.DataObject, length: int) -> None:
    memory = data.draw(memories(kernel_size))
    fine, halo = long_kernels.fine_scales(memory, kernel_size, length)
    assert fine < len(memory)
    assert halo <= long_kernels.TILE // 4
    reaches = [0] + [
        receptive_field(j, kernel_size) - 1 + max(memory[-j] - 1, 0) * 2**j for j in range(1, fine + 1)
    ]  # fmt: skip
    assert halo == max(reaches)


def test_long_rows_take_the_way_through_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the laws above are of the kernels that they are meant for."""
    ran: list[str] = []

    def watched(kernel, units, work, args) -> None:
        ran.append(kernel.__name__)
        kernel(*args, 0, units)

    monkeypatch.setattr(cpu, "parallel", watched)
    for length, depth in ((500, 6), (16, 6), (500, 1)):  # the last has no scale to part with
        for channels_last in (False, True):
            value_and_gradients(arguments(1, 3, length, 2, fading(depth), channels_last=channels_last), "cpu")
    assert ran[:4] == ["forward_long", "backward_long"] * 2
    assert ran[4:] == ["forward", "backward", "forward_channels_last", "backward_channels_last"] * 2


@pytest.mark.parametrize(("kernel_size", "channels_last"), [(2, False), (4, True)])
def test_rows_as_long_as_they_come(kernel_size: int, channels_last: bool) -> None:
    """With the sizes of tiles that users have, against the kernels of whole rows."""
    length = (1 << 17) + 4321
    memory = fading(default_depth(length, kernel_size))
    args = arguments(1, 2, length, kernel_size, memory, channels_last=channels_last)
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("TILE", 1 << 13), ("PHASE", 1 << 13)):
            patch.setattr(long_kernels, name, size)
        assert long_kernels.fine_scales(memory, kernel_size, length)[0] > 3
        in_parts = value_and_gradients(args, "cpu")
        patch.setattr(cpu, "LONG", length)
        assert_same(in_parts, value_and_gradients(args, "cpu"), 1e-12)


@pytest.mark.parametrize("channels_last", [False, True])
def test_same_bits_for_any_number_of_threads(channels_last: bool) -> None:
    args = arguments(3, 40, 700, 4, fading(8), dtype=torch.float32, channels_last=channels_last)
    before, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(value_and_gradients(args, "cpu"))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(value, other[name]) for name, value in results[0].items())


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_not_finite_spreads_as_in_the_reference(poison: float) -> None:
    for memory in (fading(6), (1, 0, 3, 0, 2, 1)):
        args = arguments(1, 2, 300, 4, memory)
        args[0][0, :, 97] = poison
        y, wanted = multires_conv(*args, backend="cpu"), multires_conv(*args, backend="reference")
        assert torch.equal(y.isfinite(), wanted.isfinite())
        assert not y.isfinite().all()


@pytest.mark.parametrize(("channels", "channels_last"), [(5, False), (5, True), (1, False)])
def test_opcheck(channels: int, channels_last: bool) -> None:
    *tensors, memory = arguments(2, channels, 90, 4, (1, 2, 0, 1), channels_last=channels_last)
    tensors = [t.requires_grad_() for t in tensors]
    torch.library.opcheck(torch.ops.multiresconv.cpu_forward.default, (*tensors, list(memory)))


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_kernels_are_compiled_once_for_all_shapes(channels_last: bool) -> None:
    def run(*shape: int) -> list[int]:
        args = arguments(*shape, 4, fading(6), dtype=torch.float32, channels_last=channels_last)
        value_and_gradients(args, "cpu")
        return [len(kernel.signatures) for kernel in (long_kernels.forward_long, long_kernels.backward_long)]

    after_one = run(1, 3, 500)
    for shape in ((2, 3, 500), (1, 40, 501), (3, 2, 5000), (1, 2, 65)):
        assert run(*shape) == after_one, shape


PEAK_OF_A_STEP = """
import sys
import torch
from multiresconv import fading, multires_conv
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.ops import default_depth, weight_size
from multiresconv.ops.cpu import operator as cpu

def step(length, last):
    memory = fading(default_depth(length, 4))
    x = torch.randn(1, length, 16).transpose(1, 2) if last else torch.randn(1, 16, length)
    tensors = [x, *(torch.randn(16, n) for n in (4, 4, weight_size(memory)))]
    leaves, grad = [t.detach().requires_grad_() for t in tensors], torch.randn_like(x)
    run = lambda: torch.autograd.grad(multires_conv(*leaves, memory, backend="cpu"), leaves, grad)
    return run, x.nbytes

def peak(length, last):
    run, size = step(length, last)
    return peak_extra_memory(run) / size

torch.set_num_threads(1)
last, peaks = sys.argv[1] == "True", []
for argument in sys.argv[2:]:
    length, cpu.LONG = map(int, argument.split(","))
    step(max(cpu.LONG + 1, 1 << 15) if cpu.LONG < length else 64, last)[0]()  # loads libraries and kernels
    peaks.append(peak(length, last))
print(*peaks)
"""


def peaks_of_steps(channels_last: bool, *cases: tuple[int, int]) -> list[float]:
    """Peaks for (length, LONG), in tensors of the size of x (1, 16, length); y and the gradient of x are two."""
    command = python(PEAK_OF_A_STEP, channels_last, *(f"{length},{long}" for length, long in cases))
    returned = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # memory is given back before the next case
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=returned)
    return [float(peak) for peak in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
@pytest.mark.parametrize("channels_last", [False, True])
def test_peak_memory_is_linear_in_the_length(channels_last: bool) -> None:
    """A few rows beside y and the gradient of x; as many as are worked on together where channels are side by side."""
    most, short, long = 3.3 if channels_last else 2.5, 1 << 18, 1 << 19
    *in_tiles, whole = peaks_of_steps(channels_last, (short, 1 << 14), (long, 1 << 14), (short, short))
    assert len(in_tiles) == 2
    assert all(1.5 < peak <= most for peak in in_tiles)
    assert whole > most  # so the measure sees what there is to see
