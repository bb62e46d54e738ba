"""`MultiresBlock`: the residual block that networks are stacked from."""

from collections.abc import Sequence
from typing import Literal, Unpack, cast, overload
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.multires_layer import LayerOptions, MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm
from multiresconv.ops import State, weight_size
from multiresconv.ops.block import BlockParameters, multires_block
from multiresconv.ops.cpu.operator import LONG
from multiresconv.ops.cpu.streaming import BlockTensors, CheckedBlocks, check_blocks
from multiresconv.ops.streaming import check_state, refuse_gradients, writable

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
        """One step: x (B, d_model) -> y (B, d_model) and the state after it, in the memory of the one that is given.

        For inference: gives no gradients.

        Raises:
            RuntimeError: dropout or batch norm in training mode.
            ValueError: a state that does not fit.
        """
        conv = self.conv
        if x.ndim != 2 or x.shape[1] != conv.d_model:
            raise ValueError(f"x: expected shape (batch, {conv.d_model}), got {tuple(x.shape)}")
        check_state(state, (len(x), conv.state_size, conv.d_model), conv.h0)
        refuse_gradients(x, state)
        lines, position = writable(state["lines"]), state["position"]
        return step_blocks([self], x, lines[:, None], position), {"lines": lines, "position": position + 1}

    def check_streams(self) -> None:
        """Raise where a step would not be what it is in the whole sequence: in training, with dropout or batch norm."""
        if self.dropout.training and self.dropout.p > 0:
            raise RuntimeError("streaming: dropout is active; call eval() first")
        if isinstance(self.norm, MaskedBatchNorm) and self.norm.training:
            raise RuntimeError("streaming: batch norm is in training mode; call eval() first")

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
        """What `_mix` gives, by `multires_block`."""
        conv, mix, projection, norm = self.conv, self.mix, self.projection, self.norm
        # Autocast is for the linear maps; what is added up from block to block keeps its precision.
        x = x.to(conv.h0.dtype)
        half = torch.is_autocast_enabled("cpu") and x.dtype == torch.float32
        dtype = torch.bfloat16 if half else x.dtype
        layer_norm = type(norm) is nn.LayerNorm
        parameters = BlockParameters(
            (conv.h0, conv.h1, conv.w),
            conv.memory,
            (mix.weight, mix.bias),
            projection=None if projection is None else (projection.weight, projection.bias),
            norm=(norm.weight, norm.bias) if layer_norm else None,
            eps=norm.eps if layer_norm else 0.0,
        )
        y = multires_block(x, parameters, (self.dropout.scale(x), self.dropout.scale(x)), lengths, dtype)
        return y if layer_norm else cast(MaskedBatchNorm, norm).fused(y, lengths)

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


# Multiply-adds of a map to 2D beyond which it is faster as a matrix product on several threads.
_FUSED_WORK = 1 << 20


def step_blocks(blocks: Sequence[MultiresBlock], x: Tensor, lines: Tensor, position: Tensor) -> Tensor:
    """One step x (B, D) through a stack of blocks; `lines` (B, blocks, S, D), `writable`, come up to date in place."""
    with torch.no_grad():
        small = x.is_cpu and 2 * x.numel() * x.shape[1] <= _FUSED_WORK
        if small and not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()):
            checked = checked_blocks(blocks)
            if checked is not None and checked.take(x, lines):
                return checked.step(x, lines, position)
        for block in blocks:
            block.check_streams()
        for block, line in zip(blocks, lines.unbind(1), strict=True):
            before = {"lines": line, "position": position}
            hooked = any(m._forward_hooks or m._forward_pre_hooks for m in (block, block.conv))
            if hooked or type(block) is not MultiresBlock:  # then nothing but a call does what it does
                y, after = block(x[:, None], state=before)
                line.copy_(after["lines"])
                x = y[:, 0]
            else:
                y, _ = block.conv.step(x, before)  # writes into `line`
                x = block._mix(x[:, None], y[:, None], None)[:, 0]
        return x


def checked_blocks(blocks: Sequence[MultiresBlock]) -> CheckedBlocks | None:
    """The blocks for the kernel, or None; what was found the last time is taken again where it still holds."""
    plain = [tensors for block in blocks if (tensors := _plain_tensors(block)) is not None]
    if len(plain) < len(blocks):
        return None
    first = next(iter(blocks))
    checked = _last_checked.get(first)
    if checked is None or not checked.are(plain):
        checked = check_blocks(plain)
        if checked is not None:
            _last_checked[first] = checked
    return checked


_last_checked: WeakKeyDictionary[MultiresBlock, CheckedBlocks] = WeakKeyDictionary()


def _plain_tensors(block: MultiresBlock) -> BlockTensors | None:
    """The tensors of a block, None among them where one is missing; or None where they are not all there is to a step.

    A part that someone has exchanged, parametrized or hooked is left to PyTorch, and so is one that a step refuses.
    Looked up in the dicts behind the attributes: `block.mix.weight` takes a microsecond, a step has dozens of them.
    """
    parts = block._modules
    conv, mix, dropout, projection, norm = (parts.get(n) for n in ("conv", "mix", "dropout", "projection", "norm"))
    batch_norm = type(norm) is MaskedBatchNorm
    if (
        type(conv) is not MultiresLayer
        or type(mix) is not nn.Linear
        or type(dropout) is not ChannelDropout
        or not (projection is None or type(projection) is nn.Linear)
        or not (batch_norm or type(norm) is nn.LayerNorm)
        or (dropout.training and dropout.p > 0)
        or (batch_norm and norm.training)
        or conv.backend not in ("auto", "cpu")
        or type(block) is not MultiresBlock
    ):
        return None
    for part in (block, conv, mix, dropout, norm, projection):
        if part is not None and (part._forward_hooks or part._forward_pre_hooks):
            return None
    get = conv._parameters.get
    tensors: list[Tensor | None] = [get("h0"), get("h1"), get("w")]
    for part in (mix, norm) if projection is None else (mix, norm, projection):
        get = part._parameters.get
        tensors += (get("weight"), get("bias"))
    if batch_norm:
        tensors += (norm._buffers["running_mean"], norm._buffers["running_var"])
    return BlockTensors(cast(list[Tensor], tensors), norm.eps, projection is not None, batch_norm, conv.memory)
