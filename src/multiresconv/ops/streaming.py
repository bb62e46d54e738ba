"""Streaming: the operator on a sequence that comes in pieces, its past kept in a state that is a plain value.

Between pieces each scale has to remember what its filters will still look at: of a_{j-1} the last (K-1)*2^(j-1) steps
and, where the memory keeps m_j > 1 coefficients, of b_j the last (m_j-1)*2^j. Each of these *delay lines* is a ring:
the value of step n lies in slot n mod (size of the line), which step n is the last to read. The lines of a_0..a_{J-1}
come first, then those of the b_j, finest scale first.

A `State` is a dict of tensors with the batch first: "lines" (B, S, D), all delay lines, and "position" (B,), how many
steps each row has behind it. Clone it, save it with safetensors, move it, pick rows from it with `v[rows]`, join the
rows of different streams with `torch.cat`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from multiresconv.ops.conv import Backend, check_arguments, check_backend, without_autocast
from multiresconv.ops.cpu.streaming import advance_cpu
from multiresconv.ops.streaming_reference import chunk_reference, line_sizes

State = dict[str, Tensor]

# A state of more bytes is a mistake in the depth, not a wish.
_LARGEST_STATE = 1 << 40


def state_size(kernel_size: int, memory: tuple[int, ...]) -> int:
    """S, the slots of all delay lines: (K-1)(2^J - 1), and (m_j-1)*2^j for each m_j > 1."""
    return sum(line_sizes(kernel_size, memory))


def multires_conv_init(
    batch_size: int,
    channels: int,
    kernel_size: int,
    memory: Sequence[int],
    *,
    layers: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> State:
    """The state before the first step: everything is zero.

    Args:
        batch_size, channels: B and D.
        kernel_size, memory: K and (m_J, ..., m_1), see `multires_conv`.
        layers: with it, "lines" is (B, layers, S, D): the delay lines of that many equal layers in one tensor.
        dtype: of the operator's arguments; default `torch.get_default_dtype()`. The state of one in half precision is
            float32, as the operator computes then.

    Raises:
        ValueError: batch_size below 1, or delay lines that do not fit into memory.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    dtype = _wide(dtype or torch.get_default_dtype())
    slots = state_size(kernel_size, tuple(memory))
    shape = (batch_size, slots, channels) if layers is None else (batch_size, layers, slots, channels)
    size = batch_size * (layers or 1) * slots * channels * dtype.itemsize
    too_large = (
        f"depth: the state of {len(memory)} scales with {kernel_size} taps takes over 2^{size.bit_length() - 1} bytes "
        f"for a batch of {batch_size}, which is more than there is; stream fewer scales or smaller batches"
    )
    if size > _LARGEST_STATE:
        raise ValueError(too_large)
    # First, so that what is wrong with the device has shown itself when the large tensor is asked for.
    position = torch.zeros(batch_size, dtype=torch.int64, device=device)
    try:
        return {"lines": torch.zeros(shape, dtype=dtype, device=device), "position": position}
    except RuntimeError as error:
        raise ValueError(too_large) from error


def multires_conv_step(
    x: Tensor, state: State, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], *, backend: Backend = "auto"
) -> tuple[Tensor, State]:
    """One step of `multires_conv`: `multires_conv_chunk` of length 1.

    Args:
        x: (B, D) the sample after those that `state` has seen.
        state: of `multires_conv_init`, a step or a chunk; it is left as it is.
        h0, h1, w, memory, backend: see `multires_conv_chunk`.

    Returns:
        y (B, D) of the dtype of x, and the state after the step.

    Raises:
        ValueError: a state or an argument that does not fit the others.
        RuntimeError: gradients asked of "cpu"; a device that the named backend does not serve.
    """
    if x.ndim != 2:
        raise ValueError(f"x: expected shape (batch, channels), got {tuple(x.shape)}")
    y, state = multires_conv_chunk(x.unsqueeze(2), state, h0, h1, w, memory, backend=backend)
    return y.squeeze(2), state


def multires_conv_chunk(
    x: Tensor, state: State, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], *, backend: Backend = "auto"
) -> tuple[Tensor, State]:
    """`multires_conv` of the next steps of a sequence: chunks laid end to end give what the whole sequence would.

    Args:
        x: (B, D, L) the steps after those that `state` has seen, L >= 1.
        state: of `multires_conv_init`, a step or a chunk; it is left as it is.
        h0, h1, w, memory, backend: see `multires_conv`. Gradients, the state's too, are those of "reference", which
            "auto" takes where they are asked for.

    Returns:
        y (B, D, L) of the dtype of x, and the state after the chunk.

    Raises:
        ValueError: a state or an argument that does not fit the others.
        RuntimeError: gradients asked of "cpu"; a device that the named backend does not serve.
    """
    memory = check_arguments(x, h0, h1, w, memory)
    _check_backend(backend, x)
    check_state(state, (len(x), state_size(h0.shape[1], memory), x.shape[1]), x)
    tracked = torch.is_grad_enabled() and any(t.requires_grad for t in (x, state["lines"], h0, h1, w))
    if tracked and backend == "cpu":
        raise RuntimeError(
            "backend: 'cpu' streams without gradients; use torch.no_grad(), or name 'auto' or 'reference'"
        )
    position = state["position"]
    wide, h0, h1, w = (t.to(state["lines"].dtype) for t in (x, h0, h1, w))
    if _fused(backend, x) and not tracked:
        lines = state["lines"].detach().clone(memory_format=torch.contiguous_format)
        y = advance_cpu(wide.transpose(1, 2), lines, position, h0, h1, w, memory).transpose(1, 2)
    else:
        with without_autocast(x.device.type):
            y, lines = chunk_reference(wide, state["lines"], position, h0, h1, w, memory)
    return y.to(x.dtype), {"lines": lines, "position": position + x.shape[2]}


def check_state(state: State, lines: tuple[int, ...], x: Tensor) -> None:
    """Raise unless the state's delay lines have this shape, batch first, and fit an operator on tensors like x."""
    check_state_names(state, "lines", "position")
    check_state_tensor("lines", state["lines"], lines, _wide(x.dtype), x.device)
    check_state_tensor("position", state["position"], lines[:1], torch.int64, x.device)


def check_state_names(state: State, *names: str) -> None:
    """Raise unless a state is a dict with these names and no others."""
    if not isinstance(state, dict) or state.keys() != set(names):
        found = ", ".join(state) if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"state: expected a dict of {', '.join(names)}, got {found}; begin with init_state")


def check_state_tensor(
    name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> None:
    """Raise unless a state's tensor has this shape, dtype and device."""
    if tensor.shape != shape or tensor.dtype != dtype or tensor.device != device:
        raise ValueError(
            f"state: {name}: expected shape {shape}, with the batch of the input first, {dtype} on {device}, "
            f"got {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}"
        )


def _check_backend(backend: Backend, x: Tensor) -> None:
    check_backend(backend, x)
    if backend == "triton" and x.device.type != "cuda":
        raise RuntimeError(
            f"backend: 'triton' needs tensors on a CUDA device, x is on {x.device}; use 'auto' or 'reference'"
        )


def _fused(backend: Backend, x: Tensor) -> bool:
    return backend == "cpu" or (backend == "auto" and x.device.type == "cpu" and not torch.compiler.is_compiling())


def _wide(dtype: torch.dtype) -> torch.dtype:
    """The precision in which the operator computes on `dtype`, and streams."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
