"""The mixture of discretized logistics: a distribution, the one that its definition says, and drawn from as it is."""

import re

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from scipy.stats import chisquare
from torch import Tensor

from multiresconv.models.logistic_mixture import draw_pixels, mixture_log_prob, mixture_size

SPREAD = st.sampled_from([1.0, 3.0, 30.0, 1000.0])  # of the parameters: ordinary to far outside of [-1, 1]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def random_params(n_channels: int, n_mixtures: int, spread: float, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    size = mixture_size(n_channels, n_mixtures)
    return spread * torch.randn(size, generator=random, dtype=torch.float64)


def levels(n_channels: int) -> Tensor:
    """All pixels whose channels take each of the 256 levels: (256, ..., n_channels)."""
    one = torch.arange(256, dtype=torch.uint8)
    return torch.cartesian_prod(*[one] * n_channels).view(*[256] * n_channels, n_channels)


def first_channel(params: Tensor, n_mixtures: int) -> Tensor:
    """The grey parameters that are those of the first channel of colour parameters, spelled out."""
    return params[: 3 * n_mixtures]


def exact_log_prob(params: list[float], pixel: list[int]) -> float:
    """The definition, with 100 digits; coefficients of the second channel on the first, third on first, on second."""
    with mpmath.workdps(100):
        channels = len(pixel)
        m = len(params) // (3 if channels == 1 else 10)
        values = [mpmath.mpf(p) for p in params]
        x = [mpmath.mpf(2 * level - 255) / 255 for level in pixel]
        total = mpmath.mpf(0)
        for i in range(m):
            weight = mpmath.exp(values[i]) / sum(mpmath.exp(v) for v in values[:m])
            block = 2 * m if channels == 1 else 3 * m
            mean = [values[m + c * block + i] for c in range(channels)]
            scale = [mpmath.exp(max(values[m + c * block + m + i], mpmath.mpf(-7))) for c in range(channels)]
            if channels == 3:
                coefficient = [mpmath.tanh(values[m + c * block + 2 * m + i]) for c in range(3)]
                mean[1] += coefficient[0] * x[0]
                mean[2] += coefficient[1] * x[0] + coefficient[2] * x[1]
            for c in range(channels):
                upper = mpmath.inf if pixel[c] == 255 else (x[c] + mpmath.mpf(1) / 255 - mean[c]) / scale[c]
                lower = -mpmath.inf if pixel[c] == 0 else (x[c] - mpmath.mpf(1) / 255 - mean[c]) / scale[c]
                if lower > 0:  # so that no digits are lost where both are close to 1
                    upper, lower = -lower, -upper
                weight *= 1 / (1 + mpmath.exp(-upper)) - 1 / (1 + mpmath.exp(-lower))
            total += weight
        return float(mpmath.log(total))


@examples(60)
@given(
    n_channels=st.sampled_from([1, 3]), n_mixtures=st.integers(1, 4), spread=st.sampled_from([1.0, 3.0, 8.0]),
    pixel=st.lists(st.one_of(st.sampled_from([0, 255]), st.integers(0, 255)), min_size=3, max_size=3),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_log_prob_is_that_of_the_definition(n_channels, n_mixtures, spread, pixel, seed):
    pixel = pixel[:n_channels]
    # In float32 the parameters are rounded first: what is tested is what is computed from them.
    params = random_params(n_channels, n_mixtures, spread, seed).float()
    expected = exact_log_prob(params.tolist(), pixel)
    found = mixture_log_prob(params.double(), torch.tensor(pixel, dtype=torch.uint8))
    assert found.item() == pytest.approx(expected, rel=1e-11, abs=1e-9)
    found = mixture_log_prob(params, torch.tensor(pixel, dtype=torch.uint8))
    # A mean m has an ulp of its own, which a scale of e^-7 = 1/1097 makes large.
    ulp = 1097 * torch.finfo(torch.float32).eps * max(1.0, params.abs().max().item())
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=n_channels * 4 * ulp)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@examples(40)
@given(n_mixtures=st.integers(1, 10), spread=SPREAD, seed=st.integers(0, 2**16))
def test_grey_probabilities_sum_to_one(dtype, n_mixtures, spread, seed):
    params = random_params(1, n_mixtures, spread, seed).to(dtype)
    log_prob = mixture_log_prob(params.expand(256, -1), levels(1))
    assert abs(log_prob.exp().sum().item() - 1) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@examples(6)
@given(n_mixtures=st.integers(1, 3), spread=SPREAD, seed=st.integers(0, 2**16), first=st.integers(0, 255))
def test_colour_probabilities_sum_to_those_of_the_first_channel(dtype, n_mixtures, spread, seed, first):
    """Over all levels of the second and third channel; those of the first are a grey mixture's, which sum to one."""
    params = random_params(3, n_mixtures, spread, seed).to(dtype)
    pixels = torch.cat([torch.full((256, 256, 1), first, dtype=torch.uint8), levels(2)], dim=2)
    given_first = mixture_log_prob(params.expand(256, 256, -1), pixels)
    alone = mixture_log_prob(first_channel(params, n_mixtures), pixels[0, 0, :1])
    assert abs(given_first.exp().sum().item() - alone.exp().item()) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@examples(20)
@given(n_mixtures=st.integers(1, 5), spread=SPREAD, seed=st.integers(0, 2**16), first=st.integers(0, 255),
       second=st.integers(0, 255))  # fmt: skip
def test_the_third_channel_given_the_others_sums_to_one(dtype, n_mixtures, spread, seed, first, second):
    """Two components that say the same in the first two channels: there p(third | others) = p(all) / p(others)."""
    params = random_params(3, n_mixtures, spread, seed).to(dtype).view(10, n_mixtures)
    params[1:6] = params[1:6, :1].clone()
    one = params[:, :1].clone()
    pixels = torch.tensor([first, second, 0], dtype=torch.uint8).repeat(256, 1)
    pixels[:, 2] = torch.arange(256)
    log_prob = mixture_log_prob(params.flatten().expand(256, -1), pixels)
    # p(first, second) of a single component: its third channel all but certainly at level 255.
    one[7], one[8:], one[0] = 1e6, 0.0, 0.0
    others = mixture_log_prob(one.flatten(), torch.tensor([first, second, 255], dtype=torch.uint8))
    if others > -1e3:
        assert abs((log_prob - others).exp().sum().item() - 1) < TOLERANCE[dtype] * max(1, abs(others.item()))


def test_extreme_parameters_give_finite_values_and_gradients():
    extremes = torch.tensor([-1e6, -90.0, -7.0, 0.0, 7.0, 90.0, 1e6])
    logits, mean, log_scale = (grid.flatten() for grid in torch.meshgrid([extremes] * 3, indexing="ij"))
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        for n_channels in (1, 3):
            other = torch.zeros_like(mean) if n_channels == 3 else None
            channel = torch.stack([mean, mean.flip(0), log_scale, log_scale.flip(0)], 1)
            if other is not None:
                channel = torch.cat([channel, mean[:, None] / 1e5, -mean[:, None]], 1)
            params = torch.cat([torch.stack([logits, -logits], 1), *[channel] * n_channels], 1)
            params = params.to(dtype).requires_grad_()
            for level in (0, 1, 127, 254, 255):
                pixels = torch.full((len(params), n_channels), level, dtype=torch.uint8)
                log_prob = mixture_log_prob(params, pixels)
                assert log_prob.isfinite().all()
                assert (log_prob <= 1e-6).all()
                (grad,) = torch.autograd.grad(log_prob.sum(), params)
                assert grad.isfinite().all()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_gradients_are_those_of_the_values(n_channels):
    params = random_params(n_channels, 3, 1.0, 0).repeat(4, 1).requires_grad_()
    pixels = torch.tensor([0, 255, 100, 128], dtype=torch.uint8)[:, None].expand(-1, n_channels)
    assert torch.autograd.gradcheck(lambda p: mixture_log_prob(p, pixels), params)


def test_half_precision_is_computed_in_float32():
    params = random_params(3, 2, 1.0, 0).bfloat16()
    pixel = torch.tensor([3, 200, 255], dtype=torch.uint8)
    assert torch.equal(mixture_log_prob(params, pixel), mixture_log_prob(params.float(), pixel))


def standard_noise(random: np.random.Generator, n: int, n_mixtures: int, n_channels: int):
    return random.gumbel(size=(n, n_mixtures)), random.logistic(size=(n, n_channels))


def test_grey_pixels_are_drawn_from_the_distribution():
    """One wide component beyond each end, one in the middle narrower than a bin: tails, both extremes and an edge."""
    params = torch.tensor([0.3, 0.0, 1.0, -1.2, 1.1, 0.052, -1.5, -2.0, -7.5], dtype=torch.float64)
    n = 200_000
    noise = standard_noise(np.random.default_rng(0), n, 3, 1)
    drawn = draw_pixels(params.expand(n, -1).numpy(), *noise)
    expected = n * mixture_log_prob(params.expand(256, -1), levels(1)).exp().numpy()
    counts = np.bincount(drawn[:, 0], minlength=256)
    assert expected[[0, 255]].min() > 1000
    common = expected > 20
    counts = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert chisquare(counts, expected).pvalue > 1e-3


def test_colours_are_drawn_from_the_distribution():
    """The joint of all three channels, by its log-probability: means, extremes, and how the channels hang together."""
    params = random_params(3, 2, 0.7, 5)
    params[[4, 5, 10, 11, 16, 17]] -= 3.5  # scales of some levels, so that pixels come up often enough to be counted
    n = 300_000
    noise = standard_noise(np.random.default_rng(1), n, 2, 3)
    drawn = draw_pixels(params.expand(n, -1).numpy(), *noise)
    # In bins of levels of the third channel around its most frequent values of the first two.
    pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    for first, second in pairs[np.argsort(counts)[-3:]]:
        pixels = torch.tensor([first, second, 0], dtype=torch.uint8).repeat(256, 1)
        pixels[:, 2] = torch.arange(256)
        expected = n * mixture_log_prob(params.expand(256, -1), pixels).exp().numpy()
        here = drawn[(drawn[:, :2] == (first, second)).all(1), 2]
        found = np.bincount(here, minlength=256)
        total = found.sum()
        assert total > 100
        # a Poisson number with that mean
        assert abs(total - expected.sum()) < 4 * expected.sum() ** 0.5
        common = expected > 5
        found = np.append(found[common], found[~common].sum())
        expected = np.append(expected[common], expected[~common].sum())
        assert chisquare(found, expected * total / expected.sum()).pvalue > 1e-3


def test_the_number_of_parameters():
    assert (mixture_size(1, 10), mixture_size(3, 10)) == (30, 100)
    for channels, mixtures, message in (
        (2, 5, "n_channels: expected 1 (grey) or 3 (colour), got 2"),
        (3, 0, "n_mixtures: expected at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            mixture_size(channels, mixtures)
