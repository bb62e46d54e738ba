"""`MultiresForecaster`: every step forecasts from the past alone, in raw units, with ordered quantiles."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from stream_cases import DOUBLE, assert_close, feed, follow, plans
from torch import Tensor

from multiresconv import MultiresForecaster, load, save
from multiresconv.models import Input, Output, init_from
from multiresconv.tasks.naive_forecasts import seasonal_naive

law = examples(15)
QUANTILES = [(), (0.5,), (0.1, 0.5, 0.9), (0.05, 0.25), (0.2, 0.4, 0.6, 0.8)]


def forecaster(seed: int = 0, **options: Any) -> MultiresForecaster:
    torch.manual_seed(seed)
    options = {"horizon": 4, "d_input": 6, "n_channels": 2, "depth": 3, "dtype": DOUBLE, **options}
    model = MultiresForecaster(d_model=6, n_layers=2, **options).eval()
    assert model.net.standardise is not None
    model.net.standardise.set(torch.randn(6), torch.rand(6) + 0.5)
    model.target_standardise.set(0.0, torch.rand(2) + 0.5)
    return model


def sample(model: MultiresForecaster, batch: int, length: int) -> Tensor:
    x = torch.randn(batch, length, 6, dtype=model.head.weight.dtype)
    return x.masked_fill(torch.rand(x.shape) < 0.4, torch.nan) if model.mask_missing else x


@law
@given(
    st.sampled_from(QUANTILES),
    st.booleans(),
    st.sampled_from([torch.float32, DOUBLE]),
    st.sampled_from(["auto", "reference"]),
    plans,
    st.integers(1, 15),
    st.integers(1, 5),
    st.integers(1, 7),
)
def test_whole_is_every_step_is_chunks_is_steps_is_stream(
    quantiles: Any,
    masks: bool,
    dtype: torch.dtype,
    backend: str,
    plan: list[int],
    length: int,
    horizon: int,
    season: int,
) -> None:
    options: dict[str, Any] = {"quantiles": quantiles, "mask_missing": masks, "dtype": dtype, "backend": backend}
    model = forecaster(horizon=horizon, season=season, **options)
    x = sample(model, 2, length)
    with torch.no_grad():
        wanted = torch.stack([model(x[:, : n + 1]) for n in range(length)], dim=1)
        assert_close(model.every_step(x), wanted)
    assert wanted.shape == (2, length, horizon, 2, max(len(quantiles), 1))
    running, state = feed(model, x, model.init_state(2), plan)
    assert_close(running, wanted)
    stream = model.stream(2)
    assert (stream.why_not_fused is None) == (backend == "auto")
    assert_close(follow(stream, x, plan), wanted)
    for name, tensor in stream.state().items():
        assert_close(tensor.to(dtype), state[name].to(dtype))
    stream.reset([1])
    assert_close(follow(stream, x[1:], plan, [1]), wanted[1:])


@law
@given(st.booleans(), st.integers(1, 5), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_padding_and_the_future_are_not_seen(masks: bool, season: int, lengths: list[int]) -> None:
    model = forecaster(mask_missing=masks, season=season)
    x = sample(model, len(lengths), max(lengths))
    with torch.no_grad():
        wanted, every = model(x, lengths), model.every_step(x)
        for row, length in enumerate(lengths):
            assert_close(wanted[row], model(x[row : row + 1, :length])[0])
            x[row, length:] = torch.nan
        assert_close(model(x, lengths), wanted)
        for row, y in enumerate(model.every_step(x, lengths)):
            assert_close(y[: lengths[row]], every[row, : lengths[row]])


def test_padding_changes_no_gradient() -> None:
    model, x, lengths = forecaster(mask_missing=True), sample(forecaster(mask_missing=True), 2, 7), [7, 3]
    gradients = []
    for padding in (0.0, torch.nan):
        x[1, 3:] = padding
        y = model.every_step(x, lengths, steps=[0, 2])
        gradients.append(torch.autograd.grad(y.sin().sum(), [*model.parameters()]))
    for got, wanted in zip(*gradients, strict=True):
        assert_close(got, wanted)


@law
@given(st.sampled_from(QUANTILES), st.integers(0, 99), st.sampled_from([torch.float32, DOUBLE]))
def test_quantiles_never_cross(quantiles: Any, seed: int, dtype: torch.dtype) -> None:
    model = forecaster(seed, quantiles=quantiles, dtype=dtype)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(100)  # softplus then rounds to 0
    y = model.every_step(1e3 * sample(model, 3, 9))
    assert (y.diff(dim=-1) >= 0).all()


@law
@given(st.floats(0.1, 10), st.floats(-100, 100), st.integers(1, 5))
def test_forecasts_have_the_units_of_the_signal_and_follow_its_level(factor: float, offset: float, season: int) -> None:
    model = forecaster(season=season)
    x, scale = sample(model, 2, 9), model.target_standardise.std
    assert model.net.standardise is not None
    mean, std = model.net.standardise.mean.clone(), model.net.standardise.std.clone()
    before = model(x)
    model.net.standardise.set(factor * mean + offset, factor * std)
    model.target_standardise.set(0.0, factor * scale)
    assert_close(model(factor * x + offset), factor * before + offset)


def test_an_untrained_head_of_zeros_repeats_the_last_value_that_is_there() -> None:
    model = forecaster(mask_missing=True, quantiles=())
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    x = torch.randn(1, 5, 6, dtype=DOUBLE)
    x[0, [0, 2, 3], 0] = torch.nan
    x[0, [1, 2, 4], 1] = torch.nan
    assert model.net.standardise is not None
    first = model.net.standardise.mean[0]
    wanted = torch.stack(
        [
            torch.stack([first, x[0, 1, 0], x[0, 1, 0], x[0, 1, 0], x[0, 4, 0]]),
            x[0, [0, 0, 0, 3, 3], 1],
        ],
        dim=1,
    )
    assert_close(model.every_step(x), wanted[None, :, None, :, None].expand(1, 5, 4, 2, 1))


@law
@given(st.booleans(), st.integers(1, 6), st.integers(1, 9))
def test_an_untrained_head_of_zeros_repeats_the_last_season(masks: bool, season: int, horizon: int) -> None:
    model = forecaster(mask_missing=masks, season=season, horizon=horizon, quantiles=())
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    x = sample(model, 2, 12)
    x[:, 0] = 1.0  # there
    every = model.every_step(x)
    for step in range(season - 1, 12):
        assert_close(every[:, step, :, :, 0], seasonal_naive(x[:, : step + 1, :2], horizon, season))
    assert model.net.standardise is not None
    unknown = model.net.standardise.mean[:2].expand(2, min(season - 1, horizon), 2)
    assert_close(every[:, 0, : season - 1, :, 0], unknown)  # before the first step


def test_steps_are_chosen() -> None:
    model = forecaster(season=3)
    x = sample(model, 2, 9)
    every = model.every_step(x)
    assert_close(model.every_step(x, steps=[8, 0, 3]), every[:, [8, 0, 3]])
    rows = torch.tensor([[8, 0], [1, 2]])
    assert_close(model.every_step(x, steps=rows), torch.stack([every[row, rows[row]] for row in range(2)]))
    with pytest.raises(ValueError, match=r"steps: expected shape \(N,\) or \(2, N\), got \(3, 1\)"):
        model.every_step(x, steps=rows.new_zeros(3, 1))
    with pytest.raises(IndexError):
        model.every_step(x, steps=[9])


def test_a_folder_gives_the_model_back(tmp_path: Path) -> None:
    input = Input("signal", tuple("abcdef"), unit="kW")
    model = forecaster(input=input, quantiles=(0.25, 0.5), mask_missing=True, season=3)
    x = sample(model, 3, 9)
    save(model, tmp_path)
    again = load(tmp_path)
    assert torch.equal(again(x), model(x))
    assert again.output == Output("forecast", ("a", "b"), ("kW", "kW"), horizon=4, quantiles=(0.25, 0.5))
    assert (again.input, again.config, type(again)) == (input, model.config, MultiresForecaster)


def test_a_head_of_another_meaning_is_not_taken(tmp_path: Path) -> None:
    save(forecaster(horizon=4, quantiles=(0.1, 0.5, 0.9)), tmp_path)
    assert not any("head" in name for name in init_from(forecaster(seed=1), tmp_path).left)
    for options in ({"horizon": 6, "quantiles": (0.1, 0.9)}, {"season": 2}):
        left = init_from(forecaster(**options), tmp_path).left
        assert {"head.weight", "head.bias"} <= set(left)  # of the same shape


def test_a_stream_refuses_what_does_not_fit() -> None:
    model = forecaster(mask_missing=True)
    x, state = sample(model, 2, 5), model.init_state(2)
    with pytest.raises(ValueError, match=r"state: last: expected shape \(2, 1, 2\)"):
        model(x, state={**state, "last": state["last"][..., :1]})
    stream = model.stream(2)
    model.target_standardise.std.data = torch.ones(2, dtype=DOUBLE)
    with pytest.raises(RuntimeError, match="stream: the module has changed"):
        stream(x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon: expected at least 1, got 0"),
        ({"horizon": 2**20}, "horizon: expected at most 65,536, got 1,048,576"),
        ({"season": 0}, "season: expected at least 1, got 0"),
        ({"season": 2**20}, "season: expected at most 65,536, got 1,048,576"),
        ({"n_channels": 7}, "n_channels: expected 1 to 6, got 7"),
        ({"quantiles": (0.5, 0.1)}, "output: quantiles: expected increasing numbers between 0 and 1"),
        ({"quantiles": (0.0, 0.5)}, "output: quantiles: expected increasing numbers between 0 and 1"),
        ({"bidirectional": True}, "bidirectional: expected False"),
        ({"output": Output("forecast", ("a",), horizon=3)}, "output: expected 6 names, got 1"),
        (
            {"output": Output("forecast", tuple("abcdef"), horizon=3)},
            r"output: expected horizon 4 and quantiles \(0.1, 0.5, 0.9\), got 3 and \(\)",
        ),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiresForecaster(**{"horizon": 4, "d_model": 6, "n_layers": 1, "d_input": 6, "depth": 3, **options})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "forecast"}, "output: horizon: expected a whole number above 0 for a forecast, else None, got None"),
        ({"kind": "value", "horizon": 3}, "output: horizon: .*, got 3"),
        ({"kind": "class", "quantiles": (0.5,)}, "output: quantiles: .*"),
    ],
)
def test_bad_descriptions_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Output(**values)
