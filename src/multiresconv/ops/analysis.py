"""Analysis of the operator: impulse and frequency responses, coefficients, receptive field, energy of each scale.

All functions compute in float64 for any dtype of the arguments. All are differentiable except
`effective_receptive_field`, which returns a count.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from multiresconv.ops.conv import check_arguments, multires_conv
from multiresconv.ops.reference import causal_conv
from multiresconv.ops.tree import fading


def impulse_response(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], length: int) -> Tensor:
    """Return the impulse response g of `multires_conv`: y is the causal convolution of g and x for every x.

    Args:
        h0, h1, w, memory: as in `multires_conv`; (D, K), (D, K) and (D, 1 + sum(memory) + 1).
        length: number of steps >= 1; all steps beyond the receptive field are 0.

    Returns:
        g: (D, length), dtype of h0; g[d, n] is the weight of the sample n steps before the current one.

    Raises:
        TypeError, ValueError, RuntimeError: arguments that `multires_conv` rejects; a length below 1.
    """
    _check_taps(h0)
    _check_count("length", length)
    impulse = torch.zeros(1, h0.shape[0], length, dtype=h0.dtype, device=h0.device)
    impulse[..., 0] = 1
    check_arguments(impulse, h0, h1, w, memory)
    return multires_conv(impulse.double(), h0.double(), h1.double(), w.double(), memory)[0].to(h0.dtype)


def coefficients(x: Tensor, h0: Tensor, h1: Tensor, depth: int) -> tuple[Tensor, list[Tensor]]:
    """Return the undecimated causal coefficients of an input, one per step and scale.

    With a_0 = x, zero before the start, and scales j = 1..depth::

        a_j[n] = sum_{i<K} h0[K-1-i] * a_{j-1}[n - i*2^(j-1)]
        b_j[n] = sum_{i<K} h1[K-1-i] * a_{j-1}[n - i*2^(j-1)]

    `multires_conv` computes y[n] = w_a*a_J[n] + sum_j sum_{t<m_j} w_{j,t} * b_j[n - t*2^j] + w_x*x[n] from them.

    Args:
        x: (B, D, L) input, L >= 1.
        h0: (D, K) low-pass taps, K >= 2; the last tap multiplies the current sample.
        h1: (D, K) high-pass taps.
        depth: number of scales J >= 1.

    Returns:
        a_J: (B, D, L), dtype of x.
        [b_J, ..., b_1]: coarsest first, each (B, D, L), dtype of x.

    Raises:
        TypeError, ValueError, RuntimeError: arguments that `multires_conv` rejects; a depth below 1.
    """
    _check_taps(h0)
    _check_count("depth", depth)
    check_arguments(x, h0, h1, h0.new_empty(h0.shape[0], depth + 2), fading(depth))
    a, low, high = x.double(), h0.double(), h1.double()
    details = []
    for scale in range(1, depth + 1):
        details.append(causal_conv(a, high, dilation=2 ** (scale - 1)).to(x.dtype))
        a = causal_conv(a, low, dilation=2 ** (scale - 1))
    return a.to(x.dtype), details[::-1]


def frequency_response(h0: Tensor, h1: Tensor, depth: int, n_frequencies: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the complex gains from x to the coefficients, at frequencies spaced evenly from 0 to 1/2 cycle per sample.

    An input exp(2 pi i f n) without a start gives coefficients equal to the input times::

        low(f)    = prod_{j<=J} H0(2^(j-1) f)                      for a_J
        high_j(f) = H1(2^(j-1) f) * prod_{i<j} H0(2^(i-1) f)       for b_j
        H(f)      = sum_{i<K} h[K-1-i] * exp(-2 pi i f i)          for h0 and h1 each

    Args:
        h0: (D, K) low-pass taps, K >= 2; the last tap multiplies the current sample.
        h1: (D, K) high-pass taps.
        depth: number of scales J >= 1.
        n_frequencies: F >= 1.

    Returns:
        frequencies: (F,) in cycles per sample, float64.
        low: (D, F), complex128.
        high: (J, D, F), complex128, for b_J, ..., b_1, coarsest first.

    Raises:
        TypeError, ValueError, RuntimeError: taps that `multires_conv` rejects; a depth or n_frequencies below 1.
    """
    _check_taps(h0)
    _check_count("depth", depth)
    _check_count("n_frequencies", n_frequencies)
    channels, kernel_size = h0.shape
    check_arguments(h0.new_empty(0, channels, 1), h0, h1, h0.new_empty(channels, depth + 2), fading(depth))
    newest_first = torch.stack([h0.double(), h1.double()]).flip(2).to(torch.complex128)
    frequencies = torch.linspace(0, 0.5, n_frequencies, dtype=torch.float64, device=h0.device)
    lags = torch.arange(kernel_size, dtype=torch.float64, device=h0.device)
    low = newest_first.new_ones(channels, n_frequencies)
    high = []
    for scale in range(1, depth + 1):
        # whole turns are removed exactly, so that the phase keeps its precision at any depth
        turns = (frequencies * 2.0 ** (scale - 1)).remainder(1)
        gain0, gain1 = newest_first @ torch.exp(-2j * torch.pi * lags[:, None] * turns)
        high.append(gain1 * low)
        low = gain0 * low
    return frequencies, low, torch.stack(high[::-1])


def effective_receptive_field(impulse: Tensor, share: float = 0.99) -> Tensor:
    """Return how many of the newest steps hold the given share of the energy sum_n g[n]^2 of an impulse response.

    Args:
        impulse: (..., L) finite responses g, newest step first, as `impulse_response` returns them. Energy beyond the
            L steps is not counted, so L should be at least the receptive field.
        share: above 0, at most 1.

    Returns:
        (...) int64: the smallest n with sum_{i<n} g[i]^2 >= share * sum_{i<L} g[i]^2; 0 if all g are 0.

    Raises:
        TypeError: `impulse` is not a floating point tensor.
        ValueError: `impulse` has no steps or a value that is not finite; `share` is out of range.
    """
    if not isinstance(impulse, Tensor) or not impulse.is_floating_point():
        raise TypeError(f"impulse: expected a floating point tensor, got {_kind(impulse)}")
    if impulse.ndim < 1 or impulse.shape[-1] < 1:
        raise ValueError(f"impulse: expected shape (..., length >= 1), got {tuple(impulse.shape)}")
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number above 0 and at most 1, got {share}")
    if not impulse.isfinite().all():
        raise ValueError("impulse: expected finite values, got some that are not")
    g = impulse.detach().double()
    largest = g.abs().amax(-1, keepdim=True)
    # divided by the largest value, so that no square overflows or underflows float64
    held = (g / torch.where(largest > 0, largest, 1)).square().cumsum(-1)
    total = held[..., -1:]
    return ((held < share * total).sum(-1) + 1).where(total.squeeze(-1) > 0, 0)


def scale_energies(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    """Return the variance of each term of the operator for white noise input of variance 1.

    The terms are w_a*a_J, sum_{t<m_j} w_{j,t} * b_j[n - t*2^j] for j = J..1, and w_x*x. The variance of a term is the
    energy sum_n g[n]^2 of its impulse response g. Divided by their sum, the variances are the shares of the scales.
    With learned taps the terms are correlated, so the variance of y is not their sum. With the taps of an orthogonal
    wavelet the variances are w_a^2, sum_t w_{J,t}^2, ..., w_x^2.

    The result is exact and takes O(K^2) per scale for any receptive field: the next filters are dilated by 2, so only
    the even lags of an autocorrelation matter, and at most 2K - 1 of them are kept.

    Args:
        h0, h1, w, memory: as in `multires_conv`; (D, K), (D, K) and (D, 1 + sum(memory) + 1).

    Returns:
        (D, J + 2) float64, for [a_J, b_J, ..., b_1, x], in the order of `w`.

    Raises:
        TypeError, ValueError, RuntimeError: arguments that `multires_conv` rejects.
    """
    _check_taps(h0)
    memory = check_arguments(h0.new_empty(0, h0.shape[0], 1), h0, h1, w, memory)
    w, lags = w.double(), h0.shape[1] - 1
    low, high = _autocorrelation(h0.double(), lags), _autocorrelation(h1.double(), lags)
    so_far = low.new_ones(low.shape[0], 1)  # autocorrelation of a_{j-1} at lags that are multiples of 2^(j-1)
    energies, stop = [w[:, -1] ** 2], w.shape[1] - 1
    for kept in reversed(memory):
        detail = _even_lags(_convolve(so_far, high))
        weights = _autocorrelation(w[:, stop - kept : stop], detail.shape[1] // 2)
        energies.append((detail * weights).sum(1))
        so_far = _even_lags(_convolve(so_far, low))
        stop -= kept
    energies.append(w[:, 0] ** 2 * so_far[:, so_far.shape[1] // 2])
    return torch.stack(energies[::-1], 1).clamp_min(0)  # rounding may give a negative number


def _autocorrelation(v: Tensor, lags: int) -> Tensor:
    """Return sum_i v[i] * v[i + lag] of v (D, M), M >= 0, at the lags -lags..lags: (D, 2 * lags + 1)."""
    one_sided = [(v[:, lag:] * v[:, : max(v.shape[1] - lag, 0)]).sum(1) for lag in range(lags + 1)]
    return torch.stack([*one_sided[:0:-1], *one_sided], 1)


def _convolve(a: Tensor, b: Tensor) -> Tensor:
    """Return the full convolution of two autocorrelations, (D, M) and (D, N) -> (D, M + N - 1).

    Autocorrelations are symmetric, so no argument has to be flipped.
    """
    return causal_conv(F.pad(a, (0, b.shape[1] - 1))[None], b, dilation=1)[0]


def _even_lags(r: Tensor) -> Tensor:
    """Keep the even lags of an autocorrelation r (D, 2n + 1) at the lags -n..n."""
    return r[:, r.shape[1] // 2 % 2 :: 2]


def _check_taps(h0: Tensor) -> None:
    """Raise unless h0 is a valid (D, K) tensor; `check_arguments` needs its shape to check the rest."""
    if not isinstance(h0, Tensor) or not h0.is_floating_point():
        raise TypeError(f"h0: expected a floating point tensor, got {_kind(h0)}")
    if h0.ndim != 2 or h0.shape[0] < 1 or h0.shape[1] < 2:
        raise ValueError(f"h0: expected shape (channels >= 1, K) with K >= 2, got {tuple(h0.shape)}")


def _check_count(name: str, value: int) -> None:
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")


def _kind(value: object) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
