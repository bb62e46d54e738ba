"""The dilated temporal convolutional network of the package pytorch-tcn."""

import torch
from torch import Tensor, nn

from multiresconv.installation import how_to_install

try:
    from pytorch_tcn import TCN
except ModuleNotFoundError:
    raise ModuleNotFoundError(f"the speed table needs pytorch-tcn: {how_to_install('bench')}") from None

# With two taps per convolution a given receptive field takes the fewest multiplications.
TAPS = 2


def tcn_blocks(length: int) -> int:
    """Return how many blocks, each two convolutions, of dilations 1, 2, 4, ... cover `length` steps."""
    return max(1, (-(-(length - 1) // (2 * (TAPS - 1)))).bit_length())


class DilatedTCN(nn.Module):
    """(B, L, D) -> (B, L, D): residual blocks of two causal convolutions and ReLU, without weight norm and dropout.

    The receptive field is at least `length` steps.
    """

    def __init__(self, d_model: int, length: int) -> None:
        super().__init__()
        self.dilations = [2**block for block in range(tcn_blocks(length))]
        self.network = TCN(
            d_model,
            [d_model] * len(self.dilations),
            kernel_size=TAPS,
            dilations=self.dilations,
            dropout=0.0,
            causal=True,
            use_norm=None,  # pyright: ignore[reportArgumentType]
            input_shape="NLC",
        )

    @property
    def receptive_field(self) -> int:
        """Number of steps that an output can depend on, the current one included."""
        return 1 + 2 * (TAPS - 1) * sum(self.dilations)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    @torch.inference_mode()
    def init_state(self, batch_size: int) -> None:
        """Clear the package's buffers, which hold the state of one sequence."""
        if batch_size != 1:
            raise ValueError(f"batch_size: pytorch-tcn streams one sequence at a time, got {batch_size}")
        self.network.reset_buffers()

    @torch.inference_mode()
    def step(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        """Take one step: x (1, D) -> y (1, D)."""
        return self.network(x[:, None], inference=True)[:, 0], None
