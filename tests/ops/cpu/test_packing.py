"""Packs: every element once, side by side without a gap, none too large, the work divided evenly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiresconv.layers import MultiresBlock, Norm
from multiresconv.ops.cpu import packing
from multiresconv.ops.cpu.packing import packs

LENGTHS = st.lists(st.integers(1, 3000), min_size=1, max_size=70)


@given(LENGTHS, st.integers(1, 300), st.integers(1, 5))
def test_every_element_is_in_one_pack_and_every_step_has_its_place(
    lengths: list[int], channels: int, threads: int
) -> None:
    shares = packs(tuple(lengths), channels, threads)
    flat = [pack for share in shares for pack in share]
    assert sorted(i for pack in flat for i in pack.elements) == list(range(len(lengths)))
    start = 0
    for pack in flat:
        assert pack.start == start
        steps = [lengths[i] for i in pack.elements]
        assert np.diff(pack.offsets).tolist() == steps
        assert (pack.offsets[0], pack.offsets[-1], pack.longest) == (0, pack.steps, max(steps))
        assert len(steps) == 1 or pack.steps * channels <= packing.PACK
        start += pack.steps
    assert start == sum(lengths)
    assert len(shares) <= threads + 1


@given(LENGTHS, st.integers(1, 300), st.integers(1, 5))
def test_threads_have_about_the_same_to_do(lengths: list[int], channels: int, threads: int) -> None:
    *alone, rest = packs(tuple(lengths), channels, threads)
    loads = [sum(pack.steps for pack in share) for share in alone]
    if len(loads) == threads:
        assert max(loads) - min(loads) <= max(lengths)
    if channels * max(lengths) > packing.PACK or len(lengths) < threads:
        assert sum(len(pack.elements) for pack in rest) == len(lengths) % threads


@given(st.integers(1, 40), st.integers(1, 60))
def test_short_elements_are_taken_together(batch: int, length: int) -> None:
    (share, rest) = packs((length,) * batch, 16, 1)
    assert len(share) == 1
    assert rest == []


def test_no_element() -> None:
    assert packs((), 4, 2) == [[]]


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("numbers", [1, 3000, 1 << 20])
def test_a_block_computes_the_same_however_it_packs(numbers: int, norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    block = MultiresBlock(20, depth=8, kernel_size=3, norm=norm).double()
    lengths = torch.tensor([90, 1, 33, 300, 7, 250, 16, *range(20, 60)])  # of short ones, sixteen are joined
    x, gradients = torch.randn(len(lengths), 300, 20).double(), []
    monkeypatch.setattr(packing, "PACK", numbers)
    packs.cache_clear()
    for backend in ("cpu", "reference"):
        block.conv.backend = backend
        y = block(x, lengths) * (torch.arange(300)[:, None] < lengths[:, None, None])
        gradients.append([y, *torch.autograd.grad(y.square().sum(), list(block.parameters()))])
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-9)
