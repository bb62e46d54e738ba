"""The operator scale by scale through main memory, in Triton, for trees that the tiles of `kernels` cannot hold.

The loops are not unrolled, so any number of taps, coefficients and steps works; sums have a fixed order. Besides x,
forward holds three tensors of its size and backward six. Backward recomputes a_j from x for each scale, which takes
J^2 / 2 filters in total.
"""

# Triton compiles a subset of Python, in which types are not those that type checkers infer.
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# Steps in a tile if the steps of a row are contiguous in memory; steps and channels in a tile if channels are.
_STEPS, _STEPS_AND_CHANNELS = 1024, (64, 16)


@triton.jit
def _tile(length, channels, C: tl.constexpr, T: tl.constexpr):
    """Return this program's batch element, channels (C, 1), steps (1, T), mask (C, T), window and window count."""
    pid = tl.program_id(0)
    tiles = tl.cdiv(channels, C)
    windows = tl.cdiv(length, T)
    channel = (pid % tiles * C + tl.arange(0, C)).to(tl.int64)[:, None]
    window = pid // tiles % windows
    n = (window.to(tl.int64) * T + tl.arange(0, T))[None, :]
    inside = (channel < channels) & (n < length)
    return (pid // tiles // windows).to(tl.int64), channel, n, inside, window, windows


@triton.jit
def filter_scale(
    a, base, out, taps, length, channels, dilation,
    a_b, a_d, a_l, base_b, base_d, base_l, out_b, out_d, out_l,
    COUNT: tl.constexpr, C: tl.constexpr, T: tl.constexpr, DOUBLE: tl.constexpr,
):  # fmt: skip
    """out[n] = base[n] (0 if None) + sum_{i<COUNT} taps[i] a[n - i*dilation], taps (channels, COUNT).

    A negative dilation gives the adjoint with respect to a.
    """
    dtype: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    b, channel, n, inside, _, _ = _tile(length, channels, C, T)
    if base is None:
        total = tl.zeros((C, T), dtype)
    else:
        total = tl.load(base + b * base_b + channel * base_d + n * base_l, mask=inside, other=0.0).to(dtype)
    for i in range(COUNT):
        tap = tl.load(taps + channel * COUNT + i, mask=channel < channels, other=0.0).to(dtype)
        m = n - tl.cast(i, tl.int64) * dilation
        exists = inside & (m >= 0) & (m < length)
        total += tap * tl.load(a + b * a_b + channel * a_d + m * a_l, mask=exists, other=0.0).to(dtype)
    tl.store(out + b * out_b + channel * out_d + n * out_l, total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def filter_scale_taps(
    g, a, sums, length, channels, dilation,
    g_b, g_d, g_l, a_b, a_d, a_l,
    COUNT: tl.constexpr, C: tl.constexpr, T: tl.constexpr, DOUBLE: tl.constexpr,
):  # fmt: skip
    """sums[b, window, c, i] = sum over the steps n of a window of g[n + i*dilation] a[n]."""
    dtype: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    b, channel, n, inside, window, windows = _tile(length, channels, C, T)
    now = tl.load(a + b * a_b + channel * a_d + n * a_l, mask=inside, other=0.0).to(dtype)
    row = ((b * windows + window) * channels + channel) * COUNT
    for i in range(COUNT):
        m = n + tl.cast(i, tl.int64) * dilation
        later = tl.load(g + b * g_b + channel * g_d + m * g_l, mask=inside & (m < length), other=0.0)
        tl.store(sums + row + i, tl.sum(later.to(dtype) * now, 1, keep_dims=True), mask=channel < channels)


def forward_by_scales(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...], y: Tensor) -> None:
    """Write the operator's output to y (B, D, L), dense; shapes as in `multires_conv_reference`."""
    lo, hi, weights = _wide_parameters(h0, h1, w)
    dense = torch.empty_like(y, dtype=lo.dtype)
    total = _filtered(x, weights[:, -1:], 1, out=torch.empty_like(dense))
    a, stop = x, w.shape[1] - 1
    for s, kept in enumerate(reversed(memory)):
        own, dilation = weights[:, stop - kept : stop], _dilation(s, x)
        if kept == 1:
            total = _filtered(a, hi * own, dilation, base=total, out=torch.empty_like(dense))
        elif kept > 1:
            b = _filtered(a, hi, dilation, out=torch.empty_like(dense))
            total = _filtered(b, own, 2 * dilation, base=total, out=torch.empty_like(dense))
        a = _filtered(a, lo, dilation, out=torch.empty_like(dense))
        stop -= kept
    _filtered(a, weights[:, :1], 1, base=total, out=y)


def backward_by_scales(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...], grad_x: Tensor
) -> Tensor:
    """Write grad_x (B, D, L), dense; return the gradients of h0, h1 and w side by side, (D, 2K + width of w)."""
    lo, hi, weights = _wide_parameters(h0, h1, w)
    dense = torch.empty_like(grad_x, dtype=lo.dtype)
    grad_lo, grad_hi = torch.zeros_like(lo), torch.zeros_like(hi)
    g = _filtered(grad_y, weights[:, :1], 1, out=torch.empty_like(dense))
    grad_w = [_tap_sums(grad_y, _level(x, lo, len(memory), dense), 1, 1)]
    start = 1
    for s in range(len(memory) - 1, -1, -1):
        kept = memory[len(memory) - 1 - s]
        own, dilation = weights[:, start : start + kept], _dilation(s, x)
        a = _level(x, lo, s, dense)
        grad_lo += _tap_sums(g, a, lo.shape[1], dilation)
        g = _filtered(g, lo, -dilation, out=torch.empty_like(dense))
        if kept == 1:
            sums = _tap_sums(grad_y, a, hi.shape[1], dilation)
            grad_hi += own * sums
            grad_w.append((hi * sums).sum(1, keepdim=True))
            g = _filtered(grad_y, hi * own, -dilation, base=g, out=torch.empty_like(dense))
        elif kept > 1:
            grad_w.append(
                _tap_sums(grad_y, _filtered(a, hi, dilation, out=torch.empty_like(dense)), kept, 2 * dilation)
            )
            grad_b = _filtered(grad_y, own, -2 * dilation, out=torch.empty_like(dense))
            grad_hi += _tap_sums(grad_b, a, hi.shape[1], dilation)
            g = _filtered(grad_b, hi, -dilation, base=g, out=torch.empty_like(dense))
        start += kept
    grad_w.append(_tap_sums(grad_y, x, 1, 1))
    _filtered(grad_y, weights[:, -1:], 1, base=g, out=grad_x)
    return torch.cat([grad_lo.flip(1), grad_hi.flip(1), *grad_w], 1)


def _wide_parameters(h0: Tensor, h1: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the taps, newest first, and the weights in the dtype of the arithmetic."""
    wide = torch.float64 if h0.dtype == torch.float64 else torch.float32
    return h0.to(wide).flip(1), h1.to(wide).flip(1), w.to(wide)


def _dilation(scale: int, x: Tensor) -> int:
    """Return 2^scale, capped at the length of x."""
    return min(2**scale, x.shape[2])


def _level(x: Tensor, lo: Tensor, scales: int, dense: Tensor) -> Tensor:
    """Return the scaling coefficients of x after `scales` scales, (B, D, L); `dense` gives layout and dtype."""
    a = x
    for s in range(scales):
        a = _filtered(a, lo, _dilation(s, x), out=torch.empty_like(dense))
    return a


def _filtered(a: Tensor, taps: Tensor, dilation: int, *, base: Tensor | None = None, out: Tensor) -> Tensor:
    """Write base[n] + sum_i taps[i] a[n - i*dilation] to out and return it; taps (D, count), all else (B, D, L)."""
    grid, tile = _tiling(a, out)
    launchable(filter_scale)[grid](
        a, base, out, taps.contiguous(), a.shape[2], a.shape[1], dilation,
        *a.stride(), *(out if base is None else base).stride(), *out.stride(),
        COUNT=taps.shape[1], **tile,
    )  # fmt: skip
    return out


def _tap_sums(g: Tensor, a: Tensor, count: int, dilation: int) -> Tensor:
    """Return the sums of g[n + i*dilation] a[n] over batch and steps, (D, count); g and a (B, D, L)."""
    grid, tile = _tiling(a, a)
    wide = torch.float64 if a.dtype == torch.float64 else torch.float32
    windows = -(-a.shape[2] // tile["T"])
    sums = torch.empty(a.shape[0], windows, a.shape[1], count, dtype=wide, device=a.device)
    launchable(filter_scale_taps)[grid](
        g, a, sums, a.shape[2], a.shape[1], dilation, *g.stride(), *a.stride(), COUNT=count, **tile
    )
    return sums.sum((0, 1))


def _tiling(a: Tensor, out: Tensor) -> tuple[tuple[int], dict[str, Any]]:
    batch, channels, length = a.shape
    steps, rows = _STEPS_AND_CHANNELS if out.stride(1) < out.stride(2) else (_STEPS, 1)
    grid = (batch * -(-length // steps) * -(-channels // rows),)
    return grid, {"C": rows, "T": steps, "DOUBLE": a.dtype == torch.float64}


def launchable(kernel: Any) -> Any:
    return torch.library.wrap_triton(kernel) if isinstance(kernel, triton.JITFunction) else kernel
