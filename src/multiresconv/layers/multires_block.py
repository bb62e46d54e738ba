"""`MultiresBlock`: the residual block that networks are stacked from."""

from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.fusion import why_not_fused
from multiresconv.layers.lengths import refuse_lengths
from multiresconv.layers.multires_layer import MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm, Norm, apply_norm, make_norm
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.ops import State
from multiresconv.ops.block import BlockParameters, multires_block
from multiresconv.ops.cpu.network import NetworkTensors


class MultiresBlock(Streamable):
    """conv -> GELU -> channel dropout -> linear D to 2D -> GLU -> channel dropout [-> linear] -> + input -> norm.

    (B, L, d_model) -> (B, L, d_model). Causal unless bidirectional, but for what batch norm shares between steps while
    it trains. On the CPU the block runs as one fused kernel wherever `why_not_fused` gives no reason against it.

    Args:
        d_model: number of channels D.
        dropout: probability with which a channel is dropped, in both places.
        norm: "layer", over the channels of a step, "batch", over all valid steps of a batch, or a module of your own,
            (B, L, D) -> (B, L, D).
        norm_first: normalise the input of the convolution instead of the sum (pre-norm): x + branch(norm(x)).
        mix: a channel mixing of your own, (B, L, D) -> (B, L, D), in place of linear map and GLU.
        projection: add the linear map D to D in brackets, which the paper's density networks have.
        **layer: the options of `MultiresLayer`.
    """

    def __init__(
        self,
        d_model: int,
        *,
        dropout: float = 0.0,
        norm: Norm | nn.Module = "layer",
        norm_first: bool = False,
        mix: nn.Module | None = None,
        projection: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Any,
    ) -> None:
        super().__init__()
        self.norm_first, self.gated = norm_first, mix is None
        self.conv = MultiresLayer(d_model, device=device, dtype=dtype, **layer)
        self.mix = nn.Linear(d_model, 2 * d_model, device=device, dtype=dtype) if mix is None else mix
        self.dropout = ChannelDropout(dropout)
        self.projection = nn.Linear(d_model, d_model, device=device, dtype=dtype) if projection else None
        self.norm = norm if isinstance(norm, nn.Module) else make_norm(norm, d_model, device, dtype)

    def reset_parameters(self) -> None:
        for part in self.children():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()  # pyright: ignore[reportCallIssue]

    def init_state(self, batch_size: int) -> State:
        """Return the state before the first step of `batch_size` sequences: that of the block's `MultiresLayer`."""
        return self.conv.init_state(batch_size)

    def check_step(self, x: Tensor) -> None:
        """Raise ValueError unless x is one step, (batch, d_model)."""
        self.conv.check_step(x)

    def stream_parts(self) -> StreamParts | str:
        """Give what a step computes with, or say why the kernel cannot serve; see `Streamable`."""
        self._check_streams()
        of_conv = self.conv.stream_parts()
        if reason := why_not_fused(self):
            return reason
        if isinstance(of_conv, str):
            return of_conv
        mix: Any = self.mix
        norm: Any = self.norm
        batch_norm, projection = isinstance(norm, MaskedBatchNorm), self.projection
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
        """Transform every step: x (B, L, d_model) -> (B, L, d_model).

        Args:
            x: the sequences, or with a state the next chunk of longer ones.
            lengths: (B,) integers in 1..L, or None for all. Outputs at later steps have no meaning: use no gradient of
                them.
            state: of `init_state`, a step or a chunk; it is left as it is. The state after the chunk is returned too.

        Raises:
            RuntimeError: a state while dropout or batch norm is in training mode.
            ValueError: lengths and a state; a state that does not fit.
        """
        if state is None and why_not_fused(self, x) is None:
            return self._fused(x, lengths)
        z = apply_norm(self.norm, x, lengths) if self.norm_first else x
        if state is None:
            # Only a bidirectional layer needs lengths; without them it is called as any layer of the user's own is.
            y = self.conv(z, lengths=lengths) if self.conv.bidirectional else self.conv(z)
            return self._after_conv(x, y, lengths)
        refuse_lengths(lengths)
        self._check_streams()
        y, after = self.conv(z, state)
        return self._after_conv(x, y, None), after

    def _after_conv(self, x: Tensor, y: Tensor, lengths: Tensor | None) -> Tensor:
        """Apply what follows the convolution y of the block's input x; all (B, L, d_model)."""
        y = self.mix(self.dropout(F.gelu(y)))
        y = self.dropout(F.glu(y) if self.gated else y)
        if self.projection is not None:
            y = self.projection(y)
        y = x + y
        return y if self.norm_first else apply_norm(self.norm, y, lengths)

    def _fused(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute what the submodules would, by `multires_block`."""
        mix: Any = self.mix
        norm: Any = self.norm
        conv, projection = self.conv, self.projection
        # Autocast is for the linear maps; what is added up from block to block keeps its precision.
        x = x.to(conv.h0.dtype)
        half = torch.is_autocast_enabled("cpu") and x.dtype == torch.float32
        dtype = torch.bfloat16 if half else x.dtype
        layer_norm = not isinstance(norm, MaskedBatchNorm)
        parameters = BlockParameters(
            conv.directions[0],
            conv.memory,
            (mix.weight, mix.bias),
            reverse=conv.directions[1] if conv.bidirectional else None,
            projection=None if projection is None else (projection.weight, projection.bias),
            norm=(norm.weight, norm.bias) if layer_norm else None,
            eps=norm.eps if layer_norm else 0.0,
        )
        y = multires_block(x, parameters, (self.dropout.scale(x), self.dropout.scale(x)), lengths, dtype)
        return y if layer_norm else norm.fused(y, lengths)

    def _check_streams(self) -> None:
        """Raise where a step would differ from the whole sequence: in training, with dropout or batch norm."""
        if self.dropout.training and self.dropout.p > 0:
            raise RuntimeError("streaming: dropout is active; call eval() first")
        if isinstance(self.norm, MaskedBatchNorm) and self.norm.training:
            raise RuntimeError("streaming: batch norm is in training mode; call eval() first")
