"""`why_not_fused`: decides whether a block may run as one fused kernel.

A fused kernel reads the parameters of a block and calls none of its submodules. PyTorch lets users replace a
submodule, hook it, patch its `forward`, parametrize it or replace its tensors. The kernel runs only if it can rule out
all of these. Otherwise the block calls its submodules one by one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.hooks import why_all_changed, why_changed
from multiresconv.layers.multires_layer import MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm

_NORMS = (nn.LayerNorm, MaskedBatchNorm)


def why_not_fused(block: nn.Module, x: Tensor | None = None) -> str | None:
    """Say why a `MultiresBlock` calls its submodules one by one, or return None if it runs as one fused kernel.

    Args:
        block: the block.
        x: input (B, L, d_model), to check its device, dtype and length too; None checks the block alone.

    Returns:
        The reason, such as "mix has a forward hook" or "norm is a RMSNorm", or None.

    Example:
        >>> block = MultiresBlock(8, depth=3)
        >>> why_not_fused(block)
        >>> block.norm = torch.nn.RMSNorm(8)
        >>> why_not_fused(block)
        'norm is a RMSNorm'
    """
    parts = block._modules
    return (
        _why_changed(block, parts)
        or _why_other_tensors(block, parts)
        or (None if x is None else _why_not_for(block, x))
    )


def _why_changed(block: Any, parts: dict[str, Any]) -> str | None:
    """Name a module that has an unexpected type, a hook or a patched `forward`."""
    from multiresconv.layers.multires_block import MultiresBlock  # here, because that file imports this one

    if type(block) is not MultiresBlock:
        return f"the block is a {type(block).__name__}"
    expected = {"conv": (MultiresLayer,), "mix": (nn.Linear,), "dropout": (ChannelDropout,), "norm": _NORMS}
    if parts.get("projection") is not None:
        expected["projection"] = (nn.Linear,)
    for name, kinds in expected.items():
        part: Any = parts.get(name)
        if type(part) not in kinds:
            return f"{name} is a {type(part).__name__}"
        if reason := why_changed(part):
            return f"{name} {reason}"
    if reason := why_changed(block):
        return f"the block {reason}"
    if reason := why_all_changed():
        return reason
    if reason := block.unfused_option():
        return reason
    if block.conv.backend not in ("auto", "cpu"):
        return f"the backend is {block.conv.backend!r}"
    return None


def _why_other_tensors(block: Any, parts: dict[str, Any]) -> str | None:
    """Name a parameter that is missing, or has a shape, dtype, device or type that the kernel does not support."""
    conv = block.conv
    width, dtype = len(conv.h0), conv.h0.dtype
    if dtype not in (torch.float32, torch.float64):
        return f"conv.h0 is {dtype}"
    taps, weights = (width, len(conv.h0[0])), (width, sum(conv.memory) + 2)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "conv": (taps, taps, weights) * (1 + conv.bidirectional),
        "mix": ((2 * width, width), (2 * width,)),
        "norm": ((width,), (width,)),
        "projection": ((width, width), (width,)),
    }
    for name, wanted in shapes.items():
        part = parts.get(name)
        if part is None:
            continue
        found = part._parameters
        if len(found) != len(wanted):
            return f"{name} has the parameters {', '.join(found)}"
        for (key, tensor), shape in zip(found.items(), wanted, strict=True):
            if tensor is None:
                return f"{name} has no {key}"
            if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided:
                return f"{name}.{key} is a {type(tensor).__name__}"
            if tensor.shape != shape:
                return f"{name}.{key} has the shape {tuple(tensor.shape)}"
            if tensor.dtype != dtype or not tensor.is_cpu:
                return f"{name}.{key} is {tensor.dtype} on {tensor.device}"
    return None


def _why_not_for(block: Any, x: Tensor) -> str | None:
    """Say what the kernel does not support about the input x."""
    from multiresconv.ops.cpu.operator import LONG

    conv, autocast = block.conv, torch.is_autocast_enabled("cpu")
    if type(x) not in (Tensor, nn.Parameter):
        return f"x is a {type(x).__name__}"
    if not x.is_cpu:
        return f"x is on {x.device}"
    if autocast and torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return f"autocast is to {torch.get_autocast_dtype('cpu')}"
    if x.dtype != conv.h0.dtype and not autocast:
        return f"x is {x.dtype}"
    if x.shape[2:] != (len(conv.h0),):
        return f"x has the shape {tuple(x.shape)}"
    if x.shape[1] > LONG:  # the operator has its own kernels for long rows
        return f"x has {x.shape[1]} steps, more than {LONG}"
    return None
