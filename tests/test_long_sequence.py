"""Training in chunks, as `examples/long_sequence.py` does it: what is exact, and what is truncated."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from runpy import run_path
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from profiles import examples
from torch import Tensor, nn

from multiresconv.models import MultiresClassifier, MultiresNet
from multiresconv.ops import State

EXAMPLE = run_path(str(ROOT / "examples" / "long_sequence.py"))
DOUBLE = torch.float64


class Regression(nn.Module):
    """A loss of every step of a sequence x (B, L, 2). A classifier pools, so its state does too."""

    def __init__(self, pooling: str | None, x: Tensor, **options: Any) -> None:
        super().__init__()
        if pooling is None:
            self.model = MultiresNet(4, 2, d_input=2, dtype=DOUBLE, **options)
        else:
            self.model = MultiresClassifier(4, 4, 2, d_input=2, pooling=pooling, dtype=DOUBLE, **options)  # pyright: ignore[reportArgumentType]
        self.head = nn.Linear(4, 1, dtype=DOUBLE)
        self.x, self.target = x, torch.randn(*x.shape[:2], 1, dtype=DOUBLE)

    def chunk(self, chunk: range, state: State) -> tuple[Tensor, State]:
        part = slice(chunk.start, chunk.stop)
        y, state = self.model(self.x[:, part], state=state)
        return (self.head(y) - self.target[:, part]).square().sum(), state

    def gradients(self) -> list[Tensor]:
        """Return the gradients of all parameters, those of the head last, and reset them."""
        found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.parameters()]
        self.zero_grad()
        return found


@st.composite
def regressions(draw: st.DrawFn) -> tuple[Regression, list[range]]:
    torch.manual_seed(draw(st.integers(0, 2**16)))
    memory = draw(st.sampled_from([(1, 1, 1), (1, 1, 1, 1, 1), (0, 2), (3, 0, 1)]))
    kernel_size, norm_first = draw(st.sampled_from([2, 3, 5])), draw(st.booleans())
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=5))
    x = torch.randn(draw(st.integers(1, 3)), sum(lengths), 2, dtype=DOUBLE)
    pooling = draw(st.sampled_from([None, "mean", "max", "last"]))
    ends = [sum(lengths[:count]) for count in range(len(lengths) + 1)]
    chunks = [range(start, stop) for start, stop in pairwise(ends)]
    options = {"memory": memory, "kernel_size": kernel_size, "norm_first": norm_first}
    return Regression(pooling, x, **options), chunks


def backward(how: str, of: Regression, chunks: Sequence[range]) -> tuple[float, list[Tensor]]:
    """Return the loss and the gradients by a function of the example."""
    run: Callable[..., tuple[float, State]] = EXAMPLE[how]
    loss, state = run(of.chunk, chunks, of.model.init_state(len(of.x)))
    assert state["position"].tolist() == [chunks[-1].stop] * len(of.x)
    assert not any(tensor.requires_grad for tensor in state.values())
    return loss, of.gradients()


def whole(of: Regression) -> tuple[float, list[Tensor]]:
    """Return the loss and the gradients of one chunk, which is the whole sequence."""
    loss, _ = of.chunk(range(of.x.shape[1]), of.model.init_state(len(of.x)))
    loss.backward()
    return loss.item(), of.gradients()


def assert_close(found: Any, wanted: Any) -> None:
    scale = max(float(t.abs().max()) for t in wanted) if isinstance(wanted, list) else abs(wanted)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10 * max(1.0, scale))


@examples(40)
@given(regressions())
def test_nothing_of_an_exact_gradient_is_missing(case: tuple[Regression, list[range]]) -> None:
    of, chunks = case
    loss, gradients = whole(of)
    found, exact = backward("exact", of, chunks)
    assert_close(found, loss)
    assert_close(exact, gradients)


@examples(40)
@given(regressions())
def test_truncation_leaves_the_loss_and_the_gradients_of_the_head(case: tuple[Regression, list[range]]) -> None:
    of, chunks = case
    loss, gradients = whole(of)
    found, truncated = backward("truncated", of, chunks)
    assert_close(found, loss)
    assert_close(truncated[-2:], gradients[-2:])
    if len(chunks) == 1:
        assert_close(truncated, gradients)


def test_what_passes_through_the_state_is_truncated() -> None:
    torch.manual_seed(0)
    of = Regression(None, torch.randn(2, 20, 2, dtype=DOUBLE), memory=(1, 1, 1))
    _, gradients = whole(of)
    _, truncated = backward("truncated", of, [range(10), range(10, 20)])
    different = sum(float((a - b).square().sum()) for a, b in zip(truncated, gradients, strict=True)) ** 0.5
    assert different > 1e-3
    # What was missing is what the second chunk's loss says of the first chunk.
    state = of.model.init_state(2)
    loss, _ = of.chunk(range(10, 20), of.chunk(range(10), state)[1])
    loss.backward()
    through = of.gradients()
    of.chunk(range(10), state)[0].backward()
    first = of.gradients()
    assert_close([a + b for a, b in zip(first, through, strict=True)], gradients)
