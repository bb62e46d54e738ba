"""A bidirectional layer adds a convolution that reads each sequence from its own end, and refuses to stream."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import nn

from multiresconv import MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet, multires_conv
from multiresconv.layers import reverse_steps

DOUBLE = torch.float64
law = examples(10)
options = st.sampled_from(
    [{"depth": 3}, {"kernel_size": 4, "depth": 2}, {"memory": (2, 0, 1)}, {"wavelet": "db2", "depth": 3, "memory": 5}]
)


@law
@given(options, st.integers(1, 3), st.integers(1, 20), st.sampled_from(["reference", "cpu"]), st.integers(0, 99))
def test_it_is_two_convolutions(option: dict[str, Any], batch: int, length: int, backend: Any, seed: int) -> None:
    torch.manual_seed(seed)
    layer = MultiresLayer(5, bidirectional=True, dtype=DOUBLE, backend=backend, **option)
    x = torch.randn(batch, length, 5, dtype=DOUBLE)
    first, x_first = x.transpose(1, 2), x.flip(1).transpose(1, 2)
    forward = multires_conv(first, layer.h0, layer.h1, layer.w, layer.memory)
    backward = multires_conv(x_first, layer.h0_reverse, layer.h1_reverse, layer.w_reverse, layer.memory).flip(2)
    torch.testing.assert_close(layer(x), (forward + backward).transpose(1, 2), rtol=1e-12, atol=1e-12)


def models(seed: int, **option: Any) -> list[nn.Module]:
    torch.manual_seed(seed)
    option |= {"bidirectional": True, "dtype": DOUBLE}
    return [
        MultiresBlock(4, norm="batch", **option),
        MultiresBlock(4, projection=True, **option),
        MultiresNet(6, 2, d_input=4, norm_first=True, **option),
        MultiresClassifier(3, 6, 2, d_input=4, pooling="max", **option),
        MultiresClassifier(3, 6, 2, d_input=4, norm="batch", **option),
    ]


@law
@given(options, st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 9), st.integers(0, 99))
def test_padding_changes_nothing(option: dict[str, Any], lengths: list[int], padding: int, seed: int) -> None:
    for model in models(seed, **option):
        model.eval()
        longest = max(lengths) + padding
        x = torch.randn(len(lengths), longest, 4, dtype=DOUBLE, requires_grad=True)
        together = model(x, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = model(x[row : row + 1, :length])[0]
            mine = together[row, :length] if together.ndim == 3 else together[row]
            torch.testing.assert_close(mine, alone, rtol=1e-10, atol=1e-10)
            if together.ndim == 2:
                (grad,) = torch.autograd.grad(mine.sum(), x, retain_graph=True)
                assert not grad[row, length:].any()
                assert grad[row, :length].isfinite().all()


def test_every_output_sees_every_step() -> None:
    layer = MultiresLayer(1, depth=4, bidirectional=True, dtype=DOUBLE)
    x = torch.zeros(1, 12, 1, dtype=DOUBLE)
    x[0, 5] = 1
    assert layer(x).abs().gt(1e-9).all()


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 5))
def test_reversing_twice_is_nothing(lengths: list[int], padding: int) -> None:
    x = torch.randn(len(lengths), max(lengths) + padding, 2)
    back = torch.tensor(lengths)
    assert torch.equal(reverse_steps(reverse_steps(x, back), back), x)
    for row, length in enumerate(lengths):
        assert torch.equal(reverse_steps(x, back)[row, :length], x[row, :length].flip(0))


def test_it_refuses_to_stream_in_one_line() -> None:
    for model in (MultiresLayer(4, depth=2, bidirectional=True), *models(0, depth=2)):
        with pytest.raises(RuntimeError, match="streaming: a bidirectional layer needs whole sequences"):
            model.init_state(1)


def test_its_parameters_have_names_of_their_own() -> None:
    layer = MultiresLayer(4, depth=2, bidirectional=True)
    assert list(layer.state_dict()) == ["h0", "h1", "w", "h0_reverse", "h1_reverse", "w_reverse"]
    assert "bidirectional=True" in repr(layer)
    assert not torch.equal(layer.h0, layer.h0_reverse)
