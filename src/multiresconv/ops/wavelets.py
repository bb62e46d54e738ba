"""Filter taps of named wavelets, from PyWavelets."""

import torch
from torch import Tensor


def wavelet_taps(name: str, *, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Return the decomposition filters of a discrete wavelet, with the taps ordered as `multires_conv` expects.

    With these filters, a_j and b_j equal the stationary wavelet transform `pywt.swt` away from the borders. `pywt.swt`
    looks ahead; a_j and b_j lag it by K/2 * (2^j - 1) steps.

    Args:
        name: any name from `pywt.wavelist(kind="discrete")`, such as "haar", "db2", "sym4".
        dtype: dtype of the taps; default `torch.get_default_dtype()`.

    Returns:
        h0, h1: low-pass and high-pass taps, each (K,).

    Raises:
        ValueError: no discrete wavelet has that name.
    """
    import pywt  # imported here because it is slow and most users need no wavelet

    names = pywt.wavelist(kind="discrete")  # pyright: ignore[reportAttributeAccessIssue]
    if name not in names:
        raise ValueError(f"wavelet: no discrete wavelet named {name!r}; expected one of {', '.join(names)}")
    wavelet = pywt.Wavelet(name)  # pyright: ignore[reportAttributeAccessIssue]
    low, high = (torch.tensor(taps[::-1], dtype=dtype, device="cpu") for taps in (wavelet.dec_lo, wavelet.dec_hi))
    return low, high
