"""The contributions of the steps add up to the logits, for any pooling that has them, input and batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor, nn

from multiresconv import MultiresClassifier

close = torch.testing.assert_close


@st.composite
def cases(draw: st.DrawFn, *, causal: bool = False) -> tuple[MultiresClassifier, Tensor]:
    """A classifier in float64, and a batch for it."""
    tokens = draw(st.booleans())
    model = MultiresClassifier(
        draw(st.integers(1, 4)),
        d_model=draw(st.integers(1, 6)),
        n_layers=draw(st.integers(1, 2)),
        depth=draw(st.integers(1, 4)),
        pooling=draw(st.sampled_from(["mean", "max"])),
        bidirectional=not causal and draw(st.booleans()),
        norm=draw(st.sampled_from(["layer", "batch"])),
        dtype=torch.float64,
        **({"n_tokens": 5} if tokens else {"d_input": 2}),
    ).eval()
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 30)))
    return model, torch.randint(5, shape) if tokens else torch.randn(*shape, 2, dtype=torch.float64)


@examples(30)
@given(cases(), st.data())
def test_they_add_up_to_the_logits(case: tuple[MultiresClassifier, Tensor], data: st.DataObject) -> None:
    model, x = case
    count, length = x.shape[:2]
    lengths = data.draw(st.none() | st.lists(st.integers(1, length), min_size=count, max_size=count))
    parts = model.contributions(x, lengths)
    assert parts.shape == (count, length, model.head.out_features)
    close(parts.sum(1), model(x, lengths))
    for row, valid in zip(parts, lengths or (), strict=False):
        assert (row[valid:] == 0).all()


@examples(20)
@given(cases(causal=True), st.integers(1, 31))
def test_chunks_give_the_same(case: tuple[MultiresClassifier, Tensor], chunk: int) -> None:
    model, x = case
    close(model.contributions(x, chunk=chunk), model.contributions(x))


def test_each_step_has_its_part_of_the_mean_and_of_the_bias() -> None:
    model = MultiresClassifier(3, d_model=4, n_layers=1, d_input=2, depth=3).eval()
    x = torch.randn(2, 10, 2)
    close(model.contributions(x), (model.net(x) @ model.head.weight.T + model.head.bias) / 10)


def test_the_maximum_belongs_to_its_first_step() -> None:
    model = MultiresClassifier(2, d_model=4, n_layers=1, d_input=1, depth=1, pooling="max").eval()
    x = torch.zeros(1, 9, 1)  # all steps have equal features, but for the first, which sees nothing before it
    x[0, 5] = 3.0
    features = model.net(x)[0]
    expected = (model.head.bias / 9).repeat(9, 1)
    for channel, values in enumerate(features.T):
        step = values.tolist().index(values.max().item())
        expected[step] += model.head.weight[:, channel] * values[step]
    for chunk in (None, 1, 4):
        close(model.contributions(x, chunk=chunk)[0], expected)


def test_padding_changes_nothing() -> None:
    model = MultiresClassifier(2, d_model=4, n_layers=2, d_input=2, depth=3, bidirectional=True).eval()
    x = torch.randn(2, 12, 2)
    padded = torch.cat([x, torch.full((2, 5, 2), torch.nan)], 1)
    close(model.contributions(padded, [12, 12])[:, :12], model.contributions(x))


def test_what_cannot_be_split_is_refused() -> None:
    options = {"d_model": 3, "n_layers": 1, "d_input": 2, "depth": 2}
    x = torch.randn(2, 8, 2)
    with pytest.raises(ValueError, match=r"the last step gives the outputs alone; .*integrated_gradients"):
        MultiresClassifier(2, pooling="last", **options).contributions(x)
    model = MultiresClassifier(2, **options).eval()
    with pytest.raises(ValueError, match="chunk: expected at least 1, got 0"):
        model.contributions(x, chunk=0)
    with pytest.raises(ValueError, match="lengths"):
        model.contributions(x, [8, 3], chunk=4)
    with pytest.raises(ValueError, match="lengths: expected 1 to 8"):
        model.contributions(x, [9, 3])
    with pytest.raises(ValueError, match="x: expected shape"):
        model.contributions(x[0])
    with pytest.raises(RuntimeError, match="bidirectional"):
        MultiresClassifier(2, bidirectional=True, **options).eval().contributions(x, chunk=4)
    model.head = nn.Sequential(nn.Linear(3, 2), nn.Tanh())  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError, match="head: expected a Linear, a Sequential"):
        model.contributions(x)
