"""`SlidingWindow` and `FadingMean`: running outputs that forget, in any chunks and steps."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from stream_cases import DOUBLE, assert_close, classifier, feed, follow, perturbed, plans, sample
from torch import Tensor

from multiresconv import MultiresForecaster, MultiresRegressor, MultiresRidge
from multiresconv.layers import SlidingWindow
from multiresconv.models import FadingMean, Output, begin_stream

law = examples(30)
poolings = st.sampled_from(["mean", "max", "last"])
backends = st.sampled_from(["auto", "reference"])
inputs = st.sampled_from([{"d_input": 4}, {"d_input": None, "n_tokens": 7}])


def regressor(**options: Any) -> MultiresRegressor:
    torch.manual_seed(0)
    model = MultiresRegressor(3, 6, 2, **{"d_input": 4, "depth": 3, "dtype": DOUBLE, **options})
    model.target_standardise.set(torch.tensor([1.0, -2.0, 3.0]), torch.tensor([2.0, 0.5, 7.0]))
    perturbed(model)
    return model


@law
@given(poolings, backends, inputs, plans, st.integers(1, 9), st.data())
def test_a_window_is_the_model_of_its_last_steps(
    pooling: str, backend: str, kind: dict[str, Any], plan: list[int], window: int, data: st.DataObject
) -> None:
    model = classifier(pooling=pooling, backend=backend, **kind)
    hop = data.draw(st.integers(1, window))
    x = sample(model, 2, 15)
    y = follow(SlidingWindow(model, window, hop, batch_size=2), x, plan)
    with torch.no_grad():
        for n in range(x.shape[1]):
            start = max(0, math.ceil((n + 1 - window) / hop) * hop)
            assert n + 1 - start <= window
            assert start == 0 or n + 1 - start > window - hop
            assert_close(y[:, n], model(x[:, start : n + 1]))


@law
@given(st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, unique=True), st.integers(0, 9)), max_size=6))
def test_sequences_of_a_window_advance_and_restart_alone(turns: list[tuple[list[int], int]]) -> None:
    model = classifier()
    together, alone = SlidingWindow(model, 7, 3, batch_size=3), [SlidingWindow(model, 7, 3) for _ in range(3)]
    for rows, length in turns:
        if length == 9:
            together.reset(rows)
            for row in rows:
                alone[row] = SlidingWindow(model, 7, 3)
        x = sample(model, len(rows), max(length, 1))
        x = x if length else x[:, 0]
        y = together(x, rows)
        for row, found, one in zip(rows, y, x, strict=True):
            assert_close(found, alone[row](one[None])[0])


def test_a_window_of_ridge_regression() -> None:
    torch.manual_seed(0)
    model = MultiresRidge(Output("class", ("a", "b")), 2, 5, kernel_size=4, depth=3, n_thresholds=2)
    torch.nn.init.normal_(model.head.weight)
    x = torch.randn(1, 30, 2)
    y = SlidingWindow(model, 10, 5)(x)
    assert_close(y[:, -1], model(x[:, -10:]))
    assert_close(y[:, 26], model(x[:, 20:27]))


def faded(model: Any, x: Tensor, half_life: float) -> Tensor:
    """The outputs after each step by the definition."""
    features = model.net(x)
    pooled = []
    for n in range(x.shape[1]):
        weights = 0.5 ** (torch.arange(n, -1, -1, dtype=DOUBLE) / half_life)
        pooled.append((weights[:, None] * features[:, : n + 1]).sum(1) / weights.sum())
    return model.from_pooled(torch.stack(pooled, 1))


@law
@given(st.sampled_from([classifier, regressor]), backends, inputs, plans, st.floats(0.05, 1e6), st.booleans())
def test_a_fading_mean_is_its_definition(
    make: Any, backend: str, kind: dict[str, Any], plan: list[int], half_life: float, shown: bool
) -> None:
    model = make(backend=backend, **kind)
    x = sample(classifier(**kind), 2, 25)
    fading = FadingMean(model, half_life)
    stream = fading.stream(2)
    assert (stream.why_not_fused is None) == (backend == "auto")
    with torch.no_grad():
        wanted = faded(model, x, half_life)
        assert_close(follow(stream, x, plan), wanted)
        y, state = feed(fading, x, fading.init_state(2), plan)
        assert_close(y, wanted)
        assert_close(fading(x), wanted[:, -1])
        for name, tensor in stream.state().items():
            assert_close(tensor, state[name])


def test_a_long_half_life_forgets_nothing_and_a_chunk_may_be_long() -> None:
    model = classifier()
    x = sample(model, 1, 1000)
    assert_close(FadingMean(model, 1e12).stream()(x), model.stream()(x))
    rough, fine = FadingMean(model, 100).stream(), FadingMean(model, 100).stream()
    assert_close(rough(x), torch.cat([fine(part) for part in x.split(77, 1)], 1))


def test_a_stream_of_two_halves_switches_soon() -> None:
    """What a mean since the start says 1,000 steps late, a window and a half-life of 50 steps say in time."""
    model = classifier(d_input=1, pooling="mean")
    with torch.no_grad():
        features = torch.stack([model.net(level * torch.ones(1, 1000, 1, dtype=DOUBLE))[0, -1] for level in (-1, 1)])
        model.head.weight[:2] = torch.stack([features[0] - features[1], features[1] - features[0]])
        middle = features.mean(0)
        model.head.weight[2], model.head.bias[:] = 0, 0
        model.head.bias[:2] = -(model.head.weight[:2] @ middle)
        model.head.bias[2] = -1e6
    x = torch.cat([-torch.ones(1, 1000, 1, dtype=DOUBLE), torch.ones(1, 1000, 1, dtype=DOUBLE)], 1)
    late = {}
    for name, stream in {
        "mean": model.stream(),
        "window": SlidingWindow(model, 100),
        "fading": FadingMean(model, 50).stream(),
    }.items():
        answers = stream(x)[0].argmax(1)
        assert not answers[999]
        late[name] = int((answers[1000:] == 0).sum())
    assert late["mean"] > 900
    assert late["window"] <= 100
    assert late["fading"] <= 100


def test_bad_arguments() -> None:
    model = classifier()
    for window, hop, fault in ((0, None, "window: "), (4, 5, "hop: "), (4, 0, "hop: ")):
        with pytest.raises(ValueError, match=f"^{fault}"):
            SlidingWindow(model, window, hop)
    with pytest.raises(ValueError, match=r"^x: "):
        SlidingWindow(model, 4)(torch.zeros(2, 4, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"^x: "):
        SlidingWindow(model, 4)(torch.zeros(1, 0, 4, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"^rows: "):
        SlidingWindow(model, 4, batch_size=2)(torch.zeros(2, 4, dtype=DOUBLE), [0, 0])
    with pytest.raises(ValueError, match="use a window"):
        FadingMean(classifier(pooling="max"), 10)
    with pytest.raises(ValueError, match="a MultiresForecaster; use a window"):
        FadingMean(MultiresForecaster(4, 6, 2, d_input=2, depth=3), 10)
    for options, fault in (({"window": 3, "half_life": 2}, "window, half_life"), ({"hop": 3}, "hop")):
        with pytest.raises(ValueError, match=f"^{fault}: "):
            begin_stream(model, **options)
    for half_life in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^half_life: "):
            FadingMean(model, half_life)
    with pytest.raises(ValueError, match=r"^lengths: "):
        FadingMean(model, 10)(torch.zeros(1, 3, 4, dtype=DOUBLE), [3])
