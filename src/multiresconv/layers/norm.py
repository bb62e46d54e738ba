"""The norms of a block: layer norm, and batch norm over the valid steps of the batch, across processes too."""

from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from multiresconv.layers.lengths import valid_steps
from multiresconv.ops.cpu.registration import moments, normalise, process_group

Norm = Literal["layer", "batch"]
ProcessGroup = Any
""""all", "own" or a `torch.distributed.ProcessGroup`, which builds of PyTorch without distributed lack."""


class MaskedBatchNorm(_BatchNorm):
    """Batch norm of (B, L, d_model) per channel, with statistics over the valid steps only.

    It equals `torch.nn.BatchNorm1d` on the concatenated valid steps and has the same arguments, parameters and buffers.
    When training under `torch.distributed` it uses the statistics of the global batch, so N processes compute the same
    as one. `process_group` names other processes, or none; see `set_process_group` for those of a whole model.

    Padded steps come out as 0. Their content changes no other output, no statistic and no gradient.

    Args:
        d_model: number of channels.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None averages over all batches.
        process_group: the processes whose batches count: "all", "own" for this process alone, or a
            `torch.distributed` group that this process is in.

    Raises:
        ValueError: the process group is none of these.
    """

    running_mean: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    running_var: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    num_batches_tracked: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        d_model: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        process_group: ProcessGroup = "all",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(d_model, eps, momentum, device=device, dtype=dtype)
        self.process_group = process_group

    @property
    def process_group(self) -> str:
        """ "all", "own" or the name of a `torch.distributed` group; may be set to such a group."""
        return self._process_group

    @process_group.setter
    def process_group(self, group: ProcessGroup) -> None:
        name = getattr(group, "group_name", group)
        if name not in ("all", "own") and group is name:
            raise ValueError(
                f"process_group: expected 'all', 'own' or a torch.distributed group of this process, got {group!r}"
            )
        self._process_group = name

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        """Normalise x (B, L, d_model) -> (B, L, d_model).

        Args:
            x: sequences.
            lengths: (B,) valid steps of each sequence, 1..L; None if all are valid.

        Raises:
            ValueError: training on a single valid step, which has no variance.
        """
        group = self._begin(x, lengths)
        if lengths is None and not group:
            return self._torch_norm(x)
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        valid = valid_steps(lengths, x.shape[1])
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.training:
            count, mean, centred, variance = _statistics(wide, valid, lengths, group)
            self._track(count, mean, variance)
        else:
            centred, variance = (wide - self.running_mean).where(valid, 0), self.running_var.to(wide.dtype)
        y = centred * (self.weight.to(wide.dtype) * (variance + self.eps).rsqrt()) + self.bias
        return y.where(valid, 0).to(x.dtype)

    def fused(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute `forward` by CPU kernels: x (B, L, d_model) is float32 or float64; first derivatives only."""
        group = self._begin(x, lengths)
        lengths = torch.full((x.shape[0],), x.shape[1], device="cpu") if lengths is None else lengths.long()
        x = x.transpose(1, 2)
        if self.training:
            totals, squares = moments(x, lengths).unbind(2)
            count = lengths.sum().double()
            total = torch.cat([count[None], totals.sum(0)])
            if group:
                dist.all_reduce(total, group=process_group(group))
            count, mean = total[0], total[1:] / total[0]
            about_mean = (squares + lengths[:, None] * (totals / lengths[:, None] - mean).square()).sum(0)
            if group:
                dist.all_reduce(about_mean, group=process_group(group))
            variance = about_mean / count
            self._track(count, mean, variance)
            share = 1 / count
        else:
            mean, variance = self.running_mean.double(), self.running_var.double()
            share = mean.new_zeros(())
        scale = (variance + self.eps).rsqrt()
        return normalise(x, lengths, self.weight, self.bias, mean, scale, share, group).transpose(1, 2)

    def _begin(self, x: Tensor, lengths: Tensor | None) -> str:
        """Count a training batch. Return the name of the group that shares its statistics, or "" for none."""
        group = self._sharing() if self.training else ""
        if self.training:
            _check_more_than_one_step(x, lengths, group)
            self.num_batches_tracked.add_(1)
        return group

    def _sharing(self) -> str:
        """Return the name of the group of several processes that share statistics, or ""."""
        if self._process_group == "own" or not (dist.is_available() and dist.is_initialized()):
            return ""
        group: Any = dist.group.WORLD if self._process_group == "all" else process_group(self._process_group)
        return group.group_name if dist.get_world_size(group) > 1 else ""

    def _torch_norm(self, x: Tensor) -> Tensor:
        steps, share = x.reshape(-1, x.shape[-1]), self._share() if self.training else 0.0
        y = F.batch_norm(
            steps, self.running_mean, self.running_var, self.weight, self.bias, self.training, share, self.eps
        )
        return y.view(x.shape)

    def _share(self) -> float:
        """Return the weight of the current batch in the running statistics."""
        return 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum

    @torch.no_grad()
    def _track(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self._share())
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self._share())


def make_norm(
    norm: Norm, d_model: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.LayerNorm | MaskedBatchNorm:
    """Build the norm named "layer" or "batch".

    Raises:
        ValueError: the name is neither.
    """
    if norm not in get_args(Norm):
        raise ValueError(f"norm: expected 'layer', 'batch' or a module, got {norm!r}")
    return (nn.LayerNorm if norm == "layer" else MaskedBatchNorm)(d_model, device=device, dtype=dtype)


def set_process_group(module: nn.Module, group: ProcessGroup) -> None:
    """Set the processes with which the batch norms of a module share the statistics of a training batch.

    A module that other processes do not train needs "own": else it waits for them.

    Args:
        module: any module; each `MaskedBatchNorm` in it is set.
        group: "all", "own" or a `torch.distributed` group that this process is in.

    Raises:
        ValueError: the group is none of these.
    """
    for part in module.modules():
        if isinstance(part, MaskedBatchNorm):
            part.process_group = group


def norm_name(norm: nn.Module) -> str:
    """Return the name that `make_norm` takes, or the class of a norm of the user's own."""
    names: dict[type, str] = {nn.LayerNorm: "layer", MaskedBatchNorm: "batch"}
    return names.get(type(norm), type(norm).__name__)


def apply_norm(norm: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Apply a norm to x (B, L, D).

    Only `MaskedBatchNorm` gets the lengths. A batch norm of PyTorch gets the valid steps laid end to end, (N, D).
    """
    if isinstance(norm, MaskedBatchNorm):
        return norm(x, lengths)
    if not isinstance(norm, _BatchNorm):
        return norm(x)
    if lengths is None:
        return norm(x.reshape(-1, x.shape[-1])).view(x.shape)
    valid = valid_steps(lengths, x.shape[1]).squeeze(2)
    return torch.zeros_like(x).masked_scatter(valid.unsqueeze(2), norm(x[valid]))


def _statistics(x: Tensor, valid: Tensor, lengths: Tensor, group: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute statistics of the valid steps of x (B, L, D) in two passes.

    One pass, the mean of squares minus the squared mean, would lose precision where the mean is large.

    Returns:
        Count (), mean (D,), x minus mean with 0 in the padding (B, L, D), biased variance (D,).
    """
    count = lengths.sum().to(x.dtype)
    total = x.where(valid, 0).sum((0, 1))
    if group:
        count, total = _SumOverProcesses.apply(torch.cat([count[None], total]), group).split([1, len(total)])
    mean = total / count
    centred = (x - mean).where(valid, 0)
    squares = centred.square().sum((0, 1))
    if group:
        squares = _SumOverProcesses.apply(squares, group)
    return count.squeeze(), mean, centred, squares / count


def _check_more_than_one_step(x: Tensor, lengths: Tensor | None, group: str) -> None:
    # Every sequence has a valid step, so larger batches have two: they skip the wait for the device.
    if x.shape[0] > 1 or group or x.is_meta or torch.compiler.is_compiling():
        return
    steps = x.shape[0] * x.shape[1] if lengths is None else int(lengths.sum())
    if steps < 2:
        raise ValueError(f"x: batch norm needs more than 1 valid step in training, got {steps} in {tuple(x.shape)}")


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over a group. Every process's loss depends on it, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, group: str) -> Tensor:
        ctx.group, total = group, local.clone()
        dist.all_reduce(total, group=process_group(group))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].clone()
        dist.all_reduce(total, group=process_group(ctx.group))
        return total, None
