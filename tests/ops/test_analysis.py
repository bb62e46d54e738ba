"""What can be seen inside the operator agrees with what it does."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import Arguments, arguments, operator_arguments
from profiles import examples
from torch import Tensor

from multiresconv import MultiresLayer, fading, multires_conv, uniform
from multiresconv.ops import (
    coefficients,
    effective_receptive_field,
    frequency_response,
    impulse_response,
    receptive_field,
    scale_energies,
    wavelet_taps,
)

law = examples(30)
close = torch.testing.assert_close
WAVELETS = ["haar", "db2", "sym4", "coif1"]


def taps_of(name: str, channels: int = 1) -> list[Tensor]:
    return [taps.expand(channels, -1) for taps in wavelet_taps(name, dtype=torch.float64)]


def reach(args: Arguments) -> int:
    """Receptive field of the operator with these arguments."""
    return MultiresLayer(1, kernel_size=args[1].shape[1], memory=args[4], device="meta").receptive_field


def impulse(channels: int, length: int) -> Tensor:
    x = torch.zeros(1, channels, length, dtype=torch.float64)
    x[..., 0] = 1
    return x


def responses_of_terms(args: Arguments, length: int) -> Tensor:
    """(D, J + 2, length): the impulse responses of the terms of the operator, each with the other weights 0."""
    _, h0, h1, w, memory = args
    responses, start = [], 0
    for count in (1, *memory, 1):
        alone = torch.zeros_like(w)
        alone[:, start : start + count] = w[:, start : start + count]
        responses.append(impulse_response(h0, h1, alone, memory, length))
        start += count
    return torch.stack(responses, 1)


# Impulse response


@law
@given(operator_arguments())
def test_the_operator_is_convolution_with_its_impulse_response(args: Arguments) -> None:
    x, *rest = args
    response = impulse_response(*rest, x.shape[2])
    y = multires_conv(*args)
    for i, c in np.ndindex(*x.shape[:2]):
        expected = np.convolve(x[i, c], response[c])[: x.shape[2]]
        np.testing.assert_allclose(y[i, c], expected, rtol=1e-9, atol=1e-9)


@law
@given(operator_arguments(), st.integers(1, 5))
def test_the_impulse_response_ends_with_the_receptive_field(args: Arguments, more: int) -> None:
    _, *rest = args
    steps = reach(args)
    response = impulse_response(*rest, steps + more)
    assert (response[:, steps - 1] != 0).all()
    assert (response[:, steps:] == 0).all()
    close(impulse_response(*rest, steps), response[:, :steps])


def test_the_impulse_response_is_differentiable() -> None:
    _, h0, h1, w, memory = arguments(1, 2, 1, 3, (1, 0, 2))
    assert torch.autograd.gradcheck(
        lambda *t: impulse_response(*t, memory, 12), [t.requires_grad_() for t in (h0, h1, w)]
    )


# Coefficients


@law
@given(operator_arguments())
def test_the_weighted_coefficients_are_the_output(args: Arguments) -> None:
    x, h0, h1, w, memory = args
    a, details = coefficients(x, h0, h1, len(memory))
    y = w[:, :1] * a + w[:, -1:] * x
    column = 1
    for scale, kept, b in zip(range(len(memory), 0, -1), memory, details, strict=True):
        for t in range(kept):
            delay = t * 2**scale
            y[..., delay:] += w[:, column, None] * b[..., : max(b.shape[2] - delay, 0)]
            column += 1
    close(y, multires_conv(*args))


@law
@given(operator_arguments())
def test_a_depth_more_adds_a_coarser_scale_and_keeps_the_finer_ones(args: Arguments) -> None:
    x, h0, h1, _, memory = args
    shallow, deep = coefficients(x, h0, h1, len(memory)), coefficients(x, h0, h1, len(memory) + 1)
    assert len(deep[1]) == len(memory) + 1
    for ours, theirs in zip(shallow[1], deep[1][1:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_computed_in_float64_even_under_autocast(dtype: torch.dtype) -> None:
    x, h0, h1, w, memory = arguments(2, 3, 40, 4, fading(4), dtype=dtype)
    wide = [t.double() for t in (x, h0, h1, w)]
    with torch.autocast("cpu", torch.bfloat16):
        a, details = coefficients(x, h0, h1, 4)
        response = impulse_response(h0, h1, w, memory, 50)
        gains = frequency_response(h0, h1, 4, 9)[1:]
        energies = scale_energies(h0, h1, w, memory)
    exact_a, exact_details = coefficients(*wide[:3], 4)
    for got, exact in zip((a, *details), (exact_a, *exact_details), strict=True):
        assert torch.equal(got, exact.to(dtype))
    assert torch.equal(response, impulse_response(*wide[1:], memory, 50).to(dtype))
    for got, exact in zip(gains, frequency_response(*wide[1:3], 4, 9)[1:], strict=True):
        assert torch.equal(got, exact)
    assert torch.equal(energies, scale_energies(*wide[1:], memory))


# Frequency response


@law
@given(operator_arguments())
def test_frequency_responses_are_the_transforms_of_impulse_responses(args: Arguments) -> None:
    _, h0, h1, _, memory = args
    half = receptive_field(len(memory), h0.shape[1])  # steps enough, so that nothing wraps around
    frequencies, low, high = frequency_response(h0, h1, len(memory), half + 1)
    a, details = coefficients(impulse(h0.shape[0], 2 * half), h0, h1, len(memory))
    close(frequencies, torch.fft.rfftfreq(2 * half, dtype=torch.float64))
    close(low, torch.fft.rfft(a[0]), rtol=1e-9, atol=1e-9)
    close(high, torch.fft.rfft(torch.cat(details)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", WAVELETS)
def test_the_gains_of_a_wavelet_split_the_energy_at_every_frequency(name: str) -> None:
    """|low_{j-1}(f)|^2 = (|low_j(f)|^2 + |high_j(f)|^2) / 2: the undecimated coefficients are twice too many."""
    above = torch.ones(2, 129, dtype=torch.float64)
    for depth in range(1, 6):
        _, low, high = frequency_response(*taps_of(name, 2), depth, 129)
        close(low.abs() ** 2 + high[0].abs() ** 2, 2 * above)
        above = low.abs() ** 2


def test_low_pass_keeps_a_constant_and_high_pass_drops_it() -> None:
    frequencies, low, high = frequency_response(*taps_of("db2"), 3, 5)
    assert frequencies.tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    close(low[0, 0].abs() ** 2, torch.tensor(2.0, dtype=torch.float64) ** 3)
    close(high[:, 0, 0].abs(), torch.zeros(3, dtype=torch.float64))


def test_phases_are_exact_at_great_depth() -> None:
    """From scale 4 on, the phases 2^(j-1) * f are whole turns for these f: H0 is sum(h0) = 1, H1 is sum(h1) = -1."""
    h0, h1 = torch.tensor([[0.25, 0.75]]), torch.tensor([[0.5, -1.5]])
    _, low, high = frequency_response(h0, h1, 60, 5)
    close(low, frequency_response(h0, h1, 3, 5)[1])
    close(high[:57], -low.expand(57, 1, 5))


# Energies


@law
@given(operator_arguments())
def test_energies_are_those_of_the_terms_alone(args: Arguments) -> None:
    terms = responses_of_terms(args, reach(args))
    energies = scale_energies(*args[1:])
    close(energies, terms.square().sum(2), rtol=1e-9, atol=1e-12)


@law
@given(operator_arguments())
def test_energies_are_the_mean_squared_gains(args: Arguments) -> None:
    """Parseval: over the full circle of frequencies the mean of |gain|^2 is the energy."""
    _, h0, h1, _, memory = args
    ones = torch.ones(h0.shape[0], len(memory) + 2, dtype=torch.float64)
    half = receptive_field(len(memory), h0.shape[1])
    _, low, high = frequency_response(h0, h1, len(memory), half + 1)
    squares = torch.cat([low[None], high]).abs() ** 2
    mean = (squares[..., 0] + 2 * squares[..., 1:-1].sum(-1) + squares[..., -1]) / (2 * half)
    close(scale_energies(h0, h1, ones, fading(len(memory)))[:, :-1].T, mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("kind", ["fading", "uniform", "free"])
def test_energies_with_a_wavelet_are_those_of_the_weights(name: str, kind: str) -> None:
    h0, h1 = taps_of(name, 3)
    memory = {"fading": fading(5), "uniform": uniform(5, h0.shape[1], 9), "free": (3, 0, 7, 1, 20)}[kind]
    w = arguments(1, 3, 1, 2, memory)[3]
    blocks = w.square().split([1, *memory, 1], dim=1)
    close(scale_energies(h0, h1, w, memory), torch.stack([block.sum(1) for block in blocks], 1), rtol=1e-9, atol=1e-9)


def test_energies_at_a_depth_whose_impulse_response_no_memory_holds() -> None:
    h0, h1 = taps_of("db2", 2)
    w = torch.ones(2, 62, dtype=torch.float64)
    close(scale_energies(h0, h1, w, fading(60)), torch.ones(2, 62, dtype=torch.float64), rtol=1e-9, atol=0)


def test_energies_are_differentiable() -> None:
    _, h0, h1, w, memory = arguments(1, 2, 1, 3, (1, 0, 2))
    assert torch.autograd.gradcheck(lambda *t: scale_energies(*t, memory), [t.requires_grad_() for t in (h0, h1, w)])


# Effective receptive field


@law
@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=30),
    st.floats(0.01, 0.999),
    st.sampled_from([1e-300, 1.0, 1e200]),
)
def test_effective_receptive_field_is_the_least_that_holds_the_share(
    values: list[int], share: float, scale: float
) -> None:
    g = torch.tensor(values, dtype=torch.float64)
    steps = int(effective_receptive_field(g * scale, share))
    wanted = share * float(g.square().sum())
    assert float(g[:steps].square().sum()) >= wanted * (1 - 1e-12)
    assert steps == 0 or float(g[: steps - 1].square().sum()) <= wanted * (1 + 1e-12)
    assert (steps == 0) == (not any(values))


def test_effective_receptive_field_by_hand() -> None:
    g = torch.tensor([[3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    assert effective_receptive_field(g).tolist() == [3, 4, 0, 1]
    assert effective_receptive_field(g, 0.36).tolist() == [1, 4, 0, 1]
    assert effective_receptive_field(g, 1.0).tolist() == [3, 4, 0, 1]
    assert effective_receptive_field(g[0]).shape == ()


# Words to bad input

TAPS, W = torch.zeros(3, 4), torch.zeros(3, 5)


@pytest.mark.parametrize(
    ("call", "change", "error", "words"),
    [
        (impulse_response, {"length": 0}, ValueError, "length: expected at least 1, got 0"),
        (impulse_response, {"length": 2.5}, TypeError, r"length: .*2\.5"),
        (impulse_response, {"w": W[:, :4]}, ValueError, r"w: .*\(3, 5\).*\(3, 4\)"),
        (impulse_response, {"h0": TAPS[0]}, ValueError, r"h0: expected shape .*K >= 2, got \(4,\)"),
        (impulse_response, {"h0": [1.0]}, TypeError, "h0: .*tensor, got list"),
        (coefficients, {"depth": 0}, ValueError, "depth: expected at least 1, got 0"),
        (coefficients, {"h1": TAPS[:, :2]}, ValueError, r"h1: .*\(3, 4\).*\(3, 2\)"),
        (coefficients, {"x": torch.zeros(2, 4, 7)}, ValueError, r"h0: .*\(4, K\).*\(3, 4\)"),
        (coefficients, {"x": torch.zeros(2, 3, 7).double()}, TypeError, "h0: .*float64, got torch.float32"),
        (frequency_response, {"n_frequencies": 0}, ValueError, "n_frequencies: expected at least 1, got 0"),
        (frequency_response, {"h0": TAPS.long()}, TypeError, "h0: .*int64"),
        (frequency_response, {"h1": TAPS.double()}, TypeError, "h1: .*float32.*float64"),
        (scale_energies, {"memory": (1, -1, 3)}, ValueError, r"memory: .*\(1, -1, 3\)"),
        (scale_energies, {"w": W.double()}, TypeError, "w: .*float32.*float64"),
        (effective_receptive_field, {"share": 0.0}, ValueError, r"share: .*got 0\.0"),
        (effective_receptive_field, {"share": 1.5}, ValueError, r"share: .*got 1\.5"),
        (effective_receptive_field, {"impulse": torch.tensor([1.0, torch.nan])}, ValueError, "impulse: .*finite"),
        (effective_receptive_field, {"impulse": torch.zeros(3, 0)}, ValueError, r"impulse: .*length >= 1.*\(3, 0\)"),
        (effective_receptive_field, {"impulse": torch.zeros(3).long()}, TypeError, "impulse: .*int64"),
    ],
)
def test_bad_input_is_named(call: Any, change: dict[str, Any], error: type[Exception], words: str) -> None:
    operator = {"h0": TAPS, "h1": TAPS, "w": W, "memory": (1, 1, 1)}
    good = {
        impulse_response: {**operator, "length": 5},
        coefficients: {"x": torch.zeros(2, 3, 7), "h0": TAPS, "h1": TAPS, "depth": 2},
        frequency_response: {"h0": TAPS, "h1": TAPS, "depth": 2, "n_frequencies": 5},
        scale_energies: operator,
        effective_receptive_field: {"impulse": torch.ones(5), "share": 0.5},
    }[call]
    call(**good)
    with pytest.raises(error, match=words):
        call(**{**good, **change})
