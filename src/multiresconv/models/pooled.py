"""`PooledModel`: base of the models that give one vector of outputs for a sequence."""

from abc import abstractmethod
from collections.abc import Iterator
from operator import index
from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.layers import (
    Pooling,
    check_lengths,
    check_pooling,
    pool,
    pool_chunk,
    pooled_before,
    refuse_lengths,
    valid_steps,
)
from multiresconv.layers.lengths import Lengths
from multiresconv.layers.stream import StreamParts
from multiresconv.models.config import check_sizes
from multiresconv.models.description import Input, Output, numbered, numbers
from multiresconv.models.net import MultiresNet
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.streaming import check_state_tensor


class PooledModel(SequenceModel):
    """A `MultiresNet`, pooling over the valid steps, and a linear map: (B, L, ...) -> (B, d_output).

    In a stream the outputs after each step are those of the sequence so far; `FadingMean` and `SlidingWindow` forget. A
    subclass overrides `_usual_output`.

    Args:
        d_output: number of outputs.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input. Give exactly one of d_input and n_tokens.
        n_tokens: size of the vocabulary of token input.
        pooling: "mean" or "max" over the valid steps, or the "last" valid step.
        input: description of the input; default a signal with unnamed channels, or tokens named by their numbers.
        output: description of the output, with d_output names; default that of `_usual_output`.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            bidirectional, dropout, norm, norm_first, mask_missing.
    """

    def __init__(
        self,
        d_output: int,
        d_model: int,
        n_layers: int,
        *,
        d_input: int | None = None,
        n_tokens: int | None = None,
        pooling: Pooling = "mean",
        input: Input | None = None,
        output: Output | None = None,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        d_output = index(d_output)
        if d_output < 1:
            raise ValueError(f"d_output: expected at least 1, got {d_output}")
        check_pooling(pooling)
        check_sizes(d_output=d_output)
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        net = MultiresNet(d_model, n_layers, d_input=d_input, n_tokens=n_tokens, backend=backend, **where, **options)
        if input is None and n_tokens is None:
            input = Input("signal", channels=numbered("channel", net.n_inputs))
        elif input is None:
            input = Input("tokens", vocabulary=numbers(net.n_inputs))
        output = output or self._usual_output(d_output)
        if len(output.names) != d_output:
            raise ValueError(f"output: expected {d_output} names, got {len(output.names)}")
        super().__init__(net, d_output, input, output, **where)
        self.pooling: Pooling = pooling
        self._state_names = () if pooling == "last" else ("pooled",)

    @staticmethod
    @abstractmethod
    def _usual_output(d_output: int) -> Output:
        """Describe outputs that were given no description."""

    @property
    def config(self) -> dict[str, Any]:
        net = self.net.config
        del net["projection"]
        return {"d_output": self.head.out_features, "pooling": self.pooling, **net}

    def contributions(self, x: Tensor, lengths: Lengths | None = None, *, chunk: int | None = None) -> Tensor:
        """Split the outputs of the head over the time steps; the sum over the steps is the outputs.

        This is exact because the head is linear. Let f[n] be the features of step n, W and b the head's weight and
        bias, and N the number of valid steps. A valid step contributes::

            pooling "mean":  c[n] = (W f[n] + b) / N
            pooling "max":   c[n] = sum_{d in D[n]} W[:, d] * f[n, d] + b / N

        D[n] holds the channels whose maximum over time is at step n, at the first such step on ties. The features of a
        causal net summarise the steps so far: a contribution stands where the net has heard enough, often somewhat
        later than its cause.

        Args:
            x: (B, L, d_input) or tokens (B, L), as in `forward`.
            lengths: (B,) valid steps of each sequence, as in `forward`.
            chunk: number of steps to compute at once, so that the features of a long sequence need not fit in memory;
                None computes all at once. For causal models in eval mode only, and not together with lengths.

        Returns:
            (B, L, d_output), 0 at padded steps; of values, in standard deviations from the mean of the targets.

        Raises:
            ValueError: the pooling is "last", which leaves nothing to split; `chunk` is below 1 or comes with lengths.
            TypeError: the head was replaced by a module that is not an `nn.Linear`.
            RuntimeError: `chunk` is given for a bidirectional model.
        """
        if self.pooling == "last":
            raise ValueError(
                "pooling: the last step gives the outputs alone; "
                "multiresconv.inspection.attribution.integrated_gradients splits them over the input"
            )
        if not isinstance(self.head, nn.Linear):
            raise TypeError(f"head: expected a Linear, a {type(self.head).__name__} cannot be split over the steps")
        self._check(x, time=("length >= 1",))
        length = x.shape[1]
        features = self._features(x, lengths, chunk)
        counts = torch.full((x.shape[0],), length) if lengths is None else check_lengths(lengths, x)
        counts = counts.to(self.head.weight.device)
        if self.pooling == "mean":
            parts = torch.cat([self.head(part) for part in features], 1) / counts[:, None, None]
        else:
            values, steps = _first_maxima(features, counts)
            parts = self.head.weight.new_zeros(x.shape[0], length, self.head.out_features)
            if self.head.bias is not None:
                parts = parts + self.head.bias / counts[:, None, None]
            places = steps[:, :, None].expand(-1, -1, parts.shape[2])
            parts = parts.scatter_add(1, places, (values[:, :, None] * self.head.weight.mT).to(parts.dtype))
        return parts if lengths is None else parts.where(valid_steps(counts, length), 0)

    def _features(self, x: Tensor, lengths: Lengths | None, chunk: int | None) -> Iterator[Tensor]:
        """Yield the features (B, n, d_model) of consecutive parts of x; without `chunk`, of the whole."""
        if chunk is None:
            yield self.net(x, lengths)
            return
        refuse_lengths(lengths)
        if chunk < 1:
            raise ValueError(f"chunk: expected at least 1, got {chunk}")
        state = self.net.init_state(x.shape[0])
        for part in x.split(chunk, dim=1):
            features, state = self.net(part, state=state)
            yield features

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Return the outputs (..., d_output) for pooled features (..., d_model)."""
        return self.head(pooled)

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str):
            return parts
        pooled = None if self.pooling == "last" else "pooled"
        return parts._replace(tensors=parts.tensors._replace(pooling=self.pooling), pooled=pooled)

    def _start(self, batch_size: int) -> State:
        return pooled_before(self.pooling, batch_size, self.net.like)

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return self.from_pooled(self._pooled(x, lengths))

    def _pooled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        features = self.net(x, lengths)
        return pool(features, None if lengths is None else lengths.to(features.device), self.pooling)

    def _chunk(self, x: Tensor, features: Tensor, state: State) -> tuple[Tensor, State]:
        for name, expected in self._start(1).items():
            shape = (state["lines"].shape[0], *expected.shape[1:])
            check_state_tensor(name, state[name], shape, expected.dtype, expected.device)
        pooled, part = pool_chunk(features, state, state["position"], self.pooling)
        return self.from_pooled(pooled), part


def _first_maxima(parts: Iterator[Tensor], counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each channel over the first counts (B,) steps, and its first step, both (B, D).

    `parts` are consecutive features (B, n, D).
    """
    start, values, steps = 0, torch.empty(0), torch.empty(0)
    for part in parts:
        valid = valid_steps(counts - start, part.shape[1])
        largest, at = part.where(valid, -torch.inf).max(1)
        if start == 0:
            values, steps = largest, at
        else:
            better = largest > values
            values, steps = torch.where(better, largest, values), torch.where(better, at + start, steps)
        start += part.shape[1]
    return values, steps
