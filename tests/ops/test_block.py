"""The block as one operator: what its contract says, in both directions, by plain PyTorch."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor

from multiresconv import multires_conv
from multiresconv.ops import weight_size
from multiresconv.ops.block import BlockParameters, multires_block
from multiresconv.ops.cpu import threads as threads_of


class Case(NamedTuple):
    x: Tensor
    parameters: BlockParameters
    scales: tuple[Tensor, Tensor]
    lengths: Tensor | None


def turned(x: Tensor, lengths: list[int]) -> Tensor:
    """x (B, L, D), the valid steps of each element in the opposite order, followed by zeros."""
    longest = x.shape[1]
    return torch.stack([F.pad(t[:n].flip(0), (0, 0, 0, longest - n)) for t, n in zip(x, lengths, strict=True)])


def reference(case: Case) -> Tensor:
    x, (conv, memory, mix, reverse, projection, norm, eps), (s_1, s_2), lengths = case
    steps = [x.shape[1]] * len(x) if lengths is None else lengths.tolist()

    def convolved(x: Tensor, taps: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return multires_conv(x.transpose(1, 2), *taps, memory, backend="reference").transpose(1, 2)

    y = convolved(x, conv)
    if reverse is not None:
        y = y + turned(convolved(turned(x, steps), reverse), steps)
    y = F.glu(F.linear(F.gelu(y) * s_1[:, None], *mix)) * s_2[:, None]
    y = x + (y if projection is None else F.linear(y, *projection))
    y = y if norm is None else F.layer_norm(y, (x.shape[2],), *norm, eps)
    valid = torch.arange(x.shape[1]) < torch.tensor(steps)[:, None]
    return y.where(valid[..., None], 0)


@st.composite
def cases(draw: st.DrawFn, reverse: bool | None = None) -> Case:
    batch, length, width = draw(st.integers(1, 20)), draw(st.integers(1, 200)), draw(st.integers(1, 9))
    kernel_size = draw(st.sampled_from([2, 4, 5]))
    fading = st.integers(1, 8).map(lambda depth: (1,) * depth)
    memory = draw(fading | st.lists(st.sampled_from([1, 1, 0, 2, 5]), min_size=1, max_size=6).map(tuple))
    torch.manual_seed(draw(st.integers(0, 1000)))

    def tensors(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes)

    taps = (width, kernel_size), (width, kernel_size), (width, weight_size(memory))
    parameters = BlockParameters(
        tensors(*taps),
        memory,
        tensors((2 * width, width), (2 * width,)),
        reverse=tensors(*taps) if (draw(st.booleans()) if reverse is None else reverse) else None,
        projection=tensors((width, width), (width,)) if draw(st.booleans()) else None,
        norm=tensors((width,), (width,)) if draw(st.booleans()) else None,
        eps=1e-3,  # with fewer channels than three, the norm is that of almost nothing
    )
    lengths = draw(st.none() | st.lists(st.integers(1, length), min_size=batch, max_size=batch))
    return Case(
        torch.randn(batch, length, width, dtype=torch.float64).requires_grad_(),
        parameters,
        (torch.rand(batch, width, dtype=torch.float64), torch.rand(batch, width, dtype=torch.float64)),
        None if lengths is None else torch.tensor(lengths),
    )


def gradients(y: Tensor, case: Case) -> list[Tensor]:
    leaves = [case.x, *(t for t in case.parameters.flatten() if t is not None)]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(5), dtype=y.dtype)
    # where no coefficient is kept, the plain operator does not use h1 at all
    grads = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(leaves, grads, strict=True)]


@examples(60)
@given(cases())
def test_equals_plain_pytorch(case: Case) -> None:
    y, wanted = multires_block(*case), reference(case)
    for got, value in zip([y, *gradients(y, case)], [wanted, *gradients(wanted, case)], strict=True):
        tolerance = 1e-10 * max(float(value.detach().abs().max()), 1.0)
        torch.testing.assert_close(got, value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("batch", "length"), [(1, 300), (40, 50), (5, 300)])
def test_any_number_of_threads_in_both_directions(
    batch: int, length: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared elements, packs of short ones, and one left over."""
    monkeypatch.setattr(threads_of, "SERIAL_WORK", 1 << 12)
    torch.manual_seed(0)
    lengths = torch.randint(1, length + 1, (batch,))
    taps = [[torch.randn(6, n, dtype=torch.float64).requires_grad_() for n in (2, 2, 8)] for _ in range(2)]
    mix = [torch.randn(12, 6, dtype=torch.float64).requires_grad_(), torch.randn(12, dtype=torch.float64)]
    parameters = BlockParameters(tuple(taps[0]), (1,) * 6, tuple(mix), reverse=tuple(taps[1]))
    x = torch.randn(batch, length, 6, dtype=torch.float64)
    case = Case(x.requires_grad_(), parameters, (torch.ones(batch, 6).double(), torch.ones(batch, 6).double()), lengths)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        y, wanted = multires_block(*case), reference(case)
        leaves = [case.x, *taps[0], *taps[1], mix[0]]
        grads = torch.autograd.grad(y.square().sum(), leaves), torch.autograd.grad(wanted.square().sum(), leaves)
    finally:
        torch.set_num_threads(before)
    for got, value in zip([y, *grads[0]], [wanted, *grads[1]], strict=True):
        torch.testing.assert_close(got, value, rtol=0, atol=1e-10 * max(float(value.detach().abs().max()), 1.0))


@examples(20)
@given(cases(reverse=True))
def test_the_past_and_the_future_change_places_with_the_filters(case: Case) -> None:
    """Of the turned sequence, the filters of both directions exchanged, the block gives the turned output."""
    steps = [case.x.shape[1]] * len(case.x) if case.lengths is None else case.lengths.tolist()
    parameters = case.parameters
    assert parameters.reverse is not None
    exchanged = parameters._replace(conv=parameters.reverse, reverse=parameters.conv)
    there = multires_block(turned(case.x, steps), exchanged, case.scales, case.lengths)
    torch.testing.assert_close(turned(there, steps), multires_block(*case), rtol=1e-9, atol=1e-9)


@examples(20)
@given(cases())
def test_flatten_and_unflatten_are_inverse(case: Case) -> None:
    parameters = case.parameters
    again = BlockParameters.unflatten(parameters.flatten(), parameters.memory, parameters.eps)
    for name, value in parameters._asdict().items():
        other = getattr(again, name)
        if isinstance(value, tuple) and isinstance(value[0], Tensor):
            assert all(a is b for a, b in zip(value, other, strict=True)), name
        else:
            assert value == other, name


@examples(3)
@given(cases(reverse=True))
def test_opcheck(case: Case) -> None:
    """Without lengths: with them, what is kept for backward has room that is never written."""
    x, parameters, scales, _ = case
    args = (
        x.transpose(1, 2), *parameters.flatten(), list(parameters.memory), parameters.eps, *scales, None, False, True
    )  # fmt: skip
    torch.library.opcheck(torch.ops.multiresconv.block.default, args)
