"""`Standardise`: scales each channel to mean 0 and standard deviation 1, and back, and marks missing values."""

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / std per channel: (..., d_input) -> (..., d_input) in the dtype of the buffers.

    It stands before a network's encoder, so the model takes raw units and its file holds the statistics. Models of
    values have another one for their targets and give raw units by its `undo`. It starts as the identity: mean 0,
    std 1.

    Args:
        d_input: number of channels.
        mask_missing: take NaN for a missing value: it becomes 0, the mean, and the output (..., 2 * d_input) has a
            further channel for each channel, 1 where its value is missing, else 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        d_input: int,
        *,
        mask_missing: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.mask_missing = mask_missing
        self.register_buffer("mean", torch.empty(d_input, device=device, dtype=dtype))
        self.register_buffer("std", torch.empty(d_input, device=device, dtype=dtype))
        self.set(0.0, 1.0)

    @torch.no_grad()
    def set(self, mean: Tensor | float, std: Tensor | float) -> None:
        """Set mean and standard deviation, each a number or a tensor (d_input,).

        Raises:
            ValueError: a mean is not finite, or a standard deviation is not a finite number above 0.
        """
        mean, std = (torch.as_tensor(t, dtype=torch.float64, device="cpu") for t in (mean, std))
        if not (mean.isfinite().all() and std.isfinite().all() and (std > 0).all()):
            raise ValueError(f"standardise: expected finite means and deviations above 0, got {mean} and {std}")
        self.mean.copy_(mean.expand(self.mean.shape))
        self.std.copy_(std.expand(self.std.shape))

    def forward(self, x: Tensor) -> Tensor:
        z = (x.to(self.mean.dtype) - self.mean) / self.std
        if not self.mask_missing:
            return z
        missing = x.isnan()
        return torch.cat([z.masked_fill(missing, 0), missing.to(z.dtype)], dim=-1)

    def undo(self, x: Tensor) -> Tensor:
        """Return x * std + mean, the inverse of `forward`: (..., d_input) -> (..., d_input)."""
        return x * self.std + self.mean

    def extra_repr(self) -> str:
        return f"{len(self.mean)}{', mask_missing=True' if self.mask_missing else ''}"
