"""`MultiresNet`: an encoder and a stack of blocks, what every model here is built on."""

from typing import Any, Unpack, cast, overload

import torch
from torch import Tensor, nn

from multiresconv.layers import (
    LayerOptions,
    MultiresBlock,
    Norm,
    check_lengths,
    refuse_lengths,
    valid_steps,
)
from multiresconv.layers.stream import Stream, StreamParts
from multiresconv.ops import State, multires_conv_init
from multiresconv.ops.cpu.network import NetworkTensors
from multiresconv.ops.streaming import check_state


class MultiresNet(nn.Module):
    """From a sequence of samples or tokens to one feature vector per step.

    Args:
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input, encoded by a linear map; or else
        n_tokens: size of the vocabulary of token input, encoded by an embedding. Exactly one of the two.
        dropout, norm, projection: of the blocks, see `MultiresBlock`.
        **layer: options of `MultiresLayer`: kernel_size, wavelet, depth, max_length, memory, own_skip_init, backend.

    Attributes:
        config: the arguments that build this net again, defaults filled in, ready for JSON. Where and in what
            precision it runs (backend, device, dtype) is no part of it.
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        d_input: int | None = None,
        n_tokens: int | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        projection: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        for name, size in {"d_model": d_model, "n_layers": n_layers, "d_input": d_input, "n_tokens": n_tokens}.items():
            if size is not None and size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if d_input is not None and n_tokens is None:
            self.encoder = nn.Linear(d_input, d_model, device=device, dtype=dtype)
        elif n_tokens is not None and d_input is None:
            self.encoder = nn.Embedding(n_tokens, d_model, device=device, dtype=dtype)
        else:
            raise ValueError(f"d_input, n_tokens: expected exactly one of them, got {d_input} and {n_tokens}")
        blocks = [
            MultiresBlock(
                d_model, dropout=dropout, norm=norm, projection=projection, device=device, dtype=dtype, **layer
            )
            for _ in range(n_layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self._lines_shape = (blocks[0].conv.state_size, d_model)
        self.config: dict[str, Any] = {
            "d_model": d_model,
            "n_layers": n_layers,
            "d_input": d_input,
            "n_tokens": n_tokens,
            "dropout": dropout,
            "norm": norm,
            "projection": projection,
            **blocks[0].conv.config,
        }

    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()
        for block in self.blocks:
            cast(MultiresBlock, block).reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """The state before the first step of `batch_size` sequences: "lines" (B, n_layers, S, d_model) of all blocks.

        See `multires_conv_init`.
        """
        conv = cast(MultiresBlock, self.blocks[0]).conv
        layers, h0 = len(self.blocks), conv.h0
        return multires_conv_init(
            batch_size, conv.d_model, conv.kernel_size, conv.memory, layers=layers, device=h0.device, dtype=h0.dtype
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of the next step: x (B, d_input) or tokens (B,) -> (B, d_model), and the state after it.

        A chunk of one, see `forward`.
        """
        self._check_input(x, time=())
        features, state = self(x.unsqueeze(1), state=state)
        return features.squeeze(1), state

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> Stream:
        """A `Stream` of `batch_size` sequences from their start, by default 1, or from a state on."""
        return Stream(self, batch_size, state)

    def stream_parts(self) -> StreamParts | str:
        """What a step computes with, or why the kernel cannot serve; see `Streamable`."""
        encoder, blocks = self.encoder, []
        if type(self) is not MultiresNet:
            return f"the net is a {type(self).__name__}"
        if type(encoder) not in (nn.Linear, nn.Embedding) or (type(encoder) is nn.Linear and encoder.bias is None):
            return f"encoder is a {type(encoder).__name__} that the kernel has no place for"
        for number, block in enumerate(self.blocks):
            parts = block.stream_parts() if isinstance(block, MultiresBlock) else f"it is a {type(block).__name__}"
            if isinstance(parts, str):
                return f"blocks.{number}: {parts}"
            blocks += parts.tensors.blocks
        bias = encoder.bias if isinstance(encoder, nn.Linear) else None
        return StreamParts(NetworkTensors(blocks, encoder=(encoder.weight, bias)))

    @overload
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, lengths: None = None, *, state: State) -> tuple[Tensor, State]: ...
    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Features of every step.

        Args:
            x: (B, L, d_input) real, or (B, L) integer tokens in 0..n_tokens-1; L >= 1.
            lengths: (B,) integers in 1..L, how many steps of each sequence are valid; None: all. The rest is padding,
                which may hold anything, NaN or an unused token too, and changes no valid output and no gradient.
            state: of `init_state`, a step or a chunk, where x is the next chunk of a longer sequence. It is left as it
                is. Not together with lengths, nor while dropout or batch norm is in training mode.

        Returns:
            (B, L, d_model); what stands at padded steps has no meaning. With a state: that and the state after it.
        """
        self._check_input(x)
        if state is not None:
            refuse_lengths(lengths)
            return self._chunk(x, state)
        if lengths is not None:
            lengths = check_lengths(lengths, x)
            # Before the first product: a gradient of 0 times NaN would still be NaN.
            valid = valid_steps(lengths, x.shape[1])
            x = x.where(valid if x.ndim == 3 else valid.squeeze(2), 0)
        x = self._encode(x)
        for block in self.blocks:
            x = block(x, lengths)
        return x

    def _chunk(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        check_state(state, (len(x), len(self.blocks), *self._lines_shape), self.encoder.weight)
        x = self._encode(x)
        lines, position = [], state["position"]
        for block, line in zip(self.blocks, state["lines"].unbind(1), strict=True):
            x, after = cast(MultiresBlock, block)(x, state={"lines": line, "position": position})
            lines.append(after["lines"])
        return x, {"lines": torch.stack(lines, dim=1), "position": position + x.shape[1]}

    def _encode(self, x: Tensor) -> Tensor:
        if isinstance(self.encoder, nn.Linear):
            return self.encoder(x)
        try:
            return self.encoder(x)
        except IndexError:
            lowest, highest = (int(bound) for bound in x.aminmax())
            last = self.encoder.num_embeddings - 1
            raise ValueError(f"x: expected tokens in 0..{last}, got {lowest}..{highest}") from None

    def _check_input(self, x: Tensor, time: tuple[str, ...] = ("length >= 1",)) -> None:
        """Raise unless x is (batch, *time, channels) samples or (batch, *time) tokens."""
        encoder = self.encoder
        shape = ("batch", *time, str(encoder.in_features)) if isinstance(encoder, nn.Linear) else ("batch", *time)
        fits = x.ndim == len(shape) and 0 not in x.shape[1:]
        if isinstance(encoder, nn.Linear):
            if not fits or x.shape[-1] != encoder.in_features:
                raise ValueError(f"x: expected shape ({', '.join(shape)}), got {tuple(x.shape)}")
        elif not fits:
            raise ValueError(f"x: expected tokens of shape ({', '.join(shape)}), got {tuple(x.shape)}")
        elif x.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"x: expected int64 or int32 tokens, got {x.dtype}")
