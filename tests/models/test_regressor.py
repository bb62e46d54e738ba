"""`MultiresRegressor`: raw units, and everything that a model of this library does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from stream_cases import DOUBLE, assert_close, feed, follow, plans
from torch import Tensor, nn

from multiresconv import MultiresRegressor, load, save
from multiresconv.models import Output, init_from

law = examples(15)
MEAN, STD = torch.tensor([100.0, -3.0]), torch.tensor([7.0, 0.01])


def regressor(**options: Any) -> MultiresRegressor:
    torch.manual_seed(0)
    model = MultiresRegressor(2, 6, 2, **{"d_input": 4, "depth": 3, "dtype": DOUBLE, **options}).eval()
    model.target_standardise.set(MEAN, STD)
    return model


def beginnings(model: MultiresRegressor, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([model(x[:, : n + 1]) for n in range(x.shape[1])], dim=1)


@law
@given(
    st.sampled_from(["mean", "last", "max"]),
    st.sampled_from([torch.float32, DOUBLE]),
    st.sampled_from(["auto", "reference"]),
    st.booleans(),
    plans,
    st.integers(1, 15),
)
def test_whole_is_chunks_is_steps_is_stream(
    pooling: str, dtype: torch.dtype, backend: str, tokens: bool, plan: list[int], length: int
) -> None:
    size: dict[str, Any] = {"d_input": None, "n_tokens": 7} if tokens else {}
    model = regressor(pooling=pooling, dtype=dtype, backend=backend, **size)
    x = torch.randint(7, (2, length)) if tokens else torch.randn(2, length, 4, dtype=dtype)
    wanted = beginnings(model, x)
    running, state = feed(model, x, model.init_state(2), plan)
    assert_close(running, wanted)
    stream = model.stream(2)
    assert (stream.why_not_fused is None) == (backend == "auto")
    assert_close(follow(stream, x, plan), wanted)
    for name, tensor in stream.state().items():
        assert_close(tensor.to(dtype), state[name].to(dtype))
    stream.reset([1])
    assert_close(follow(stream, x[1:], plan, [1]), wanted[1:])


def test_padding_is_not_seen() -> None:
    model, x, lengths = regressor(), torch.randn(3, 9, 4, dtype=DOUBLE), [9, 2, 5]
    padded = x.clone()
    for row, length in enumerate(lengths):
        padded[row, length:] = torch.nan
    for row, y in enumerate(model(padded, lengths)):
        assert_close(y, model(x[row : row + 1, : lengths[row]])[0])


@law
@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_outputs_have_the_units_of_the_targets(factor: float, offset: float) -> None:
    model, x = regressor(), torch.randn(3, 9, 4, dtype=DOUBLE)
    before, standardised = model(x), model.standardised(x)
    assert_close(standardised * STD.double() + MEAN.double(), before)
    assert_close(model.target_standardise(before), standardised)
    model.target_standardise.set(factor * MEAN.double() + offset, factor * STD.double())
    assert_close(model(x), factor * before + offset)
    assert_close(model.standardised(x), standardised)


def test_a_folder_gives_the_model_back(tmp_path: Path) -> None:
    output = Output("value", ("age", "height"), ("years", "m"))
    model, x = regressor(output=output, pooling="max"), torch.randn(3, 9, 4, dtype=DOUBLE)
    save(model, tmp_path)
    again = load(tmp_path)
    assert torch.equal(again(x), model(x))
    assert (again.output, again.config, type(again)) == (output, model.config, MultiresRegressor)
    model.target_standardise.std.zero_()
    with pytest.raises(ValueError, match=r"target_standardise\.std: expected standard deviations above 0"):
        save(model, tmp_path)


def test_a_start_from_a_saved_model_keeps_the_units_of_its_own_targets(tmp_path: Path) -> None:
    save(regressor(), tmp_path)
    model = MultiresRegressor(2, 6, 2, d_input=4, depth=3, dtype=DOUBLE)
    said = init_from(model, tmp_path)
    assert {name for name in said.left if not name.startswith("net.")} == {
        "target_standardise.mean",
        "target_standardise.std",
    }
    x = torch.randn(2, 5, 4, dtype=DOUBLE)
    assert_close(model(x), regressor().standardised(x))


def replaced_values(model: MultiresRegressor) -> None:
    model.target_standardise.std.data = torch.ones(2, dtype=DOUBLE)


def replaced_buffer(model: MultiresRegressor) -> None:
    model.target_standardise.mean = torch.zeros(2, dtype=DOUBLE)


def without(model: MultiresRegressor) -> None:
    model.target_standardise = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("change", [replaced_values, replaced_buffer, without])
def test_targets_that_change_under_a_stream_are_an_error(change: Any) -> None:
    model, x = regressor(), torch.randn(2, 6, 4, dtype=DOUBLE)
    stream = model.stream(2)
    stream(x)
    change(model)
    with pytest.raises(RuntimeError, match="stream: the module has changed"):
        stream(x)


def test_new_units_take_effect_at_once_in_a_stream() -> None:
    model, x = regressor(), torch.randn(2, 6, 4, dtype=DOUBLE)
    stream = model.stream(2)
    model.target_standardise.set(5.0, 2.0)
    assert stream.why_not_fused is None
    assert_close(stream(x), beginnings(model, x))


def test_a_subclass_streams_without_the_kernel() -> None:
    class Doubled(MultiresRegressor):
        pass

    model = Doubled(2, 6, 2, d_input=4, depth=3).eval()
    assert model.stream().why_not_fused == "the model is a Doubled"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_output": 0}, "d_output: expected at least 1, got 0"),
        ({"output": Output("value", ("a",))}, "output: expected 2 names, got 1"),
        ({"pooling": "sum"}, "pooling: expected one of mean, last, max, got 'sum'"),
        ({"n_tokens": 7}, "d_input, n_tokens: expected exactly one of them"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiresRegressor(**{"d_output": 2, "d_model": 6, "n_layers": 1, "d_input": 4, "depth": 3, **options})
