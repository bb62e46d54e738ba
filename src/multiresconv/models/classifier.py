"""`MultiresClassifier`: from a sequence to the logits of its classes or labels."""

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from multiresconv.layers import LayerOptions, Norm, mean_pool
from multiresconv.models.net import MultiresNet


class MultiresClassifier(nn.Module):
    """A `MultiresNet`, the mean over its valid steps, and a linear map to logits.

    Args:
        d_output: number of classes, or of labels.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input; or else
        n_tokens: size of the vocabulary of token input. Exactly one of the two.
        dropout: probability with which a channel is dropped, see `MultiresBlock`.
        norm: "layer" or "batch", see `MultiresBlock`.
        **layer: options of `MultiresLayer`: kernel_size, wavelet, depth, max_length, memory, own_skip_init, backend.

    Attributes:
        config: the arguments that build this model again, defaults filled in, ready for JSON; see `MultiresNet`.

    Example:
        >>> model = MultiresClassifier(10, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        d_output: int,
        d_model: int,
        n_layers: int,
        *,
        d_input: int | None = None,
        n_tokens: int | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        if d_output < 1:
            raise ValueError(f"d_output: expected at least 1, got {d_output}")
        self.net = MultiresNet(
            d_model,
            n_layers,
            d_input=d_input,
            n_tokens=n_tokens,
            dropout=dropout,
            norm=norm,
            device=device,
            dtype=dtype,
            **layer,
        )
        self.output = nn.Linear(d_model, d_output, device=device, dtype=dtype)
        self.config: dict[str, Any] = {"d_output": d_output, **self.net.config}
        del self.config["projection"]  # classifiers have none

    def reset_parameters(self) -> None:
        self.net.reset_parameters()
        self.output.reset_parameters()

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of every sequence.

        Args:
            x: (B, L, d_input) real, or (B, L) integer tokens in 0..n_tokens-1; L >= 1.
            lengths: (B,) integers in 1..L, how many steps of each sequence are valid; None: all. The rest is padding,
                which may hold anything and changes no logit, no statistic and no gradient.

        Returns:
            (B, d_output).
        """
        features = self.net(x, lengths)
        if lengths is not None:
            lengths = lengths.to(features.device)
        return self.output(mean_pool(features, lengths))
