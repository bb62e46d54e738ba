"""Pooling: over valid steps only, and in a stream after each step what the whole beginning would give."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv import MultiresClassifier
from multiresconv.layers import Pooling, pool

DOUBLE = torch.float64
POOLINGS: tuple[Pooling, ...] = ("mean", "last", "max")
law = examples(30)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 5), st.sampled_from(POOLINGS))
def test_padding_is_not_seen(lengths: list[int], padding: int, pooling: Pooling) -> None:
    x = torch.randn(len(lengths), max(lengths) + padding, 3, dtype=DOUBLE)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    pooled = pool(x, torch.tensor(lengths), pooling)
    for row, length in enumerate(lengths):
        valid = x[row, :length]
        expected = {"mean": valid.mean(0), "last": valid[-1], "max": valid.max(0).values}[pooling]
        torch.testing.assert_close(pooled[row], expected)
        torch.testing.assert_close(pool(valid[None], None, pooling)[0], expected)


@law
@given(
    st.sampled_from(POOLINGS),
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.sampled_from([{}, {"norm_first": True}, {"memory": (0, 3, 1), "depth": None}, {"norm": "batch"}]),
    st.integers(0, 99),
)
def test_whole_is_chunks_is_steps(pooling: Pooling, plan: list[int], options: dict[str, Any], seed: int) -> None:
    """0 is a step, n > 0 a chunk of n."""
    torch.manual_seed(seed)
    options = {"depth": 3, **options}
    model = MultiresClassifier(3, 6, 2, d_input=4, pooling=pooling, dtype=DOUBLE, **options).eval()
    x = torch.randn(2, sum(max(n, 1) for n in plan), 4, dtype=DOUBLE)
    state, done = model.init_state(2), 0
    for n in plan:
        before = {name: tensor.clone() for name, tensor in state.items()}
        if n:
            y, after = model(x[:, done : done + n], state=state)
        else:
            y, after = model.step(x[:, done], state)
            y = y[:, None]
        assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
        for k in range(y.shape[1]):
            whole = model(x[:, : done + k + 1])
            torch.testing.assert_close(y[:, k], whole, rtol=1e-9, atol=1e-9)
        state, done = after, done + y.shape[1]


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling: expected one of mean, last, max, got 'sum'"):
        MultiresClassifier(3, 6, 2, d_input=4, depth=3, pooling="sum")  # pyright: ignore[reportArgumentType]
