"""`MultiresBlock`: the residual block of all networks."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.fusion import why_not_fused
from multiresconv.layers.lengths import refuse_lengths
from multiresconv.layers.multires_layer import MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm, Norm, apply_norm, make_norm
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.ops import State
from multiresconv.ops.block import BlockParameters, multires_block
from multiresconv.ops.cpu.network import NetworkTensors

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class MultiresBlock(Streamable):
    """conv -> GELU -> channel dropout -> linear D to 2D -> GLU -> channel dropout [-> linear] -> + input -> norm.

    (B, L, d_model) -> (B, L, d_model). The block is causal unless it is bidirectional, or batch norm mixes steps while
    training. On the CPU it runs as one fused kernel, unless `why_not_fused` gives a reason against that.

    Args:
        d_model: number of channels D.
        dropout: probability that a channel is dropped, for both dropouts.
        norm: "layer" normalises over the channels of a step, "batch" over all valid steps of a batch; or your own
            module, (B, L, D) -> (B, L, D).
        norm_first: normalise the input of the convolution instead of the residual sum (pre-norm): x + branch(norm(x)).
        mix: your own module for channel mixing, (B, L, D) -> (B, L, D), which replaces the linear map and the GLU.
        projection: add the linear map D to D in brackets, as in the paper's density networks.
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

    def unfused_option(self) -> str | None:
        """Name the option of this block that the fused kernel does not have, or return None."""
        if self.norm_first:
            return "the norm comes first"
        return None if self.gated else "mix takes the place of linear map and GLU"

    def init_state(self, batch_size: int) -> State:
        """Return the state of the block's `MultiresLayer` before the first step of `batch_size` sequences."""
        return self.conv.init_state(batch_size)

    def check_step(self, x: Tensor) -> None:
        """Raise ValueError unless x is one step, (batch, d_model)."""
        self.conv.check_step(x)

    def stream_parts(self) -> StreamParts | str:
        """Return the tensors for the streaming kernel, or the reason why it cannot run; see `Streamable`."""
        self.check_streams()
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

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Transform every step: x (B, L, d_model) -> (B, L, d_model).

        Args:
            x: whole sequences or, with a state, the next chunk of longer ones.
            lengths: (B,) valid steps of each sequence, 1..L; None if all are valid. Outputs at padded steps are
                arbitrary: do not let them enter the loss.
            state: from `init_state`, a step or a chunk; not modified.

        Returns:
            y (B, L, d_model); with a state, (y, the state after the chunk).

        Raises:
            RuntimeError: a state is given while dropout or batch norm is in training mode.
            ValueError: both lengths and a state are given, or the state does not fit.
        """
        if state is None and why_not_fused(self, x) is None:
            return self._fused(x, lengths)
        z = apply_norm(self.norm, x, lengths) if self.norm_first else x
        if state is None:
            # Only a bidirectional layer needs lengths. A user's own causal layer need not accept them.
            y = self.conv(z, lengths=lengths) if self.conv.bidirectional else self.conv(z)
            return self._after_conv(x, y, lengths)
        refuse_lengths(lengths)
        self.check_streams()
        y, after = self.conv(z, state=state)
        return self._after_conv(x, y, None), after

    def _after_conv(self, x: Tensor, y: Tensor, lengths: Tensor | None) -> Tensor:
        """Apply the rest of the block to its input x and the convolution's output y, both (B, L, d_model)."""
        y = self.mix(self.dropout(F.gelu(y)))
        y = self.dropout(F.glu(y) if self.gated else y)
        if self.projection is not None:
            y = self.projection(y)
        y = x + y
        return y if self.norm_first else apply_norm(self.norm, y, lengths)

    def _fused(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the block by the fused operator `multires_block`."""
        mix: Any = self.mix
        norm: Any = self.norm
        conv, projection = self.conv, self.projection
        # Autocast applies to the linear maps only; the residual stream keeps its precision.
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

    def check_streams(self) -> None:
        """Raise RuntimeError if active dropout or training batch norm makes steps differ from the whole sequence."""
        if self.dropout.training and self.dropout.p > 0:
            raise RuntimeError("streaming: dropout is active; call eval() first")
        if isinstance(self.norm, MaskedBatchNorm) and self.norm.training:
            raise RuntimeError("streaming: batch norm is in training mode; call eval() first")
        if self.gated and isinstance(self.norm, (MaskedBatchNorm, nn.LayerNorm)):
            return
        for name, part in self.named_modules():
            random = isinstance(part, _DROPOUTS) and part.p > 0
            if part.training and (random or isinstance(part, _BatchNorm)):
                raise RuntimeError(f"streaming: {name} is a {type(part).__name__} in training mode; call eval() first")
