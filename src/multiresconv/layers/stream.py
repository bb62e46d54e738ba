"""`Stream`: runs a module over time, by steps or chunks, and owns the state."""

from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import torch
from torch import Tensor, nn

from multiresconv.layers.hooks import remember, why_any_changed
from multiresconv.layers.integers import is_integral
from multiresconv.layers.lengths import Lengths, check_lengths
from multiresconv.layers.snapshot import Snapshot
from multiresconv.layers.standardise import Standardise
from multiresconv.ops.cpu.kernels.layout import NEXT, X
from multiresconv.ops.cpu.network import NetworkTensors, describe_network, why_not_network
from multiresconv.ops.cpu.threads import call_native
from multiresconv.ops.streaming import State, check_state_names, check_state_tensor
from multiresconv.ops.transforms import why_seen

# Smallest work of a thread, in multiply-adds: about 80 microseconds. Another thread takes a few to start.
_SERIAL_WORK = 1 << 20


class StreamParts(NamedTuple):
    """What the streaming kernel needs to know about a module.

    Attributes:
        tensors: the tensors of the network.
        pooled: name of the state tensor of the pooling, or None.
        input_dtype: dtype of x if it differs from the network's dtype, or None.
        masked: standardises x and marks its missing values before the kernel, or None.
        finish: turns what the kernel computed into the outputs of the module, or None if they are the same. It is
            called as finish(y, x, state, rows), with y (n, P) or (n, L, P) of the `n` rows, x as the stream got it,
            and the state of all sequences, of which it updates its own tensors in place.
        watched: further tensors that `finish` reads.
    """

    tensors: NetworkTensors
    pooled: str | None = None
    input_dtype: torch.dtype | None = None
    masked: Standardise | None = None
    finish: Callable[[Tensor, Tensor, State, Tensor], Tensor] | None = None
    watched: tuple[Tensor, ...] = ()


class Streamable(nn.Module):
    """Base of modules that can stream: `step` and `stream`, built on `init_state` and `forward(x, state=state)`.

    A subclass implements `stream_parts`, which returns the kernel's view of the module, or the reason why the kernel
    cannot run it. `stream_parts` raises RuntimeError if steps would differ from the whole sequence.
    """

    takes_tokens = False  # whether a time step is one token, not a vector

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        remember(cls)

    if TYPE_CHECKING:

        def init_state(self, batch_size: int) -> State: ...

        def stream_parts(self) -> StreamParts | str: ...

        def check_step(self, x: Tensor) -> None: ...

        @overload
        def __call__(self, x: Tensor, lengths: Lengths | None = None, state: None = None) -> Tensor: ...
        @overload
        def __call__(self, x: Tensor, lengths: None = None, *, state: State) -> tuple[Tensor, State]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step, a chunk of length 1; `stream` takes the same step in a fraction of the time.

        Args:
            x: input of one step, without a time axis: (B, d_input) or (B,) tokens.
            state: from `init_state`, a step or a chunk; not modified.

        Returns:
            The output of the step, without a time axis, and the state after it.

        Raises:
            RuntimeError: dropout or batch norm is in training mode.
            ValueError: the input or the state does not fit.
        """
        self.check_step(x)
        y, state = self(x.unsqueeze(1), state=state)
        return y.squeeze(1), state

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take a chunk (B, L, ...) as `forward` does, but the state that is given may be changed and returned."""
        return self(x, state=state)

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> "Stream":
        """Make a `Stream` of `batch_size` new sequences, by default 1, or one that continues from `state`."""
        return Stream(self, batch_size, state)


def fused_parts(module: Any) -> StreamParts | str:
    """Return the parts of a module for the kernel, or the reason why the kernel cannot run it."""
    parts = module.stream_parts()
    if isinstance(parts, str):
        return parts
    return why_any_changed(module) or why_not_network(parts.tensors) or parts


class Stream:
    """A module running over a batch of sequences, for inference only; made by the module's `stream` method.

    The stream owns its state and updates it in place. On a CPU one kernel computes the whole module. Parameter values
    may change between calls, for example by an optimizer's step, and take effect at once. If anything else about the
    module changes, the next call raises RuntimeError: make a new stream.

    Args:
        module: a layer, block, net or model.
        batch_size: number of sequences; default 1. Not together with `state`.
        state: where to continue, from `init_state`, a step or a chunk; copied.

    Attributes:
        why_not_fused: the reason why the stream calls `module(x, state=state)` instead of the kernel, or None. A stream
            with a reason follows every change of the module.

    Raises:
        RuntimeError: dropout or batch norm is in training mode, or the module cannot stream.
        ValueError: the state does not fit, or both batch_size and state are given.
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

    def __call__(self, x: Tensor, rows: Sequence[int] | Tensor | None = None, lengths: Lengths | None = None) -> Tensor:
        """Advance the stream by one step or by a chunk of steps.

        Args:
            x: one step (B, d_input) or (B,) tokens, or a chunk (B, L, d_input) or (B, L) tokens.
            rows: indices of the sequences to advance; default all. x then has one row for each index.
            lengths: (B,) valid steps of each row of a chunk, 1..L, if some rows have fewer new steps than others. The
                module is called once for each length that occurs, with a copy of the state in case one of them fails.

        Returns:
            The module's outputs (B, d_output) for a step, (B, L, d_output) for a chunk; 0 at padded steps.

        Raises:
            RuntimeError: the module has changed since the stream was made.
            ValueError: the input or the rows do not fit; the state is then unchanged.
        """
        if lengths is not None:
            return self._advance_ragged(x, rows, lengths)
        if self._fused is None:
            return self._advance_module(x, rows)
        return self._fused.advance(x, None if rows is None else checked_rows(rows, self.batch_size), self._state)

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Restart the sequences with the indices `rows`, by default all."""
        chosen = checked_rows(rows, self.batch_size)
        with torch.inference_mode(False), torch.no_grad():
            for name, fresh in self._module.init_state(1).items():
                self._state[name][chosen.to(fresh.device)] = fresh

    def state(self) -> State:
        """Return a copy of the state, to save it or to continue by `module.stream(state=...)`, a step or a chunk."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def _advance_ragged(self, x: Tensor, rows: Sequence[int] | Tensor | None, lengths: Lengths) -> Tensor:
        """Advance rows by different numbers of steps: those of equal length together."""
        if x.ndim != (2 if self._module.takes_tokens else 3):
            raise ValueError(f"lengths: expected a chunk of steps as x, got shape {tuple(x.shape)}")
        counts = check_lengths(lengths, x).cpu()
        chosen = checked_rows(rows, self.batch_size)
        if len(chosen) != len(counts):
            raise ValueError(f"x: expected a row for each of {len(chosen)} sequences, got shape {tuple(x.shape)}")
        before, outputs = self.state(), []
        try:
            for count in counts.unique():
                same = (counts == count).nonzero().squeeze(1)
                outputs.append((same, self(x[same.to(x.device), : int(count)], chosen[same])))
        except Exception:
            self._state = before
            raise
        y = outputs[0][1].new_zeros(*x.shape[:2], outputs[0][1].shape[-1])
        for same, part in outputs:
            y[same.to(y.device), : part.shape[1]] = part
        return y

    @torch.no_grad()
    def _advance_module(self, x: Tensor, rows: Sequence[int] | Tensor | None) -> Tensor:
        """Advance by calling the module instead of the kernel."""
        step = x.ndim == (1 if self._module.takes_tokens else 2)  # tokens have no axis of channels
        if rows is None:
            y, self._state = self._module.advance(x.unsqueeze(1) if step else x, self._state)
        else:
            chosen = checked_rows(rows, self.batch_size).to(self._state["position"].device)
            before = {name: tensor[chosen] for name, tensor in self._state.items()}
            y, after = self._module.advance(x.unsqueeze(1) if step else x, before)
            for name, tensor in after.items():
                self._state[name][chosen] = tensor
        return y.squeeze(1) if step else y


def checked_rows(rows: Sequence[int] | Tensor | None, batch_size: int) -> Tensor:
    """Check that `rows` are distinct indices into a batch, None for all, and return them as a CPU tensor (n,)."""
    if rows is None:
        return torch.arange(batch_size, device="cpu")
    numbers = [index(row) for row in (rows.tolist() if isinstance(rows, Tensor) else rows)]
    if len(set(numbers)) < len(numbers) or not all(0 <= row < batch_size for row in numbers):
        raise ValueError(f"rows: expected different numbers in 0..{batch_size - 1}, got {numbers}")
    return torch.tensor(numbers, dtype=torch.int64, device="cpu")


class _Fused:
    """The streaming kernel with the tensors of one module."""

    def __init__(self, module: Any, parts: StreamParts, batch_size: int) -> None:
        from multiresconv.ops.cpu.kernels.network import advance_network

        tensors = parts.tensors.flat()
        self._parts = parts
        self._snapshot = Snapshot(module, [*tensors, *parts.watched])
        self._network = describe_network(parts.tensors)
        self._work = self._network.work()
        self._dtype = tensors[0].dtype
        # With a standardisation any input dtype is accepted and converted.
        standardised = parts.tensors.standardise is not None or parts.masked is not None
        self._input_dtype = parts.input_dtype or (None if standardised else self._dtype)
        self._inputs = self._network.inputs if parts.masked is None else len(parts.masked.mean)
        self._all_rows = torch.arange(batch_size, device="cpu")
        self._call = self._network.call()
        self._argument = self._call.ctypes.data
        self._kernel = advance_network(self._dtype)

    def advance(self, x: Tensor, rows: Tensor | None, state: State) -> Tensor:
        """Return the outputs of the next steps x; updates `state` in place."""
        if not self._snapshot.holds():
            reason = why_seen() or "the module has changed since the stream was made; make a new stream"
            raise RuntimeError(f"stream: {reason}")
        rows = self._all_rows if rows is None else rows
        count, network, parts = len(rows), self._network, self._parts
        given, x = x, self._samples(x, count) if network.inputs else self._tokens(x, count)
        shape = (*(x.shape[:-1] if network.inputs else x.shape), network.outputs)
        y = state["lines"].new_empty(shape)
        length = shape[1] if len(shape) == 3 else 1
        pooled = 0 if parts.pooled is None else state[parts.pooled].data_ptr()
        groups = max(1, min(count, torch.get_num_threads(), self._work * count * length // _SERIAL_WORK))
        self._call[NEXT] = 0
        self._call[X:] = (
            x.data_ptr(), y.data_ptr(), length, rows.data_ptr(), count, len(state["position"]),
            state["lines"].data_ptr(), state["position"].data_ptr(), pooled, groups,
        )  # fmt: skip
        call_native(self._kernel, self._argument, groups)
        return y if parts.finish is None else parts.finish(y, given, state, rows)

    def _samples(self, x: Tensor, count: int) -> Tensor:
        """Check real-valued input and return it as the kernel needs it."""
        shape, inputs, masked = x.shape, self._inputs, self._parts.masked
        if len(shape) not in (2, 3) or shape[0] != count or shape[-1] != inputs or 0 in shape[1:]:
            raise ValueError(
                f"x: expected shape ({count}, {inputs}) for a step or ({count}, length >= 1, {inputs}) for a chunk, "
                f"got {tuple(shape)}"
            )
        wanted = self._input_dtype
        if (wanted is not None and x.dtype is not wanted) or not x.is_cpu:
            raise TypeError(f"x: expected {wanted or 'numbers'} on the CPU, got {x.dtype} on {x.device}")
        if masked is not None:
            with torch.no_grad():
                x = masked(x)
        if x.dtype is not self._dtype:
            x = x.to(self._dtype)
        return x if x.is_contiguous() else x.contiguous()

    def _tokens(self, x: Tensor, count: int) -> Tensor:
        """Check tokens and return them as the kernel needs them."""
        shape, encoder = x.shape, self._parts.tensors.encoder
        if len(shape) not in (1, 2) or shape[0] != count or 0 in shape[1:]:
            raise ValueError(
                f"x: expected tokens of shape ({count},) for a step or ({count}, length >= 1) for a chunk, "
                f"got {tuple(shape)}"
            )
        if not is_integral(x) or not x.is_cpu:
            raise TypeError(f"x: expected integer tokens on the CPU, got {x.dtype} on {x.device}")
        if count:
            lowest, highest = (int(bound) for bound in x.aminmax())
            last = len(encoder[0]) - 1 if encoder else 0
            if lowest < 0 or highest > last:
                raise ValueError(f"x: expected tokens in 0..{last}, got {lowest}..{highest}")
        return x.long().contiguous()


def _checked_copy(state: State, module: Streamable) -> State:
    """Check that a state fits the module and return a copy."""
    expected = module.init_state(1)
    check_state_names(state, *expected)
    batch_size = len(state["position"])
    for name, like in expected.items():
        check_state_tensor(name, state[name], (batch_size, *like.shape[1:]), like.dtype, like.device)
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
