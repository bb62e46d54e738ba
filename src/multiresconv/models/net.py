"""`MultiresNet`: an encoder and a stack of blocks, the base of every model."""

import copy
from collections.abc import Sequence
from operator import index
from typing import Any, cast

import torch
from torch import Tensor, nn

from multiresconv.layers import (
    MultiresBlock,
    Standardise,
    apply_norm,
    check_lengths,
    make_norm,
    norm_name,
    refuse_lengths,
    valid_steps,
)
from multiresconv.layers.integers import is_integral
from multiresconv.layers.lengths import Lengths
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.models.config import NetConfig, check_sizes
from multiresconv.ops import Backend, State, multires_conv_init
from multiresconv.ops.cpu.network import NetworkTensors
from multiresconv.ops.streaming import check_state


class MultiresNet(Streamable):
    """Encoder and blocks that map a sequence of samples or tokens to one feature vector per step.

    Args:
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input, which is standardised and encoded by a linear map. Give exactly one of
            d_input and n_tokens.
        n_tokens: size of the vocabulary of token input, which is encoded by an embedding.
        mix, projection: passed to `MultiresBlock`; each block gets a copy of `mix`.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            bidirectional, dropout, norm, norm_first, mask_missing.

    Example:
        >>> net = MultiresNet(32, n_layers=2, d_input=3, max_length=1024)
        >>> net(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 1024, 32])
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        d_input: int | None = None,
        n_tokens: int | None = None,
        mix: nn.Module | None = None,
        projection: bool = False,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        config = NetConfig(d_model, n_layers, **options)
        d_input, n_tokens = (None if size is None else index(size) for size in (d_input, n_tokens))
        check_sizes(d_input=d_input, n_tokens=n_tokens)
        for name, size in {"d_input": d_input, "n_tokens": n_tokens}.items():
            if size is not None and size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        self.standardise = None
        if d_input is not None and n_tokens is None:
            self.standardise = Standardise(d_input, mask_missing=config.mask_missing, device=device, dtype=dtype)
            encoded = 2 * d_input if config.mask_missing else d_input
            self.encoder = nn.Linear(encoded, config.d_model, device=device, dtype=dtype)
        elif config.mask_missing:
            raise ValueError("mask_missing: expected False for tokens, which are never missing")
        elif n_tokens is not None and d_input is None:
            self.encoder = nn.Embedding(n_tokens, config.d_model, device=device, dtype=dtype)
        else:
            raise ValueError(f"d_input, n_tokens: expected exactly one of them, got {d_input} and {n_tokens}")
        where: dict[str, Any] = {"backend": backend, "device": device, "dtype": dtype}
        own_parts = {"norm": config.norm, "mix": mix}
        self.blocks = nn.ModuleList(
            MultiresBlock(**{**config.of_block(), **copy.deepcopy(own_parts)}, projection=projection, **where)
            for _ in range(config.n_layers)
        )
        self.norm: nn.Module | None = None
        if config.norm_first:  # the residual sum of all blocks is not normalised yet
            given: Any = config.norm
            own = isinstance(given, nn.Module)
            self.norm = copy.deepcopy(given) if own else make_norm(given, d_model, device, dtype)
        self._inputs = {"d_input": d_input, "n_tokens": n_tokens}
        self._config = config

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this net, defaults filled in, ready for JSON.

        Backend, device and dtype are not included.
        """
        options = self._config.to_dict()
        for name in ("kernel_size", "wavelet", "depth", "max_length"):  # the layer's config has what they resolve to
            del options[name]
        first = cast(MultiresBlock, self.blocks[0])
        options |= {"n_layers": len(self.blocks), "dropout": first.dropout.p, "norm": norm_name(first.norm)}
        return {**options, **self._inputs, "projection": first.projection is not None, **first.conv.config}

    @property
    def d_model(self) -> int:
        return cast(MultiresBlock, self.blocks[0]).conv.d_model

    @property
    def takes_tokens(self) -> bool:
        """True if a time step is one token."""
        return self._inputs["n_tokens"] is not None

    @property
    def n_inputs(self) -> int:
        """Number of channels, or size of the vocabulary."""
        return self._inputs["d_input"] or self._inputs["n_tokens"] or 0

    @property
    def like(self) -> Tensor:
        """A tensor with the width, dtype and device of the features."""
        return cast(MultiresBlock, self.blocks[0]).conv.h0.mT

    def reset_parameters(self) -> None:
        for part in (self.encoder, *self.blocks, self.norm):
            if part is not None:
                cast(Any, part).reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """Return the state before the first step of `batch_size` sequences, with "lines" (B, n_layers, S, d_model).

        See `multires_conv_init`.
        """
        conv = cast(MultiresBlock, self.blocks[0]).conv
        conv.check_streams()
        layers, h0 = len(self.blocks), conv.h0
        return multires_conv_init(
            batch_size, conv.d_model, conv.kernel_size, conv.memory, layers=layers, device=h0.device, dtype=h0.dtype
        )

    def check_step(self, x: Tensor) -> None:
        """Raise unless x is one step, (batch, d_input) or tokens (batch,)."""
        self.check_input(x, time=())

    def stream_parts(self) -> StreamParts | str:
        """Return the tensors for the streaming kernel, or the reason why it cannot run; see `Streamable`."""
        encoder, blocks = self.encoder, []
        if type(self) is not MultiresNet:
            return f"the net is a {type(self).__name__}"
        if type(self.blocks) is not nn.ModuleList:
            return f"blocks is a {type(self.blocks).__name__}"
        for number, block in enumerate(self.blocks):
            parts = block.stream_parts() if isinstance(block, MultiresBlock) else f"it is a {type(block).__name__}"
            if isinstance(parts, str):
                return f"block {number}: {parts}"
            blocks += parts.tensors.blocks
        if self.standardise is None:
            if type(encoder) is not nn.Embedding:
                return f"encoder is a {type(encoder).__name__}"
            if encoder.max_norm is not None:
                return "encoder has a max_norm"
            return StreamParts(NetworkTensors(blocks, encoder=(encoder.weight, None)))
        if type(self.standardise) is not Standardise:
            return f"standardise is a {type(self.standardise).__name__}"
        if type(encoder) is not nn.Linear or encoder.bias is None:
            return f"encoder is a {type(encoder).__name__}, not a Linear with a bias"
        if self.standardise.mask_missing:
            return StreamParts(NetworkTensors(blocks, encoder=(encoder.weight, encoder.bias)), masked=self.standardise)
        standardise = (self.standardise.mean, self.standardise.std)
        return StreamParts(NetworkTensors(blocks, standardise, (encoder.weight, encoder.bias)))

    def forward(
        self, x: Tensor, lengths: Lengths | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Compute the features of every step.

        Args:
            x: (B, L, d_input) real, or (B, L) integer tokens in 0..n_tokens-1; L >= 1. With a state, x is the next
                chunk of longer sequences.
            lengths: (B,) tensor, array or list of the valid steps of each sequence, 1..L; None if all are valid. The
                rest is padding. It may hold any value, NaN and unused tokens included, and changes no valid output and
                no gradient.
            state: from `init_state`, a step or a chunk; not modified. Not together with lengths, and not while dropout
                or batch norm is in training mode.

        Returns:
            Features (B, L, d_model), arbitrary at padded steps. With a state, (features, the state after the chunk).
        """
        self.check_input(x)
        if state is not None:
            refuse_lengths(lengths)
            return self._chunk(x, state)
        if lengths is not None:
            lengths = check_lengths(lengths, x)
            # Clear the padding before the first product: a gradient of 0 times NaN would still be NaN.
            valid = valid_steps(lengths, x.shape[1])
            x = x.where(valid if x.ndim == 3 else valid.squeeze(2), 0)
        x = self.encode(x)
        for block in self.blocks:
            x = block(x, lengths)
        return x if self.norm is None else apply_norm(self.norm, x, lengths)

    def _chunk(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        conv = cast(MultiresBlock, self.blocks[0]).conv
        check_state(state, (x.shape[0], len(self.blocks), conv.state_size, conv.d_model), conv.h0)
        x = self.encode(x)
        lines, position = [], state["position"]
        for block, line in zip(cast(Sequence[MultiresBlock], self.blocks), state["lines"].unbind(1), strict=True):
            x, after = block(x, state={"lines": line, "position": position})
            lines.append(after["lines"])
        if self.norm is not None:
            x = apply_norm(self.norm, x, None)
        return x, {"lines": torch.stack(lines, dim=1), "position": position + x.shape[1]}

    def encode(self, x: Tensor) -> Tensor:
        """Standardise and encode samples (B, L, d_input), or embed tokens (B, L); returns (B, L, d_model).

        Raises:
            ValueError: a token outside 0..n_tokens-1.
        """
        if self.standardise is not None:
            return self.encoder(self.standardise(x))
        try:
            return self.encoder(x if x.dtype == torch.int32 else x.long())
        except IndexError:
            lowest, highest = (int(bound) for bound in x.aminmax())
            last = self.n_inputs - 1
            raise ValueError(f"x: expected tokens in 0..{last}, got {lowest}..{highest}") from None

    def check_input(self, x: Tensor, time: tuple[str, ...] = ("length >= 1",)) -> None:
        """Raise unless x is `(batch, *time, channels)` samples or `(batch, *time)` tokens."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x: expected a tensor, got {type(x).__name__}")
        d_input = self._inputs["d_input"]
        shape = ("batch", *time) if d_input is None else ("batch", *time, str(d_input))
        fits = x.ndim == len(shape) and 0 not in x.shape[1:]
        if d_input is not None:
            if not fits or x.shape[-1] != d_input:
                raise ValueError(f"x: expected shape ({', '.join(shape)}), got {tuple(x.shape)}")
        elif not fits:
            raise ValueError(f"x: expected tokens of shape ({', '.join(shape)}), got {tuple(x.shape)}")
        elif not is_integral(x):
            raise TypeError(f"x: expected integer tokens, got {x.dtype}")
