"""The definition of the operator in plain PyTorch; every other backend is tested against it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def multires_conv_reference(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
    """Compute `multires_conv` with dilated causal `conv1d` calls, scale by scale (Shi, Wang & Fox 2023).

    Shapes: x (B, D, L), h0 and h1 (D, K), w (D, 1 + sum(memory) + 1), memory (m_J, ..., m_1); returns y (B, D, L).
    """
    y = w[:, -1:] * x
    a, stop = x, w.shape[1] - 1
    for j, kept in enumerate(reversed(memory), start=1):
        if kept:
            newest_first = w[:, stop - kept : stop]
            b = causal_conv(a, h1, dilation=2 ** (j - 1))
            y = y + causal_conv(b, newest_first.flip(1), dilation=2**j)
            stop -= kept
        a = causal_conv(a, h0, dilation=2 ** (j - 1))
    return y + w[:, :1] * a


def causal_conv(a: Tensor, taps: Tensor, dilation: int) -> Tensor:
    """Return sum_i taps[K-1-i] * a[n - i*dilation] for each channel; a is zero before the start.

    Shapes: a (B, D, L), taps (D, K); returns (B, D, L).
    """
    # Taps that reach beyond the start only see zeros. Exported code needs a dilation that no length changes.
    step = dilation if torch.compiler.is_compiling() else min(dilation, a.shape[2])
    past = step * (taps.shape[1] - 1)
    return F.conv1d(F.pad(a, (past, 0)), taps[:, None], dilation=step, groups=a.shape[1])
