"""Sampling: streamed = naive, bit by bit; each image on its own; the distribution is the model's."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from scipy.stats import chisquare, kstest
from torch import Tensor

from multiresconv import MultiresAR
from multiresconv.models import sample
from multiresconv.models.logistic_mixture import draw_pixels, mixture_log_prob
from multiresconv.models.sampling import image_noise


def make_model(**options: Any) -> MultiresAR:
    torch.manual_seed(0)
    return MultiresAR(**{"d_model": 4, "n_layers": 2, "n_mixtures": 2, "depth": 3, **options}).eval()


def constant_model(params: Tensor, n_channels: int, **options: Any) -> MultiresAR:
    """A model that gives every pixel the same distribution, whatever came before."""
    n_mixtures = len(params) // {1: 3, 3: 10}[n_channels]
    model = make_model(n_channels=n_channels, n_mixtures=n_mixtures, dtype=torch.float64, **options)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(params)
    return model


def random_pixels(*shape: int) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def naive_sample(model: MultiresAR, n: int, length: int, prefix: Tensor, temperature: float, seed: int) -> Tensor:
    """The definition: the whole network, over the whole image, for every pixel."""
    model = copy.deepcopy(model).double()
    images = torch.zeros(n, length, model.n_channels, dtype=torch.uint8)
    images[:, : prefix.shape[1]] = prefix
    noise = [image_noise(model, length, seed=seed, row=row) for row in range(n)]
    gumbel, logistic = (temperature * np.stack(arrays) for arrays in zip(*noise, strict=True))
    for t in range(prefix.shape[1], length):
        params = model(images)[:, t].numpy()
        images[:, t] = torch.from_numpy(draw_pixels(params, gumbel[:, t], logistic[:, t]))
    return images


@examples(20)
@given(
    n=st.integers(1, 3), length=st.integers(1, 24), n_channels=st.sampled_from([1, 3]), share=st.floats(0, 1),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]), seed=st.integers(0, 2**80), kernel_size=st.integers(2, 4),
    norm=st.sampled_from(["layer", "batch"]), backend=st.sampled_from(["auto", "reference"]),
    threads=st.integers(1, 2),
)  # fmt: skip
def test_streamed_is_naive(n, length, n_channels, share, temperature, seed, kernel_size, norm, backend, threads):
    """In one kernel for many pixels ("auto"), on one thread or two, and step by step in PyTorch ("reference")."""
    model = make_model(n_channels=n_channels, kernel_size=kernel_size, norm=norm, backend=backend)
    with torch.no_grad():
        model.head.weight *= 5  # so that the pixels before do make a difference
    prefix = random_pixels(n, int(share * length), n_channels)
    torch.set_num_threads(threads)
    try:
        streamed = sample(model, n, length, prefix=prefix, temperature=temperature, seed=seed)
    finally:
        torch.set_num_threads(1)
    assert streamed.dtype == torch.uint8
    assert torch.equal(streamed, naive_sample(model, n, length, prefix, temperature, seed))
    if prefix.shape[1] == 0:
        assert torch.equal(streamed, sample(model, n, length, temperature=temperature, seed=seed))


@examples(8)
@given(n=st.integers(2, 6), batch_size=st.integers(1, 7), given_pixels=st.integers(0, 5), seed=st.integers(0, 99))
def test_an_image_does_not_depend_on_its_company(n, batch_size, given_pixels, seed):
    """Weights are float32, whose rounding would: d_model is large enough for another matrix product per batch size."""
    model = make_model(d_model=64, n_mixtures=10)
    prefix = random_pixels(n, given_pixels, 3)
    images = sample(model, n, 20, prefix=prefix, seed=seed)
    assert torch.equal(sample(model, n, 20, prefix=prefix, seed=seed, batch_size=batch_size), images)
    assert torch.equal(sample(model, 1, 20, prefix=prefix[:1], seed=seed), images[:1])
    assert torch.equal(sample(model, n, 12, prefix=prefix, seed=seed), images[:, :12])


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_all_precisions_draw_images_that_are_alike(backend):
    """Of a model whose outputs do not depend on the pixels before: a level is off by 1 where rounding has it so."""
    model = constant_model(torch.randn(20, generator=torch.Generator().manual_seed(0)), 3, backend=backend)
    expected = sample(model, 2, 30).long()
    for dtype, tolerance in ((torch.float32, 1), (torch.bfloat16, 3)):
        assert (sample(model, 2, 30, dtype=dtype).long() - expected).abs().max() <= tolerance


@pytest.mark.parametrize("name", ["net.encoder", "net.blocks.1.mix", "head"])
def test_a_hooked_model_is_sampled_as_it_is(name):
    """What is drawn is what the model says, not what its weights would."""
    plain, hooked = make_model(), make_model()
    hooked.get_submodule(name).register_forward_hook(lambda module, args, output: -output)
    images = sample(hooked, 2, 20)
    assert torch.equal(images, naive_sample(hooked, 2, 20, random_pixels(2, 0, 3), 1.0, 0))
    assert not torch.equal(images, sample(plain, 2, 20))


@pytest.mark.parametrize("params", [[0.0, 0.0, 60.0], [0.0, 1e25, -3.0], [0.0, -1e25, -3.0]])
def test_levels_beyond_all_integers_are_the_outermost(params):
    model = constant_model(torch.tensor(params, dtype=torch.float64), 1)
    images = sample(model, 1, 20)
    assert torch.equal(images, naive_sample(model, 1, 20, random_pixels(1, 0, 1), 1.0, 0))
    assert set(images.flatten().tolist()) <= {0, 255}


def test_images_and_seeds_differ():
    images = torch.cat([sample(make_model(), 3, 16, seed=seed) for seed in (0, 1)])
    assert len(images.unique(dim=0)) == 6


@pytest.mark.parametrize("n_channels", [1, 3])
def test_images_follow_the_distribution(n_channels):
    """All levels of all pixels of all images, against the probabilities of the first channel."""
    first = [0.3, 0.0, 1.0, -1.2, 1.1, 0.052, -1.5, -2.0, -7.5]  # tails at both ends, and less than a bin in between
    params = torch.tensor([*first, *[0.0] * (21 if n_channels == 3 else 0)], dtype=torch.float64)
    images = sample(constant_model(params, n_channels), 60, 200, batch_size=60)
    levels = torch.arange(256, dtype=torch.uint8)[:, None]
    probabilities = mixture_log_prob(torch.tensor(first, dtype=torch.float64).expand(256, -1), levels).exp().numpy()
    expected = 12_000 * probabilities
    counts = np.bincount(images[..., 0].flatten().numpy(), minlength=256)
    common = expected > 5
    assert common[[0, 255]].all()
    counts, expected = (np.append(v[common], v[~common].sum()) for v in (counts, expected))
    assert chisquare(counts, expected).pvalue > 1e-3


def test_noise_is_gumbel_and_logistic():
    """To two percent of its scale, which the levels of an image would not tell."""
    gumbel, logistic = image_noise(make_model(), 200_000, seed=0, row=3)
    assert kstest(gumbel.flatten(), "gumbel_r").pvalue > 1e-3
    assert kstest(logistic.flatten(), "logistic").pvalue > 1e-3


def test_pixels_and_images_are_drawn_independently():
    """Neighbours in an image, the same pixel of two images, and two channels are uncorrelated."""
    params = torch.zeros(10, dtype=torch.float64)
    images = sample(constant_model(params, 3), 60, 200, batch_size=60).double() - 127.5
    pairs = [(images[:, 1:], images[:, :-1]), (images[1:], images[:-1]), (images[..., 1], images[..., 0])]
    for one, other in pairs:
        correlation = (one * other).mean() / images.square().mean()
        assert abs(correlation) < 4 / one.numel() ** 0.5


def test_temperature_divides_logits_and_multiplies_scales():
    params = torch.randn(20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scales = [4, 5, 10, 11, 16, 17]
    params[scales] = params[scales].clamp(max=0) - 1
    for temperature in (0.3, 1.7):
        other = params.clone()
        other[:2] /= temperature
        other[scales] += np.log(temperature)
        images = sample(constant_model(params, 3), 2, 50, temperature=temperature)
        assert torch.equal(images, sample(constant_model(other, 3), 2, 50))


def test_temperature_zero_is_the_likeliest_component_at_its_mean():
    params = torch.tensor([0.1, 0.2, -1.0, 0.2, 5.0, 5.0], dtype=torch.float64)
    images = sample(constant_model(params, 1), 2, 5, temperature=0, seed=3)
    assert (images == round(127.5 + 127.5 * 0.2)).all()


def test_sampling_leaves_the_model_and_torchs_random_numbers_alone():
    model = make_model(dropout=0.5, norm="batch").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    images = sample(model, 2, 9)
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(images, sample(model.eval(), 2, 9))
    images[0] = 0  # an ordinary tensor, not one of inference mode


def test_lower_precision_on_request():
    model = make_model(d_model=32)
    rough = sample(model, 4, 16, dtype=torch.float32)
    assert (rough == sample(model, 4, 16)).double().mean() > 0.9


def test_a_model_that_has_diverged_is_refused():
    model = make_model()
    with torch.no_grad():
        model.head.bias[3] = torch.nan
    with pytest.raises(ValueError, match="model: expected finite outputs, got NaN or infinity in pixel"):
        sample(model, 1, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n: expected at least 1, got 0"),
        ({"length": 0}, "length: expected at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"temperature": -0.5}, "temperature: expected a number from 0 up, got -0.5"),
        ({"temperature": float("nan")}, "temperature: expected a number from 0 up, got nan"),
        ({"temperature": float("inf")}, "temperature: expected a number from 0 up, got inf"),
        ({"prefix": random_pixels(2, 9, 3)}, r"prefix: expected shape \(2, at most 8, 3\), got \(2, 9, 3\)"),
        ({"prefix": random_pixels(1, 4, 3)}, r"prefix: expected shape \(2, at most 8, 3\), got \(1, 4, 3\)"),
        ({"prefix": random_pixels(2, 4, 1)}, r"prefix: expected shape \(2, at most 8, 3\), got \(2, 4, 1\)"),
        ({"prefix": random_pixels(2, 4)}, r"prefix: expected shape \(2, at most 8, 3\), got \(2, 4\)"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sample(make_model(), **{"n": 2, "length": 8, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 2.0}, "n: expected an integer, got 2.0"),
        ({"seed": "a"}, "seed: expected an integer, got 'a'"),
        ({"temperature": "1"}, "temperature: expected a number, got '1'"),
        ({"temperature": torch.tensor(1.0)}, r"temperature: expected a number, got tensor\(1.\)"),
        ({"prefix": torch.rand(2, 4, 3)}, "prefix: expected a tensor of uint8 levels 0..255, got torch.float32"),
        ({"prefix": [[[0, 0, 0]]]}, "prefix: expected a tensor of uint8 levels 0..255, got list"),
    ],
)
def test_arguments_of_another_kind_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        sample(make_model(), **{"n": 2, "length": 8, **options})
