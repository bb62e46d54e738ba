"""`Stream`: a module that goes through time, step by step or in chunks, and keeps its state to itself."""

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from multiresconv.layers.hooks import why_any_changed
from multiresconv.layers.snapshot import Snapshot
from multiresconv.ops.cpu.network import NetworkTensors, describe_network, why_not_network
from multiresconv.ops.cpu.threads import share
from multiresconv.ops.streaming import State, check_state_names, check_state_tensor

# Multiply-adds that a thread gets at least, about 200 microseconds: starting a second one takes 30.
_SERIAL_WORK = 3 << 20


class StreamParts(NamedTuple):
    """What a step of a module computes with.

    Attributes:
        tensors: of the network.
        pooled: name of the state's tensor that the pooling keeps, if it keeps one.
        late: name of the state's tensor that holds the output to come, if outputs come one step late.
        input_dtype: of x where that is not the dtype of the network.
    """

    tensors: NetworkTensors
    pooled: str | None = None
    late: str | None = None
    input_dtype: torch.dtype | None = None


class Streamable(nn.Module):
    """What goes through time: steps and streams, made of `init_state` and `forward(x, state=state)`.

    A subclass gives `stream_parts`: what the kernel needs to know, or the reason why the kernel cannot do what the
    module does. It raises RuntimeError where a step would differ from the whole sequence.
    """

    if TYPE_CHECKING:

        def init_state(self, batch_size: int) -> State: ...

        def stream_parts(self) -> StreamParts | str: ...

        def check_step(self, x: Tensor) -> None: ...

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step: the outputs for x, whose axis of time is left out, and the state after it.

        The state given stays as it is. A step is a chunk of length 1; `stream` does the same in a fraction of the time.

        Raises:
            RuntimeError: dropout or batch norm in training mode.
            ValueError: an input or a state that does not fit.
        """
        self.check_step(x)
        y, state = self(x.unsqueeze(1), state=state)
        return y.squeeze(1), state

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> "Stream":
        """Make a `Stream` of `batch_size` sequences from their start, by default 1, or from a state on."""
        return Stream(self, batch_size, state)


def fused_parts(module: Any) -> StreamParts | str:
    """The parts of a module for the kernel, or why the kernel cannot do what the module does."""
    parts = module.stream_parts()
    if isinstance(parts, str):
        return parts
    return why_any_changed(module) or why_not_network(parts.tensors) or parts


class Stream:
    """A batch of sequences that a module follows through time; made by the `stream` method of every module.

    The stream owns its state and brings it up to date in place, on a CPU in one kernel for the whole module. For
    inference: it gives no gradients. Values of parameters may change between calls, by an optimizer's step for example,
    and take effect at once. If anything else about the module changes, the next call raises: make a new stream.

    Args:
        module: a layer, block, net or model.
        batch_size: number of sequences; default 1. Or else
        state: to go on from, as `init_state`, a step or a chunk give it; copied.

    Attributes:
        why_not_fused: why the kernel cannot serve and the module's own `forward(x, state=state)` runs in its place, or
            None. Such a stream follows every change of the module.

    Raises:
        RuntimeError: a module in training mode, with dropout or batch norm; a module that cannot stream.
        ValueError: a state that does not fit.
    """

    def __init__(self, module: Streamable, batch_size: int | None = None, state: State | None = None) -> None:
        if batch_size is not None and state is not None:
            raise ValueError("batch_size, state: give one of them; a state has its batch size")
        parts = fused_parts(module)
        self._module = module
        with torch.inference_mode(False), torch.no_grad():
            if state is None:
                self._state = module.init_state(1 if batch_size is None else batch_size)
            else:
                self._state = _checked_copy(state, module)
        self.batch_size = len(self._state["position"])
        self.why_not_fused = parts if isinstance(parts, str) else None
        self._fused = None if isinstance(parts, str) else _Fused(module, parts, self.batch_size)

    def __call__(self, x: Tensor, rows: Sequence[int] | Tensor | None = None) -> Tensor:
        """Go on by one step or by a chunk of steps.

        Args:
            x: one step (B, d_input) or (B,) tokens, or a chunk (B, L, d_input) or (B, L) tokens.
            rows: which sequences go on, the others staying where they are; default all. x has one row for each.

        Returns:
            What the module gives for these steps: (B, d_output), or (B, L, d_output) for a chunk.

        Raises:
            RuntimeError: the module has changed since the stream was made.
            ValueError: an input or rows that do not fit; nothing has changed then.
        """
        if self._fused is None:
            return self._follow(x, rows)
        return self._fused.advance(x, None if rows is None else self._rows(rows), self._state)

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Begin anew, with all sequences or with these rows only."""
        chosen = torch.arange(self.batch_size) if rows is None else self._rows(rows)
        with torch.inference_mode(False), torch.no_grad():
            for name, fresh in self._module.init_state(1).items():
                self._state[name][chosen.to(fresh.device)] = fresh

    def state(self) -> State:
        """A copy of the state, for `init_state`'s uses: `module.stream(state=...)`, a step, a chunk, saving."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    @torch.no_grad()
    def _follow(self, x: Tensor, rows: Sequence[int] | Tensor | None) -> Tensor:
        """The next steps by the module itself."""
        step = x.ndim == (1 if x.dtype in (torch.int64, torch.int32) else 2)  # tokens have no axis of channels
        if rows is None:
            y, self._state = self._module(x.unsqueeze(1) if step else x, state=self._state)
        else:
            chosen = self._rows(rows).to(self._state["position"].device)
            before = {name: tensor[chosen] for name, tensor in self._state.items()}
            y, after = self._module(x.unsqueeze(1) if step else x, state=before)
            for name, tensor in after.items():
                self._state[name][chosen] = tensor
        return y.squeeze(1) if step else y

    def _rows(self, rows: Sequence[int] | Tensor) -> Tensor:
        """Rows (n,) on the CPU, once they are known to be different ones of the batch."""
        numbers = [index(row) for row in (rows.tolist() if isinstance(rows, Tensor) else rows)]
        if len(set(numbers)) < len(numbers) or not all(0 <= row < self.batch_size for row in numbers):
            raise ValueError(f"rows: expected different numbers in 0..{self.batch_size - 1}, got {numbers}")
        return torch.tensor(numbers, dtype=torch.int64)


class _Fused:
    """The kernel, with the network that it was made for."""

    def __init__(self, module: Any, parts: StreamParts, batch_size: int) -> None:
        from multiresconv.ops.cpu.kernels.streaming import advance_network

        tensors = parts.tensors.flat()
        self._parts = parts
        self._snapshot = Snapshot(module, tensors)
        self._network = describe_network(parts.tensors)
        self._work = self._network.work()
        self._dtype = tensors[0].dtype
        # What is standardised is brought to the dtype of the network by that.
        self._input_dtype = parts.input_dtype or (None if parts.tensors.standardise else self._dtype)
        self._all_rows = torch.arange(batch_size)
        self._kernel = advance_network

    def advance(self, x: Tensor, rows: Tensor | None, state: State) -> Tensor:
        """y of the next steps x; the state comes up to date in place."""
        if not self._snapshot.holds():
            raise RuntimeError("stream: the module has changed since the stream was made; make a new stream")
        rows = self._all_rows if rows is None else rows
        count, network, parts = len(rows), self._network, self._parts
        x = self._samples(x, count) if network.inputs else self._tokens(x, count)
        shape = (*(x.shape[:-1] if network.inputs else x.shape), network.outputs)
        y = torch.empty(shape, dtype=self._dtype)
        length = shape[1] if len(shape) == 3 else 1
        pooled = 0 if parts.pooled is None else state[parts.pooled].data_ptr()
        arguments = (
            network, x.data_ptr(), y.data_ptr(), length, rows.data_ptr(), count, len(state["position"]),
            state["lines"].data_ptr(), state["position"].data_ptr(), pooled,
        )  # fmt: skip
        groups = min(count, torch.get_num_threads(), self._work * count * length // _SERIAL_WORK)
        if groups <= 1:
            self._kernel(*arguments, 1, 0, 1)
        else:
            share(lambda group: self._kernel(*arguments, groups, group, group + 1), groups, groups)
        return y if parts.late is None else _one_late(y, state[parts.late], rows)

    def _samples(self, x: Tensor, count: int) -> Tensor:
        """Real-valued input as the kernel takes it, once it is known to fit."""
        shape, inputs = x.shape, self._network.inputs
        if len(shape) not in (2, 3) or shape[0] != count or shape[-1] != inputs or 0 in shape[1:]:
            raise ValueError(
                f"x: expected shape ({count}, {inputs}) for a step or ({count}, length >= 1, {inputs}) for a chunk, "
                f"got {tuple(shape)}"
            )
        wanted = self._input_dtype
        if (wanted is not None and x.dtype is not wanted) or not x.is_cpu:
            raise TypeError(f"x: expected {wanted or 'numbers'} on the CPU, got {x.dtype} on {x.device}")
        if x.dtype is not self._dtype:
            x = x.to(self._dtype)
        return x if x.is_contiguous() else x.contiguous()

    def _tokens(self, x: Tensor, count: int) -> Tensor:
        """Tokens as the kernel takes them, once they are known to fit."""
        shape, encoder = x.shape, self._parts.tensors.encoder
        if len(shape) not in (1, 2) or shape[0] != count or 0 in shape[1:]:
            raise ValueError(
                f"x: expected tokens of shape ({count},) for a step or ({count}, length >= 1) for a chunk, "
                f"got {tuple(shape)}"
            )
        if x.dtype not in (torch.int64, torch.int32) or not x.is_cpu:
            raise TypeError(f"x: expected int64 or int32 tokens on the CPU, got {x.dtype} on {x.device}")
        if count:
            lowest, highest = (int(bound) for bound in x.aminmax())
            last = len(encoder[0]) - 1 if encoder else 0
            if lowest < 0 or highest > last:
                raise ValueError(f"x: expected tokens in 0..{last}, got {lowest}..{highest}")
        return x.long().contiguous()


def _checked_copy(state: State, module: Streamable) -> State:
    """A copy of a state, once it is known to be one of the module's."""
    expected = module.init_state(1)
    check_state_names(state, *expected)
    batch_size = len(state["position"])
    for name, like in expected.items():
        check_state_tensor(name, state[name], (batch_size, *like.shape[1:]), like.dtype, like.device)
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


@torch.no_grad()
def _one_late(y: Tensor, held: Tensor, rows: Tensor) -> Tensor:
    """The outputs y (n, P) or (n, L, P) one step late; `held` (B, P) has the one before them, then their last."""
    first = held[rows]
    if y.ndim == 2:
        held[rows] = y
        return first
    held[rows] = y[:, -1]
    return torch.cat([first.unsqueeze(1), y[:, :-1]], dim=1)
