"""`sequence_parallel`: sequences that are split in time over processes, each of which computes one part.

The state of a block is all that its later steps need of the past. So each process computes the blocks on its own part
of the sequences, and hands the state after its last step to the next process, block by block. While a process computes
a block, the one before it already computes the next block. Backward runs in the opposite direction: gradients of the
states travel to earlier processes.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from multiresconv.layers import MultiresBlock, apply_norm
from multiresconv.models.net import MultiresNet


def sequence_parallel(net: MultiresNet, x: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Compute the features of this process's part of sequences that are split in time over the processes of a group.

    Rank 0 has the first steps, the last rank the last ones; the parts may differ in length. All processes call this
    function, with equal parameters and all with or all without gradients, and then call backward on a loss of their
    features. A process whose features are in no loss calls `(0 * features.sum()).backward()`, since earlier processes
    wait for its gradients. The gradient of a parameter is the sum over the processes, which the caller takes, for
    example by `dist.all_reduce(parameter.grad)`. Gradients are exact: nothing is truncated.

    Args:
        net: a causal net without active dropout and without batch norm in training mode.
        x: (B, L, d_input) or tokens (B, L), the part of this process, as in `MultiresNet.forward`.
        group: the processes, in the order of the parts; default all. Its backend must have `send` and `recv` for the
            device of x, as gloo has for CPUs.

    Returns:
        Features (B, L, d_model) of the steps of x.

    Raises:
        RuntimeError: there is no process group; the net cannot stream (see `MultiresNet.init_state`); dropout or batch
            norm is in training mode; or gradients are enabled in this process or in the one before, but not in both.
        ValueError: batch, blocks, depth, width or kernel size differ between this process and the one before.
    """
    if not dist.is_initialized():
        raise RuntimeError("group: there is none; call torch.distributed.init_process_group first")
    net.check_input(x)
    blocks = cast(Sequence[MultiresBlock], net.blocks)
    for block in blocks:
        block.check_streams()
    ranks, here = dist.get_process_group_ranks(group or dist.group.WORLD), dist.get_rank(group)
    earlier = ranks[here - 1] if here > 0 else None
    later = ranks[here + 1] if here + 1 < len(ranks) else None

    start = net.init_state(x.shape[0])
    lines_before, position = start["lines"].unbind(1), start["position"]
    tracked = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *net.parameters()))
    anchor = torch.zeros((), requires_grad=tracked)  # a graph without it would not wait for gradients
    header = torch.tensor([x.shape[1], tracked, *start["lines"].shape], device=x.device)
    position += _steps_before(header, earlier, later, group)
    x = net.encode(x)
    for block, lines in zip(blocks, lines_before, strict=True):
        if earlier is not None:
            x, lines = cast(tuple[Tensor, Tensor], _Receive.apply(x, lines, anchor, earlier, group))
        x, after = block(x, state={"lines": lines, "position": position})
        if later is not None:
            x = cast(Tensor, _Send.apply(x, after["lines"], anchor, later, group))
    return x if net.norm is None else apply_norm(net.norm, x, None)


def _steps_before(header: Tensor, earlier: int | None, later: int | None, group: dist.ProcessGroup | None) -> int:
    """Return the number of steps of all earlier processes, after comparing what has to be equal in all.

    `header` holds the number of steps, whether there are gradients, and the shape of the delay lines of this process.
    """
    steps = 0
    length, tracked, *shape = header.tolist()
    if earlier is not None:
        received = torch.empty_like(header)
        dist.recv(received, earlier, group)
        steps, theirs, *their_shape = received.tolist()
        if their_shape != shape:
            raise ValueError(
                f"state: expected (batch, blocks, slots, channels) of the process before, rank {earlier}, "
                f"{tuple(their_shape)}, got {tuple(shape)}; give every process the same net and the same rows"
            )
        if theirs != tracked:
            raise RuntimeError(
                f"gradients: {'on' if tracked else 'off'} here, {'on' if theirs else 'off'} in the process before, "
                f"rank {earlier}; call sequence_parallel in all processes with or in all without gradients"
            )
    if later is not None:
        header[0] = steps + length
        dist.send(header, later, group)
    return steps


class _Receive(torch.autograd.Function):
    """Receive delay lines from the process before; backward sends their gradient there.

    x passes through so that backward sends before it goes on to earlier blocks, in the order in which the process
    before waits for the gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, like: Tensor, anchor: Tensor, earlier: int, group: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor]:
        ctx.earlier, ctx.group = earlier, group
        lines = torch.empty_like(like, memory_format=torch.contiguous_format)
        dist.recv(lines, earlier, group)
        return x.view_as(x), lines

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_lines = grads
        dist.send(grad_lines.contiguous(), ctx.earlier, ctx.group)
        return grad_x, None, None, None, None


class _Send(torch.autograd.Function):
    """Send delay lines to the process after; backward receives their gradient. x passes through as in `_Receive`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, lines: Tensor, anchor: Tensor, later: int, group: dist.ProcessGroup | None
    ) -> Tensor:
        ctx.later, ctx.group, ctx.like = later, group, torch.empty_like(lines, device="meta")
        dist.send(lines.contiguous(), later, group)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_lines = torch.empty(ctx.like.shape, dtype=ctx.like.dtype, device=grads[0].device)
        dist.recv(grad_lines, ctx.later, ctx.group)
        return grads[0], grad_lines, None, None, None
