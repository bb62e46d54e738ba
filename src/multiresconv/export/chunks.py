"""`Chunks`: a model as a function of a chunk and a state of at most three float32 or int32 tensors."""

import torch
from torch import Tensor, nn

from multiresconv.export.float_pairs import as_pair, of_pair
from multiresconv.export.whole import example_input
from multiresconv.layers import MultiresLayer
from multiresconv.models import MultiresAR
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import State
from multiresconv.ops.streaming_reference import chunk_in_order


class Chunks(nn.Module):
    """x and a state -> the outputs after each step of x, and the state after it.

    The state before the first step is zeros for every model. It holds the tensors of `init_state`, batch first, with
    these differences:

    - "lines" is (B, layers, D, S), and each delay line has its oldest step first. A ring buffer, which may begin
      elsewhere in each row of a batch, would have to be gathered value by value.
    - "position" is int32. It counts up to 2^31 - 1 steps.
    - The "pooled" sum of a mean, float64 in PyTorch, is two float32 numbers (B, 2, D) that add up to it, see `as_pair`.
    - A tensor whose first value is not zero, such as a maximum, gets that value where "position" is 0.
    - A density model has no "params". Its x is the pixel *before* each step, float32, with the mean of its
      standardisation before the first pixel, and its output is the distribution of the pixel at the step. Sampling
      needs the distribution before the pixel exists.

    Args:
        model: a causal network in eval mode with backend "reference"; its layers are changed.
    """

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model
        for part in model.modules():
            if isinstance(part, MultiresLayer):
                part.__class__ = _InOrder
        self._density = isinstance(model, MultiresAR)
        start = model.net.init_state(1) if self._density else model.init_state(1)
        self.names = tuple(start)
        self._sums = {name for name, value in start.items() if value.dtype == torch.float64}
        self._starts = [name for name, value in start.items() if value.any()]
        for name in self._starts:
            self.register_buffer(f"start_{name}", start[name])

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        before = self._inner(dict(zip(self.names, state, strict=True)))
        if self._density:
            features, after = self.model.net(x, state=before)
            y = self.model.head(features)
        else:
            y, after = self.model(x, state=before)
        return y, *(self._outer(name, after[name]) for name in self.names)

    def example(self, length: int) -> tuple[Tensor, ...]:
        """Return a chunk of two sequences of `length` steps, and the state before the first step."""
        start = self.model.net.init_state(2) if self._density else self.model.init_state(2)
        zeros = (torch.zeros_like(self._outer(name, value)) for name, value in start.items())
        return example_input(self.model, length=length), *zeros

    def _outer(self, name: str, value: Tensor) -> Tensor:
        """Turn a tensor of the model's state into one of this state."""
        if name == "lines":
            return value.transpose(2, 3)
        if name == "position":
            return value.int()
        if name in self._sums:
            return as_pair(value)
        return value

    def _inner(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn a state of this module into one of the model."""
        fresh, inner = state["position"] == 0, dict(state)
        inner["position"] = state["position"].long()
        inner["lines"] = state["lines"].transpose(2, 3)
        for name in self._sums:
            inner[name] = of_pair(state[name])
        for name in self._starts:
            value = state[name]
            inner[name] = torch.where(fresh.view(-1, *[1] * (value.ndim - 1)), getattr(self, f"start_{name}"), value)
        return inner


class _InOrder(MultiresLayer):
    """A layer whose state has each delay line oldest step first, whatever the position."""

    def forward(self, x: Tensor, state: State | None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        assert state is not None
        assert lengths is None
        past = state["lines"].transpose(1, 2)
        y, later = chunk_in_order(x.transpose(1, 2), past, self.h0, self.h1, self.w, self.memory)
        return y.transpose(1, 2), {"lines": later.transpose(1, 2)}
