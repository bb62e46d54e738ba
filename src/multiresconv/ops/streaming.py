"""Streaming: the operator on a sequence that arrives in chunks. The past is kept in a state that is a plain value.

Between chunks each scale stores the past values that its filters still need: the last (K-1)*2^(j-1) steps of a_{j-1}
and, if the memory keeps m_j > 1 coefficients, the last (m_j-1)*2^j steps of b_j. Each of these *delay lines* is a ring
buffer: step n reads slot n mod (size of the line) for the last time, then overwrites it with its own value. The lines
of a_0..a_{J-1} come first, then those of the b_j, both finest scale first.

A `State` is a dict of tensors, batch first: "lines" (B, S, D) holds all delay lines, and "position" (B,) counts the
steps that each row has seen. You can clone a state, save it with safetensors, move it to a device, select rows with
`v[rows]` and join the rows of different streams with `torch.cat`.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from multiresconv.ops.conv import Backend, check_arguments, check_backend, without_autocast
from multiresconv.ops.cpu.registration import multires_conv_cpu
from multiresconv.ops.cpu.streaming import advance_cpu
from multiresconv.ops.streaming_reference import chunk_reference, line_sizes
from multiresconv.ops.transforms import refuse_tracing, refuse_transforms, why_seen
from multiresconv.ops.tree import reach

State = dict[str, Tensor]

# A chunk that is this many times as long as the reach of the past is computed by the kernels, also with gradients.
_LONG = 4

# Bytes. A larger state can only come from a depth given by mistake.
_LARGEST_STATE = 1 << 40


def state_size(kernel_size: int, memory: tuple[int, ...]) -> int:
    """Return S, the total number of slots: (K-1)(2^J - 1), plus (m_j-1)*2^j for each m_j > 1."""
    return sum(line_sizes(kernel_size, memory))


def first_slots(kernel_size: int, memory: tuple[int, ...]) -> list[int]:
    """Return the first slot of each delay line, which is where the first step of a stream is kept."""
    return [0, *accumulate(line_sizes(kernel_size, memory))][:-1]


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
    """Return the state before the first step, all zeros.

    Args:
        batch_size, channels: B and D.
        kernel_size, memory: K and (m_J, ..., m_1), see `multires_conv`.
        layers: number of equal layers that share one tensor of delay lines; "lines" is then (B, layers, S, D).
        device: device of the state.
        dtype: dtype of the operator's arguments; default `torch.get_default_dtype()`. For half precision the state is
            float32, because the operator computes in float32.

    Raises:
        ValueError: batch_size below 1, or delay lines that do not fit into memory.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    dtype = _state_dtype(dtype or torch.get_default_dtype())
    slots = state_size(kernel_size, tuple(memory))
    shape = (batch_size, slots, channels) if layers is None else (batch_size, layers, slots, channels)
    size = batch_size * (layers or 1) * slots * channels * dtype.itemsize
    too_large = (
        f"depth: the state of {len(memory)} scales with {kernel_size} taps takes over 2^{size.bit_length() - 1} bytes "
        f"for a batch of {batch_size}, which does not fit into memory; stream fewer scales or smaller batches"
    )
    if size > _LARGEST_STATE:
        raise ValueError(too_large)
    # Allocated first, so that a bad device raises here and is not reported as a lack of memory below.
    position = torch.zeros(batch_size, dtype=torch.int64, device=device)
    try:
        return {"lines": torch.zeros(shape, dtype=dtype, device=device), "position": position}
    except RuntimeError as error:
        raise ValueError(too_large) from error


def multires_conv_step(
    x: Tensor, state: State, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], *, backend: Backend = "auto"
) -> tuple[Tensor, State]:
    """Compute one step of `multires_conv`, as `multires_conv_chunk` does for a chunk of length 1.

    Args:
        x: (B, D) the next sample of each row.
        state: from `multires_conv_init` or from the previous step or chunk; it is not modified.
        h0, h1, w, memory, backend: see `multires_conv_chunk`.

    Returns:
        y (B, D) in the dtype of x, and the state after the step.

    Raises:
        ValueError: a state or an argument that does not fit the others.
        RuntimeError: gradients required with backend "cpu"; a device that the named backend does not support.
    """
    if x.ndim != 2:
        raise ValueError(f"x: expected shape (batch, channels), got {tuple(x.shape)}")
    y, state = multires_conv_chunk(x.unsqueeze(2), state, h0, h1, w, memory, backend=backend)
    return y.squeeze(2), state


def multires_conv_chunk(
    x: Tensor, state: State, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], *, backend: Backend = "auto"
) -> tuple[Tensor, State]:
    """Compute `multires_conv` for the next steps; the chunks of a sequence together give the result of one call.

    Args:
        x: (B, D, L) the next steps of each row, L >= 1.
        state: from `multires_conv_init` or from the previous step or chunk; it is not modified.
        h0, h1, w, memory, backend: see `multires_conv`. If any argument or the state requires a gradient, "auto"
            chooses "reference", the only backend that streams with gradients. On a CPU, it leaves most of a chunk that
            is long beside the receptive field to the kernels; the chunk is then differentiable once.

    Returns:
        y (B, D, L) in the dtype of x, and the state after the chunk.

    Raises:
        ValueError: a state or an argument that does not fit the others.
        RuntimeError: gradients required with backend "cpu"; a device that the named backend does not support.
    """
    memory = check_arguments(x, h0, h1, w, memory)
    _check_backend(backend, x)
    check_state(state, (x.shape[0], state_size(h0.shape[1], memory), x.shape[1]), x)
    tracked = torch.is_grad_enabled() and any(t.requires_grad for t in (x, state["lines"], h0, h1, w))
    if tracked and backend == "cpu":
        raise RuntimeError(
            "backend: 'cpu' streams without gradients; use torch.no_grad(), or name 'auto' or 'reference'"
        )
    position = state["position"]
    wide, h0, h1, w = (t.to(state["lines"].dtype) for t in (x, h0, h1, w))
    kernel = _use_kernel(backend, x)
    if kernel and not tracked:
        lines = state["lines"].detach().clone(memory_format=torch.contiguous_format)
        y = advance_cpu(wide.transpose(1, 2), lines, position, h0, h1, w, memory).transpose(1, 2)
    else:
        run = _chunk_long if kernel and x.shape[2] >= _LONG * reach(h0.shape[1], memory) else chunk_reference
        with without_autocast(x.device.type):
            y, lines = run(wide, state["lines"], position, h0, h1, w, memory)
    return y.to(x.dtype), {"lines": lines, "position": position + x.shape[2]}


def _chunk_long(
    x: Tensor, lines: Tensor, position: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """As `chunk_reference`, for a chunk on a CPU that is longer than the past reaches; most of it runs in the kernels.

    The operator is linear: y is the output of x without a past, plus that of the past without x, which ends after
    `reach` steps. The lines afterwards depend on as many last steps of x.
    """
    steps, length = reach(h0.shape[1], memory), x.shape[2]
    silence = x.new_zeros(*x.shape[:2], steps)
    of_past, _ = chunk_reference(silence, lines, position, h0, h1, w, memory)
    y = multires_conv_cpu(x, h0, h1, w, memory) + F.pad(of_past, (0, length - steps))
    last, before = x[:, :, length - steps :], torch.zeros_like(lines)
    _, later = chunk_reference(last, before, position + (length - steps), h0, h1, w, memory)
    return y, later


def check_state(state: State, lines: tuple[int, ...], x: Tensor) -> None:
    """Raise unless the state has delay lines of shape `lines`, batch first, and the dtype and device that x needs."""
    check_state_names(state, "lines", "position")
    check_state_tensor("lines", state["lines"], lines, _state_dtype(x.dtype), x.device)
    check_state_tensor("position", state["position"], lines[:1], torch.int64, x.device)


def check_state_names(state: State, *names: str) -> None:
    """Raise unless `state` is a dict with exactly these keys."""
    if not isinstance(state, dict) or state.keys() != set(names):
        found = ", ".join(state) if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"state: expected a dict of {', '.join(names)}, got {found}; begin with init_state")


def check_state_tensor(
    name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> None:
    """Raise unless a tensor of a state has this shape, dtype and device."""
    if tensor.shape != shape or tensor.dtype != dtype or tensor.device != device:
        raise ValueError(
            f"state: {name}: expected shape {shape}, with the batch of the input first, {dtype} on {device}, "
            f"got {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}"
        )


def _check_backend(backend: Backend, x: Tensor) -> None:
    check_backend(backend, x)
    refuse_tracing()
    if backend in ("cpu", "triton"):
        refuse_transforms(backend)
    if backend == "triton" and x.device.type != "cuda":
        raise RuntimeError(
            f"backend: 'triton' needs tensors on a CUDA device, x is on {x.device}; use 'auto' or 'reference'"
        )


def _use_kernel(backend: Backend, x: Tensor) -> bool:
    if backend == "auto" and x.device.type == "cpu":
        return not torch.compiler.is_compiling() and why_seen() is None
    return backend == "cpu"


def _state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which the operator computes and keeps its state, given arguments of `dtype`."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
