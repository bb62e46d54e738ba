"""`MultiresBlock`: the residual block that networks are stacked from."""

from typing import Literal, Unpack, cast, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.multires_layer import LayerOptions, MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm
from multiresconv.layers.stream import Stream, StreamParts
from multiresconv.ops import State, weight_size
from multiresconv.ops.cpu.block import block_cpu
from multiresconv.ops.cpu.network import NetworkTensors
from multiresconv.ops.cpu.operator import LONG

Norm = Literal["layer", "batch"]


class MultiresBlock(nn.Module):
    """conv -> GELU -> channel dropout -> linear D to 2D -> GLU -> channel dropout [-> linear] -> + input -> norm.

    (B, L, d_model) -> (B, L, d_model). Causal but for what batch norm shares between steps while it trains.

    Args:
        d_model: number of channels D.
        dropout: probability with which a channel is dropped, in both places.
        norm: "layer", over the channels of a step, or "batch", over all valid steps of a batch.
        projection: whether there is the linear map, D to D, in brackets, which the paper's density networks have.
        **layer: the options of `MultiresLayer`.
    """

    def __init__(
        self,
        d_model: int,
        *,
        dropout: float = 0.0,
        norm: Norm = "layer",
        projection: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        if norm not in ("layer", "batch"):
            raise ValueError(f"norm: expected 'layer' or 'batch', got {norm!r}")
        self.conv = MultiresLayer(d_model, device=device, dtype=dtype, **layer)
        self.mix = nn.Linear(d_model, 2 * d_model, device=device, dtype=dtype)
        self.dropout = ChannelDropout(dropout)
        self.projection = nn.Linear(d_model, d_model, device=device, dtype=dtype) if projection else None
        norm_type = nn.LayerNorm if norm == "layer" else MaskedBatchNorm
        self.norm = norm_type(d_model, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        self.conv.reset_parameters()
        self.mix.reset_parameters()
        if self.projection is not None:
            self.projection.reset_parameters()
        self.norm.reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """The state before the first step of `batch_size` sequences: that of the block's `MultiresLayer`."""
        return self.conv.init_state(batch_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: x (B, d_model) -> y (B, d_model) and the state after it; a chunk of one, see `forward`."""
        if x.ndim != 2 or x.shape[1] != self.conv.d_model:
            raise ValueError(f"x: expected shape (batch, {self.conv.d_model}), got {tuple(x.shape)}")
        y, state = self(x.unsqueeze(1), state=state)
        return y.squeeze(1), state

    def check_streams(self) -> None:
        """Raise where a step would not be what it is in the whole sequence: in training, with dropout or batch norm."""
        if self.dropout.training and self.dropout.p > 0:
            raise RuntimeError("streaming: dropout is active; call eval() first")
        if isinstance(self.norm, MaskedBatchNorm) and self.norm.training:
            raise RuntimeError("streaming: batch norm is in training mode; call eval() first")

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> Stream:
        """A `Stream` of `batch_size` sequences from their start, by default 1, or from a state on."""
        return Stream(self, batch_size, state)

    def stream_parts(self) -> StreamParts | str:
        """What a step computes with, or why the kernel cannot serve; see `Streamable`."""
        self.check_streams()
        conv, mix, projection, norm = self.conv, self.mix, self.projection, self.norm
        for name, part, expected in (
            ("block", self, MultiresBlock), ("mix", mix, nn.Linear), ("dropout", self.dropout, ChannelDropout),
            ("projection", projection, (nn.Linear, type(None))), ("norm", norm, (nn.LayerNorm, MaskedBatchNorm)),
        ):  # fmt: skip
            if type(part) not in (expected if isinstance(expected, tuple) else (expected,)):
                return f"{name} is a {type(part).__name__}"
        of_conv = conv.stream_parts()
        if isinstance(of_conv, str):
            return of_conv
        if mix.bias is None or norm.weight is None or norm.bias is None:
            return "mix or norm has no weight or no bias"
        if projection is not None and projection.bias is None:
            return "projection has no bias"
        batch_norm = isinstance(norm, MaskedBatchNorm)
        block = of_conv.tensors.blocks[0]._replace(
            mix=mix.weight,
            mix_bias=mix.bias,
            norm=norm.weight,
            norm_bias=norm.bias,
            projection=None if projection is None else projection.weight,
            projection_bias=None if projection is None else projection.bias,
            running_mean=norm.running_mean if batch_norm else None,
            running_var=norm.running_var if batch_norm else None,
            eps=norm.eps,
        )
        return StreamParts(NetworkTensors([block]))

    @overload
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, lengths: None = None, *, state: State) -> tuple[Tensor, State]: ...
    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """x (B, L, d_model), lengths (B,) integers in 1..L or None for all -> (B, L, d_model).

        What comes out at steps beyond the lengths has no meaning: use no gradient of it.

        With a state, x is the next chunk of a longer sequence, and the state after it is returned too, (y, state); the
        one that is given is left as it is.

        Raises:
            RuntimeError: a state while dropout or batch norm is in training mode.
            ValueError: lengths and a state; a state that does not fit.
        """
        if state is None:
            return self._fused(x, lengths) if self._fuses(x) else self._mix(x, self.conv(x), lengths)
        refuse_lengths(lengths)
        self.check_streams()
        y, after = self.conv(x, state)
        return self._mix(x, y, None), after

    def _fuses(self, x: Tensor) -> bool:
        """Whether the kernel does what the parts would: none is exchanged, hooked, parametrized or elsewhere."""
        conv, mix, dropout, projection, norm = self.conv, self.mix, self.dropout, self.projection, self.norm
        parts = [conv, mix, dropout, norm] if projection is None else [conv, mix, dropout, norm, projection]
        types = tuple(type(part) for part in (self, conv, mix, dropout, projection or mix))
        if (
            types != (MultiresBlock, MultiresLayer, nn.Linear, ChannelDropout, nn.Linear)
            or type(norm) not in (nn.LayerNorm, MaskedBatchNorm)
            or conv.backend not in ("auto", "cpu")
            or any(part._forward_hooks or part._forward_pre_hooks for part in (self, *parts))
            or any(part._backward_hooks or part._backward_pre_hooks for part in (self, *parts))
        ):
            return False
        width, dtype, autocast = conv.d_model, conv.h0.dtype, torch.is_autocast_enabled("cpu")
        if autocast and torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return False
        taps = (width, conv.kernel_size)
        shapes = {conv: (taps, taps, conv.w.shape), mix: ((2 * width, width), (2 * width,)), norm: ((width,), (width,))}
        if projection is not None:
            shapes[projection] = ((width, width), (width,))
        return (
            x.is_cpu
            and dtype in (torch.float32, torch.float64)
            and (x.dtype == dtype or autocast)
            and x.shape[2:] == (width,)
            and x.shape[1] <= LONG  # beyond, the operator has kernels of its own
            and conv.w.shape == (width, weight_size(conv.memory))
            and all(
                tuple(_plain(p, dtype) for p in part._parameters.values()) == wanted for part, wanted in shapes.items()
            )
        )

    def _fused(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """What `_mix` gives, by `block_cpu`."""
        conv, mix, projection, norm = self.conv, self.mix, self.projection, self.norm
        # Autocast is for the linear maps; what is added up from block to block keeps its precision.
        x = x.to(conv.h0.dtype)
        half = torch.is_autocast_enabled("cpu") and x.dtype == torch.float32
        dtype = torch.bfloat16 if half else x.dtype
        layer_norm = (norm.weight, norm.bias, norm.eps) if type(norm) is nn.LayerNorm else None
        y = block_cpu(
            x,
            (conv.h0, conv.h1, conv.w),
            conv.memory,
            (mix.weight, mix.bias),
            (self.dropout.scale(x), self.dropout.scale(x)),
            None if projection is None else (projection.weight, projection.bias),
            layer_norm,
            dtype,
            lengths,
        )
        return y if layer_norm is not None else cast(MaskedBatchNorm, norm).fused(y, lengths)

    def _mix(self, x: Tensor, y: Tensor, lengths: Tensor | None) -> Tensor:
        """What follows the convolution y of x, step by step; all (B, L, d_model)."""
        y = self.dropout(F.gelu(y))
        y = self.dropout(F.glu(self.mix(y)))
        if self.projection is not None:
            y = self.projection(y)
        y = x + y
        return self.norm(y, lengths) if isinstance(self.norm, MaskedBatchNorm) else self.norm(y)


def _plain(parameter: Tensor | None, dtype: torch.dtype) -> torch.Size | None:
    """The shape of a parameter that has its values, of this dtype, on the CPU; else None. A quantized one has not."""
    if parameter is None or type(parameter) not in (Tensor, nn.Parameter):
        return None
    return parameter.shape if parameter.dtype == dtype and parameter.is_cpu else None


def refuse_lengths(lengths: Tensor | None) -> None:
    if lengths is not None:
        raise ValueError("lengths, state: give one of them; a chunk of a stream has no padding")
