"""`SequenceModel`: base of all models, with a net, a linear head, descriptions and streaming."""

from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.layers import refuse_lengths
from multiresconv.layers.lengths import Lengths, to_lengths
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.models.description import Input, Output
from multiresconv.models.net import MultiresNet
from multiresconv.ops import State
from multiresconv.ops.streaming import check_state_names


class SequenceModel(Streamable):
    """A `MultiresNet`, or `MultiresFeatures`, and a linear map from its features to outputs.

    A subclass overrides `_whole` to compute outputs of whole sequences and `_chunk` to compute outputs of a chunk of a
    stream. If its head needs state, it names that in `_state_names` and initialises it in `_start`.

    Attributes:
        net: the `MultiresNet`; in `MultiresRidge`, the `MultiresFeatures`.
        head: linear map d_model -> n_outputs.
        input: description of the input.
        output: description of the output.
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
        """Arguments that rebuild this model except input and output, defaults filled in, ready for JSON."""
        raise TypeError(f"{type(self).__name__} has no config")

    def reset_parameters(self) -> None:
        self.net.reset_parameters()
        self.head.reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """Return the state of net and head before the first step of `batch_size` sequences."""
        return {**self.net.init_state(batch_size), **self._start(batch_size)}

    @property
    def takes_tokens(self) -> bool:
        """True if a time step is one token."""
        return self.net.takes_tokens

    def check_step(self, x: Tensor) -> None:
        """Raise unless x is one step of this model's input."""
        self._check(x, time=())

    def stream_parts(self) -> StreamParts | str:
        """Return the tensors for the streaming kernel, or the reason why it cannot run; see `Streamable`."""
        parts, head = self.net.stream_parts(), self.head
        if isinstance(parts, str):
            return f"net: {parts}"
        if type(head) is not nn.Linear or head.bias is None:
            return f"head is a {type(head).__name__}, not a Linear with a bias"
        return parts._replace(tensors=parts.tensors._replace(head=(head.weight, head.bias)))

    def forward(
        self, x: Tensor, lengths: Lengths | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Compute the outputs of whole sequences or, with a state, after each step of their next chunk.

        Args:
            x: (B, L, d_input) real, in the unit of `input`, or (B, L) integer tokens in 0..n_tokens-1; L >= 1. With a
                state, x is the next chunk of longer sequences.
            lengths: (B,) tensor, array or list of the valid steps of each sequence, 1..L; None if all are valid. The
                rest is padding. It may hold any value and changes no output, no statistic and no gradient.
            state: from `init_state`, a step or a chunk; not modified. Not together with lengths, and not while dropout
                or batch norm is in training mode.

        Returns:
            The outputs of whole sequences; the class documents their shape. With a state, (outputs (B, L, ...) for the
            sequence up to each step of the chunk, the state after the chunk).
        """
        self._check(x, time=("length >= 1",))
        if state is None:
            return self._whole(x, None if lengths is None else to_lengths(lengths))
        refuse_lengths(lengths)
        check_state_names(state, "lines", "position", *self._state_names)
        net_state = {name: state[name] for name in ("lines", "position")}
        features, after = self.net(x, state=net_state)
        y, part = self._chunk(x, features, state)
        return y, {**after, **part}

    def after(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute the outputs (B, ...) after the last step of a chunk only, and the state then.

        As in `advance`, the state that is given may be changed and returned.
        """
        y, state = self(x, state=state)
        return y[:, -1], state

    # To override in subclasses

    _state_names: tuple[str, ...] = ()

    def _check(self, x: Tensor, time: tuple[str, ...]) -> None:
        """Raise unless x is (batch, *time, ...) input of this model."""
        self.net.check_input(x, time)

    def _start(self, batch_size: int) -> State:
        """Return the head's part of the state before the first step."""
        return {}

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the outputs of whole sequences x."""
        return self.head(self.net(x, lengths))

    def _chunk(self, x: Tensor, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute outputs (B, L, ...) of a chunk x and its features, and the head's part of the state after it."""
        return self.head(features), {}
