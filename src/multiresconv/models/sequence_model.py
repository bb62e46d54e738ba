"""`SequenceModel`: what all models share: a net, a linear head, a description, streaming."""

from typing import Any, overload

import torch
from torch import Tensor, nn

from multiresconv.layers import refuse_lengths
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.models.description import Input, Output
from multiresconv.models.net import MultiresNet
from multiresconv.ops import State
from multiresconv.ops.streaming import check_state_names


class SequenceModel(Streamable):
    """A `MultiresNet`, and a linear map from its features to outputs.

    A model of some kind says what it makes of features (B, L, d_model), of whole sequences in `_whole` and of a chunk
    of a stream in `_chunk`, with a part of the state of its own in `_start`.

    Attributes:
        net: the `MultiresNet`.
        head: linear map d_model -> outputs.
        input: what goes in, an `Input`.
        output: what comes out, an `Output`.
    """

    def __init__(
        self,
        net: MultiresNet,
        n_outputs: int,
        input: Input,
        output: Output,
        *,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        size = net.n_inputs
        if input.size != size:
            raise ValueError(f"input: expected a description of {size} channels or tokens, got {input.size}")
        self.net = net
        self.head = nn.Linear(net.d_model, n_outputs, device=device, dtype=dtype)
        self.input, self.output = input, output

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that build this model again, defaults filled in, ready for JSON; without input and output."""
        raise TypeError(f"{type(self).__name__} has no config")

    def reset_parameters(self) -> None:
        self.net.reset_parameters()
        self.head.reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """Return the state before the first step of `batch_size` sequences: that of the net, and the head's part."""
        return {**self.net.init_state(batch_size), **self._start(batch_size)}

    def check_step(self, x: Tensor) -> None:
        """Raise unless x is one step of this model's input."""
        self._check(x, time=())

    def stream_parts(self) -> StreamParts | str:
        """Give what a step computes with, or say why the kernel cannot serve; see `Streamable`."""
        parts, head = self.net.stream_parts(), self.head
        if isinstance(parts, str):
            return f"net: {parts}"
        if type(head) is not nn.Linear or head.bias is None:
            return f"head is a {type(head).__name__}, not a Linear with a bias"
        return parts._replace(tensors=parts.tensors._replace(head=(head.weight, head.bias)))

    @overload
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, lengths: None = None, *, state: State) -> tuple[Tensor, State]: ...
    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Compute the outputs of whole sequences or, with a state, after each step of their next chunk.

        Args:
            x: (B, L, d_input) real, or (B, L) integer tokens in 0..n_tokens-1; L >= 1. In the units of `input`.
            lengths: (B,) integers in 1..L, how many steps of each sequence are valid; None: all. The rest is padding,
                which may hold anything and changes no output, no statistic and no gradient.
            state: of `init_state`, a step or a chunk, where x is the next chunk of a longer sequence. It is left as it
                is. Not together with lengths, nor while dropout or batch norm is in training mode.

        Returns:
            What the class says of whole sequences. With a state: (B, L, n_outputs), at each step of the chunk the
            outputs for all steps up to there, and the state after the chunk.
        """
        self._check(x, time=("length >= 1",))
        if state is None:
            return self._whole(x, lengths)
        refuse_lengths(lengths)
        check_state_names(state, "lines", "position", *self._state_names)
        net_state = {name: state[name] for name in ("lines", "position")}
        features, after = self.net(x, state=net_state)
        y, part = self._chunk(features, state)
        return y, {**after, **part}

    # What a kind of model says

    _state_names: tuple[str, ...] = ()

    def _check(self, x: Tensor, time: tuple[str, ...]) -> None:
        """Raise unless x is (batch, *time, ...) input of this model."""
        self.net.check_input(x, time)

    def _start(self, batch_size: int) -> State:
        """The head's part of the state before the first step."""
        return {}

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Outputs of whole sequences x."""
        return self.head(self.net(x, lengths))

    def _chunk(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs (B, L, n_outputs) of a chunk, and the head's part of the state after it."""
        return self.head(features), {}
