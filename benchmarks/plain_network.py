"""The paper's classifier in plain PyTorch: channels first, one `conv1d` per scale and filter, unfused modules.

It computes the same function as `multiresconv.MultiresClassifier`, with the same parameter names.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv import MultiresClassifier


class PlainConv(nn.Module):
    """The operator with fading memory, (B, D, L) -> (B, D, L)."""

    def __init__(self, d_model: int, kernel_size: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.h0, self.h1 = (nn.Parameter(torch.empty(d_model, kernel_size)) for _ in range(2))
        self.w = nn.Parameter(torch.empty(d_model, depth + 2))

    def forward(self, x: Tensor) -> Tensor:
        channels, kernel_size = self.h0.shape
        y, a = self.w[:, -1:] * x, x
        for j in range(1, self.depth + 1):
            dilation = 2 ** (j - 1)
            padded = F.pad(a, ((kernel_size - 1) * dilation, 0))
            b = F.conv1d(padded, self.h1[:, None], dilation=dilation, groups=channels)
            a = F.conv1d(padded, self.h0[:, None], dilation=dilation, groups=channels)
            y = y + self.w[:, -1 - j, None] * b
        return y + self.w[:, :1] * a


class PlainBlock(nn.Module):
    """A block, (B, D, L) -> (B, D, L)."""

    def __init__(self, d_model: int, kernel_size: int, depth: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.conv = PlainConv(d_model, kernel_size, depth)
        self.mix = nn.Linear(d_model, 2 * d_model)
        self.dropout = nn.Dropout1d(dropout)
        self.norm = nn.BatchNorm1d(d_model) if norm == "batch" else nn.LayerNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.gelu(self.conv(x)))
        y = F.conv1d(y, self.mix.weight[:, :, None], self.mix.bias)
        y = x + self.dropout(F.glu(y, dim=1))
        return self.norm(y) if isinstance(self.norm, nn.BatchNorm1d) else self.norm(y.transpose(1, 2)).transpose(1, 2)


class PlainNet(nn.Module):
    """Encoder and blocks, (B, L, d_input) or tokens (B, L) -> (B, D, L)."""

    def __init__(self, encoder: nn.Module, blocks: nn.Sequential) -> None:
        super().__init__()
        self.encoder, self.blocks = encoder, blocks

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.encoder(x).transpose(1, 2))


class PlainClassifier(nn.Module):
    """A classifier, (B, L, d_input) or tokens (B, L) -> (B, d_output), with a copy of the parameters of `model`."""

    def __init__(self, model: MultiresClassifier) -> None:
        super().__init__()
        config = model.config
        d_model, depth = config["d_model"], len(config["memory"])
        if set(config["memory"]) != {1}:
            raise ValueError(f"memory: expected fading, got {config['memory']}")
        tokens = config["n_tokens"]
        encoder = nn.Embedding(tokens, d_model) if tokens else nn.Linear(config["d_input"], d_model)
        block = (d_model, config["kernel_size"], depth, config["dropout"], config["norm"])
        self.net = PlainNet(encoder, nn.Sequential(*(PlainBlock(*block) for _ in range(config["n_layers"]))))
        self.head = nn.Linear(d_model, config["d_output"])
        # Its input is standardised already, as that of the published code.
        self.load_state_dict({name: t for name, t in model.state_dict().items() if ".standardise." not in name})

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net(x).mean(-1))
