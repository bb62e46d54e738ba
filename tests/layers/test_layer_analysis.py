"""A look inside a `MultiresLayer`: what its methods say is what the layer does, in its own order of axes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor

from multiresconv import MultiresLayer

DOUBLE = torch.float64

law = examples(25)
close = torch.testing.assert_close


@st.composite
def layers(draw: st.DrawFn) -> MultiresLayer:
    memory = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    return MultiresLayer(3, kernel_size=draw(st.integers(2, 4)), memory=memory, dtype=DOUBLE)


@law
@given(layers(), st.integers(1, 40))
def test_the_output_is_the_convolution_with_the_impulse_response(layer: MultiresLayer, length: int) -> None:
    x = torch.randn(2, length, 3, dtype=DOUBLE)
    response = layer.impulse_response()
    assert response.shape == (3, layer.receptive_field)
    expected = torch.zeros_like(x)
    for lag in range(min(length, layer.receptive_field)):
        expected[:, lag:] += response[:, lag].detach() * x[:, : length - lag]
    close(layer(x).detach(), expected)
    close(layer.impulse_response(length + 5)[:, :length], layer(one_then_zeros(length))[0].T)


def one_then_zeros(length: int) -> Tensor:
    x = torch.zeros(1, length, 3, dtype=DOUBLE)
    x[:, 0] = 1
    return x


@law
@given(layers(), st.integers(1, 40))
def test_the_output_is_the_weighted_sum_of_the_coefficients(layer: MultiresLayer, length: int) -> None:
    x = torch.randn(2, length, 3, dtype=DOUBLE)
    scaling, wavelet = layer.coefficients(x)
    assert {b.shape for b in (scaling, *wavelet)} == {x.shape}
    assert len(wavelet) == layer.depth
    y, start = layer.w[:, 0] * scaling + layer.w[:, -1] * x, 1
    for scale, kept, b in zip(range(layer.depth, 0, -1), layer.memory, wavelet, strict=True):
        for t in range(kept):
            delayed = torch.zeros_like(b)
            delayed[:, t * 2**scale :] = b[:, : max(length - t * 2**scale, 0)]
            y = y + layer.w[:, start + t] * delayed
        start += kept
    close(y, layer(x))


@law
@given(layers())
def test_energies_are_the_mean_squared_gains_of_a_memory_of_single_coefficients(layer: MultiresLayer) -> None:
    layer = MultiresLayer(3, kernel_size=layer.kernel_size, depth=layer.depth, dtype=DOUBLE)
    n = layer.receptive_field
    frequencies, low, high = layer.frequency_response(n + 1)
    assert (low.shape, high.shape) == ((3, n + 1), (layer.depth, 3, n + 1))
    close(frequencies, torch.linspace(0, 0.5, n + 1, dtype=DOUBLE))
    # over the whole circle of 2n frequencies, of which all but the first and last come twice
    shares = torch.full((n + 1,), 1 / n, dtype=DOUBLE)
    shares[[0, -1]] /= 2
    gains = torch.cat([low[None], high, torch.ones_like(low)[None]]).abs().square() @ shares
    close(layer.scale_energies(), layer.w**2 * gains.T)


def test_input_that_does_not_fit_is_refused_in_the_terms_of_the_layer() -> None:
    layer = MultiresLayer(3, depth=2)
    for shape in ((2, 5, 4), (2, 0, 3), (5, 3)):
        with pytest.raises(ValueError, match=r"x: expected shape \(batch, length, 3\) with length >= 1, got"):
            layer.coefficients(torch.zeros(shape))
    with pytest.raises(TypeError, match=r"x: expected the dtype of the layer, torch.float32, got torch.float64"):
        layer.coefficients(torch.zeros(2, 5, 3, dtype=DOUBLE))
    with pytest.raises(ValueError, match="length: expected at least 1, got 0"):
        layer.impulse_response(0)
    with pytest.raises(ValueError, match="n_frequencies: expected at least 1, got 0"):
        layer.frequency_response(0)
