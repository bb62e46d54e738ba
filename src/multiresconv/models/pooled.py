"""`PooledModel`: base of the models that give one vector of outputs for a sequence."""

from abc import abstractmethod
from operator import index
from typing import Any

import torch
from torch import Tensor

from multiresconv.layers import Pooling, check_pooling, pool, pool_chunk, pooled_before
from multiresconv.layers.stream import StreamParts
from multiresconv.models.config import check_sizes
from multiresconv.models.description import Input, Output, numbered, numbers
from multiresconv.models.net import MultiresNet
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.streaming import check_state_tensor


class PooledModel(SequenceModel):
    """A `MultiresNet`, pooling over the valid steps, and a linear map: (B, L, ...) -> (B, d_output).

    In a stream the outputs after each step are those of the sequence so far. A subclass overrides `_usual_output`.

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

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str):
            return parts
        pooled = None if self.pooling == "last" else "pooled"
        return parts._replace(tensors=parts.tensors._replace(pooling=self.pooling), pooled=pooled)

    def _start(self, batch_size: int) -> State:
        return pooled_before(self.pooling, batch_size, self.net.like)

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        features = self.net(x, lengths)
        lengths = None if lengths is None else lengths.to(features.device)
        return self.head(pool(features, lengths, self.pooling))

    def _chunk(self, x: Tensor, features: Tensor, state: State) -> tuple[Tensor, State]:
        for name, expected in self._start(1).items():
            shape = (state["lines"].shape[0], *expected.shape[1:])
            check_state_tensor(name, state[name], shape, expected.dtype, expected.device)
        pooled, part = pool_chunk(features, state, state["position"], self.pooling)
        return self.head(pooled), part
