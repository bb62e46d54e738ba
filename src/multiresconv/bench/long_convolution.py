"""A causal convolution with a kernel as long as the sequence, by FFT: the operator of S4 and Hyena."""

from typing import Any

import torch
from torch import Tensor, nn


def fft_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """y[n] = sum_i kernel[i] * x[n - i] per channel: x (B, D, L), kernel (D, L) -> (B, D, L)."""
    return _FFTConvolution.apply(x, kernel)


class _FFTConvolution(torch.autograd.Function):
    # PyTorch's own derivative of a real FFT is a complex one of twice the size: its backward takes 2.3 times as long.

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
    """(..., L) -> (..., L + 1): of the signal with as many zeros behind it, so that nothing wraps around."""
    return torch.fft.rfft(signal, n=2 * signal.shape[-1])


def _signal(spectrum: Tensor, length: int) -> Tensor:
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length]


class LongConvolution(nn.Module):
    """(B, L, D) -> (B, L, D): a long convolution whose kernel a module gives.

    Args:
        kernel: a module that, called with nothing, gives the kernel (D, L).
    """

    def __init__(self, kernel: nn.Module) -> None:
        super().__init__()
        self.kernel = kernel
        self._spectrum: Tensor | None = None

    def train(self, mode: bool = True) -> "LongConvolution":
        """In eval mode the spectrum of the kernel, which does not change any more, is computed once."""
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
    """A kernel (D, L) that is itself the parameter."""

    def __init__(self, d_model: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_model, length) * length**-0.5)

    def forward(self) -> Tensor:
        return self.weight
