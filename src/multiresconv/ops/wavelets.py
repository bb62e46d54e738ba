"""Filter taps of named wavelets, from PyWavelets."""

import torch
from torch import Tensor


def wavelet_taps(name: str, *, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Decomposition filters (h0, h1), each (K,), of a discrete wavelet, in the order that `multires_conv` takes.

    With them the operator's a_j and b_j are, away from the borders, the stationary wavelet transform of `pywt.swt`,
    which looks ahead, delayed by K/2 * (2^j - 1) steps.

    Args:
        name: any name of `pywt.wavelist(kind="discrete")`, such as "haar", "db2", "sym4".
        dtype: of the taps; default `torch.get_default_dtype()`.

    Raises:
        ValueError: no discrete wavelet has that name.
    """
    import pywt  # here, not above: only those who ask for a wavelet wait for this import

    names = pywt.wavelist(kind="discrete")  # pyright: ignore[reportAttributeAccessIssue]
    if name not in names:
        raise ValueError(f"wavelet: no discrete wavelet named {name!r}; expected one of {', '.join(names)}")
    wavelet = pywt.Wavelet(name)  # pyright: ignore[reportAttributeAccessIssue]
    low, high = (torch.tensor(taps[::-1], dtype=dtype) for taps in (wavelet.dec_lo, wavelet.dec_hi))
    return low, high
