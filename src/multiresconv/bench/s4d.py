"""S4D (Gu, Gupta, Goel & Re 2022, "On the Parameterization and Initialization of Diagonal State Space Models")."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from multiresconv.bench.long_convolution import LongConvolution


class S4DState(NamedTuple):
    """Complex hidden state (B, D, N/2), and the precomputed factors of a step: decay (D, N/2), output (D, N)."""

    hidden: Tensor
    decay: Tensor
    output: Tensor


class S4D(nn.Module):
    """(B, L, D) -> (B, L, D): a diagonal state space per channel, run as a convolution or step by step."""

    def __init__(self, d_model: int, length: int, n_states: int = 64) -> None:
        super().__init__()
        self.space = DiagonalStateSpace(d_model, length, n_states)
        self.convolution = LongConvolution(self.space)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x)

    @torch.no_grad()
    def init_state(self, batch_size: int) -> S4DState:
        decay, output = self.space.discretise()
        hidden = decay.new_zeros(batch_size, *decay.shape)
        return S4DState(hidden, decay, torch.view_as_real(2 * output.conj()).flatten(1))

    @torch.no_grad()
    def step(self, x: Tensor, state: S4DState) -> tuple[Tensor, S4DState]:
        """Take one step: x (B, D) -> y (B, D) and the next state, which overwrites the given one."""
        pairs = torch.view_as_real(state.hidden.mul_(state.decay))
        pairs[..., 0] += x[..., None]
        y = (pairs.flatten(2) * state.output).sum(2)  # Re(c * h) = Re c * Re h - Im c * Im h
        return y.addcmul_(self.space.skip, x), state


class DiagonalStateSpace(nn.Module):
    """State space h' = A h + x, y = 2 Re(C h) + skip * x per channel, A diagonal; called, it gives its kernel (D, L).

    dt is the step length. The N states form conjugate pairs, and one state of each pair is stored. A starts as S4D-Lin,
    -1/2 + i pi n.
    """

    def __init__(self, d_model: int, length: int, n_states: int) -> None:
        super().__init__()
        pairs = n_states // 2
        self.length = length
        self.log_dt = nn.Parameter(torch.empty(d_model).uniform_(math.log(1e-3), math.log(1e-1)))
        self.log_decay = nn.Parameter(torch.full((d_model, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs).expand(d_model, -1).clone())
        self.c = nn.Parameter(torch.randn(d_model, pairs, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(d_model))

    def rates(self) -> tuple[Tensor, Tensor]:
        """Return real and imaginary part of dt * A, each (D, N/2)."""
        dt = self.log_dt.exp()[:, None]
        return -dt * self.log_decay.exp(), dt * self.frequency

    def discretise(self) -> tuple[Tensor, Tensor]:
        """Discretise with zero-order hold: exp(dt * A) and C (exp(dt * A) - 1) / A, each (D, N/2), complex."""
        decay = torch.exp(torch.complex(*self.rates()))
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        return decay, torch.view_as_complex(self.c) * (decay - 1) / a

    def forward(self) -> Tensor:
        """Compute the kernel (D, L): 2 Re sum_n output_n * decay_n^l, plus skip at l = 0.

        With l = columns * i + j, decay^l is a product of two powers. So the kernel is a real matrix product of
        (rows, N) and (N, columns), where rows and columns are about sqrt(L). (D, N, L) is never stored.
        """
        columns = 2 ** math.ceil(math.log2(self.length) / 2)
        rows = -(-self.length // columns)
        coarse_re, coarse_im = self._powers(columns * torch.arange(rows, device=self.skip.device))
        fine_re, fine_im = self._powers(torch.arange(columns, device=self.skip.device))
        _, output = self.discretise()
        re, im = output.real[:, :, None], output.imag[:, :, None]
        left = torch.cat([re * coarse_re - im * coarse_im, -re * coarse_im - im * coarse_re], dim=1)
        right = torch.cat([fine_re, fine_im], dim=1)
        kernel = left.transpose(1, 2) @ (2 * right)
        kernel[:, 0, 0] += self.skip
        return kernel.flatten(1)[:, : self.length]

    def _powers(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary part of exp(dt * A * exponent), each (D, N/2, E)."""
        re, im = (rate[:, :, None] * exponents for rate in self.rates())
        size = re.exp()
        return size * im.cos(), size * im.sin()
