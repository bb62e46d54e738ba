"""The `triton` backend: Triton kernels as PyTorch operators, and the division of a row's scales into launches.

This module is imported on first use, because it imports Triton and registers operators. If TRITON_INTERPRET=1 is set
before, the kernels run slowly on a CPU in Triton's interpreter; the tests use this.

Compile time bounds the size of a tile: kernels are unrolled, and their compile time grows with the square of their
size. Shapes, dtypes and memory alone determine the launches, not measurements, so the sums of the parameter gradients
have the same order and the same bits in every process. Triton caches compiled kernels on disk.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from multiresconv.ops.layout import channels_last, empty_like
from multiresconv.ops.triton import kernels as triton_kernels
from multiresconv.ops.triton.scales import backward_by_scales, forward_by_scales

# Triton reads TRITON_INTERPRET when it is imported; later changes of the environment have no effect.
INTERPRETED = not isinstance(triton_kernels.forward, triton.JITFunction)

# Steps in a block of a row: the lanes of a warp. Tests set it lower, to cut short rows into many blocks.
LANES = 32
# Upper bound of K times the blocks of a row in a program; forward holds two values per step, backward many.
_FORWARD_BLOCKS, _BACKWARD_BLOCKS = 256, 128
# Most rows in a tile; neighbouring rows are neighbours in memory, and 8 float32 fill a sector of main memory.
_ROWS = 8
# Scaling coefficients that backward keeps per lane.
_KEPT = 160
# Most multiply-adds per lane of a tile. Larger kernels would compile for minutes, so scales are launched one by one.
UNROLLED = 8192


class _Stage(NamedTuple):
    """Scales start+1 .. stop of the tree, in one launch over rows of `blocks` * LANES steps, 2^start apart."""

    start: int
    stop: int
    halo: int  # steps read but owned by a neighbouring window, on one side (forward) or both (backward); 0: one window
    blocks: int


def multires_conv_triton(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
    """Compute `multires_conv` with Triton; shapes as in `multires_conv_reference`. Differentiable once."""
    served = x.device.type == "cuda" or (INTERPRETED and x.device.type == "cpu")
    if not served:
        raise RuntimeError(
            f"backend: 'triton' needs tensors on a CUDA device, x is on {x.device}; use 'auto' or 'reference' "
            "(with TRITON_INTERPRET=1 set it runs on a CPU, slowly, to be tested)"
        )
    return triton_forward(x, h0, h1, w, memory)


def forward(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    y = empty_like(x)
    if x.shape[0] == 0:
        return y
    stages = cut_into_stages(tuple(memory), h0.shape[1], int(x.shape[2]), _FORWARD_BLOCKS)
    if stages is None:
        forward_by_scales(x, h0, h1, w, tuple(memory), y)
        return y
    packed = torch.cat([h0, h1, w], 1)
    a, partial = x, None
    for stage in stages[:-1]:
        coarser, sums = torch.empty_like(y, dtype=_wide(x)), torch.empty_like(y, dtype=_wide(x))
        _launch_forward(stage, a, partial, packed, tuple(memory), h0.shape[1], coarser, sums)
        a, partial = coarser, sums
    _launch_forward(stages[-1], a, partial, packed, tuple(memory), h0.shape[1], None, y)
    return y


def backward(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_x = empty_like(x)
    taps, counts = h0.shape[1], tuple(memory)
    if x.shape[0] == 0:
        return grad_x, torch.zeros_like(h0), torch.zeros_like(h1), torch.zeros_like(w)
    stages = cut_into_stages(counts, taps, int(x.shape[2]), _BACKWARD_BLOCKS)
    if stages is None:
        total = backward_by_scales(grad_y, x, h0, h1, w, counts, grad_x)
    else:
        total = _backward_by_stages(stages, grad_y, x, torch.cat([h0, h1, w], 1), counts, taps, grad_x)
    grads = total.to(x.dtype).split([taps, taps, w.shape[1]], 1)
    grad_h0, grad_h1, grad_w = (grad.clone(memory_format=torch.contiguous_format) for grad in grads)
    return grad_x, grad_h0, grad_h1, grad_w


def _fake_forward(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    return empty_like(x)


def _fake_backward(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return empty_like(x), h0.new_empty(h0.shape), h1.new_empty(h1.shape), w.new_empty(w.shape)


# Kernels in the interpreter cannot be traced, so the operators are opaque there; otherwise torch.compile sees the
# launches.
_operator: Any = torch.library.custom_op if INTERPRETED else torch.library.triton_op
triton_forward = _operator("multiresconv::triton_forward", mutates_args=())(forward)
triton_backward = _operator("multiresconv::triton_backward", mutates_args=())(backward)
if INTERPRETED:
    triton_forward.register_fake(_fake_forward)
    triton_backward.register_fake(_fake_backward)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.memory = inputs
    ctx.save_for_backward(*tensors)


def _backward_formula(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    return *triton_backward(grad_y, *ctx.saved_tensors, ctx.memory), None


def _no_second_derivative(ctx: Any, *grads: Tensor) -> None:
    # Without this, PyTorch would silently treat second derivatives as zero.
    raise RuntimeError("backend: 'triton' is differentiable once; name 'reference' for second derivatives")


triton_forward.register_autograd(_backward_formula, setup_context=_save_for_backward)
triton_backward.register_autograd(_no_second_derivative)


def cut_into_stages(memory: tuple[int, ...], taps: int, length: int, most: int) -> list[_Stage] | None:
    """Return the launches for a tree, finest scales first; None if tiles cannot hold it: scales then go one by one.

    For a row that is too long, the finest scales run in windows until the phases of the coarser scales fit in a tile.
    """
    blocks = blocks_for(most, taps)
    longest, depth, kept = blocks * LANES, len(memory), memory[::-1]
    stages: list[_Stage] = []
    start = 0
    while start < depth:
        if (steps := -(-length // 2**start)) <= longest:
            stages.append(_Stage(start, depth, 0, _power_of_two(-(-steps // LANES))))
            break
        stop = start
        # the halos on both sides take at most half of a window
        while stop < depth and length > longest * 2**stop and 4 * _reach(kept[start : stop + 1], taps) <= longest:
            stop += 1
        if stop == start:
            return None
        stages.append(_Stage(start, stop, _reach(kept[start:stop], taps), blocks))
        start = stop
    return stages if all(_unrolled(stage, kept, taps) <= UNROLLED for stage in stages) else None


def blocks_for(most: int, taps: int) -> int:
    """Return the blocks of a tile, a power of two: fewer with more taps, so that kernels keep their size."""
    return 2 ** (max(1, most // max(taps, 4)).bit_length() - 1)


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least n."""
    return 2 ** (n - 1).bit_length()


def _reach(kept: tuple[int, ...], taps: int) -> int:
    """Return how many steps back the scales of dilation 1, 2, 4, ... reach; `kept` are their kept coefficients."""
    reach = (taps - 1) * (2 ** len(kept) - 1)
    for s, count in enumerate(kept):
        reach = max(reach, (taps - 1) * (2 ** (s + 1) - 1) + max(count - 1, 0) * 2 ** (s + 1))
    return reach


def _unrolled(stage: _Stage, kept: tuple[int, ...], taps: int) -> int:
    """Return the multiply-adds of a forward pass per lane, without taps that reach beyond the tile."""
    steps, total = stage.blocks * LANES, 0
    for s, count in enumerate(kept[stage.start : stage.stop]):
        total += 2 * min(taps, -(-steps // 2**s)) + min(count, -(-steps // 2 ** (s + 1)))
    return stage.blocks * total


def _backward_by_stages(
    stages: list[_Stage], grad_y: Tensor, x: Tensor, packed: Tensor, memory: tuple[int, ...], taps: int, grad_x: Tensor
) -> Tensor:
    """Write grad_x; return the gradients of the packed parameters."""
    inputs = [x]  # the scaling coefficients that each stage starts from
    for stage in stages[:-1]:
        inputs.append(torch.empty_like(grad_x, dtype=_wide(x)))
        _launch_forward(stage, inputs[-2], None, packed, memory, taps, inputs[-1], None)
    grad, totals = None, []
    for stage in reversed(stages):
        grad_in = grad_x if stage.start == 0 else torch.empty_like(grad_x, dtype=_wide(x))
        totals.append(_launch_backward(stage, grad_y, inputs.pop(), grad, packed, memory, taps, grad_in))
        grad = grad_in
    return torch.stack(totals).sum(0) if len(totals) > 1 else totals[0]


def _launch_forward(
    stage: _Stage, a: Tensor, partial: Tensor | None, packed: Tensor, memory: tuple[int, ...], taps: int,
    a_out: Tensor | None, y_out: Tensor | None,
) -> None:  # fmt: skip
    """Write a_out (None for the coarsest scales), given a, and y_out (None: not wanted), given y of finer scales.

    `partial`, the part of y from finer scales, is None for the finest stage.
    """
    out: Any = a_out if y_out is None else y_out
    grid, options = _tiling(stage, a, packed, memory, taps, halos=1)
    launchable(triton_kernels.forward)[grid](
        a, partial, packed, a_out, y_out, a.shape[2], a.shape[1], 2**stage.start, *a.stride(), *out.stride(),
        FIRST=stage.start == 0 and y_out is not None, LAST=a_out is None, WITH_Y=y_out is not None,
        **options,
    )  # fmt: skip


def _launch_backward(
    stage: _Stage, grad_y: Tensor, a: Tensor, grad: Tensor | None, packed: Tensor, memory: tuple[int, ...], taps: int,
    grad_in: Tensor,
) -> Tensor:  # fmt: skip
    """Write grad_in, the gradient of a; return the gradients of the packed parameters.

    `grad` is the gradient of the stage's a_out; None for the coarsest scales, which have none.
    """
    batch, channels, length = a.shape
    grid, options = _tiling(stage, a, packed, memory, taps, halos=2)
    # a row of sums for each row of a tile, added up in a fixed order: no atomics
    sums = packed.new_empty(batch, options["TILES"], 2**stage.start, channels, packed.shape[1], dtype=_wide(a))
    depth = stage.stop - stage.start
    segments = -(-depth // max(1, _KEPT // stage.blocks))
    launchable(triton_kernels.backward)[grid](
        grad_y, a, grad, packed, grad_in, sums, length, channels, 2**stage.start,
        *grad_y.stride(), *a.stride(), *grad_in.stride(),
        FIRST=stage.start == 0, LAST=grad is None, SEGMENTS=segments, KEEP=-(-depth // segments),
        **options,
    )  # fmt: skip
    return sums.sum((0, 1, 2))


def _tiling(
    stage: _Stage, a: Tensor, packed: Tensor, memory: tuple[int, ...], taps: int, *, halos: int
) -> tuple[tuple[int], dict[str, Any]]:
    """Return the grid of a launch and the constants of its kernel; `halos`: 1 before a window, 2 on both sides."""
    batch, channels, length = a.shape[0], int(a.shape[1]), int(a.shape[2])  # torch.compile may vary the batch only
    phases = 2**stage.start
    counts, column, columns = [], packed.shape[1] - 2 * taps - 1, []
    for kept in reversed(memory):
        column -= kept
        counts.append(kept)
        columns.append(column)
    windows = 1
    if stage.halo:
        steps = -(-length // phases)
        windows = -(-steps // (stage.blocks * LANES - halos * stage.halo))
    # the rows of a tile are neighbours in memory: channels, or phases (possibly only one)
    by_phase = not channels_last(a)
    minor, outer = (phases, channels) if by_phase else (channels, phases)
    rows = min(_ROWS, _power_of_two(minor))
    options = {
        "K": taps,
        "WIDTH": packed.shape[1] - 2 * taps,
        "SIZE": _power_of_two(max(LANES, packed.shape[1])),
        "KEPT": tuple(counts[stage.start : stage.stop]),
        "COLUMN": tuple(columns[stage.start : stage.stop]),
        "DEPTH": stage.stop - stage.start,
        "HALO": stage.halo,
        "TILES": windows,
        "PHASE_ROWS": by_phase,
        "C": rows,
        "T": LANES,
        "R": stage.blocks,
        "DOUBLE": a.dtype == torch.float64,
        "num_warps": max(1, rows * LANES // 32),
    }
    return (batch * windows * outer * -(-minor // rows),), options


def launchable(kernel: Any) -> Any:
    return kernel if INTERPRETED else torch.library.wrap_triton(kernel)


def _wide(x: Tensor) -> torch.dtype:
    """Return the dtype of the arithmetic and of tensors passed between launches."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
