"""`MultiresAR`: an autoregressive density model of images."""

import math
from typing import Any, cast

import torch
from torch import Tensor

from multiresconv.layers import MultiresBlock
from multiresconv.layers.stream import StreamParts
from multiresconv.models.config import check_sizes
from multiresconv.models.description import Input, Output
from multiresconv.models.logistic_mixture import HALF_RANGE, mixture_log_prob, mixture_size
from multiresconv.models.net import MultiresNet
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.streaming import check_state_tensor, first_slots


class MultiresAR(SequenceModel):
    """A `MultiresNet` that predicts each pixel from the pixels before it, as a mixture of discretized logistics.

    Pixels (B, L, C) uint8 -> parameters (B, L, P) of each pixel's distribution, for `mixture_log_prob`. The network
    reads levels scaled to [-1, 1], shifted by one pixel, with zeros before the first pixel. Its blocks have the extra
    linear map (`projection`) of the paper's density networks.

    In a stream, `state["params"]` (B, P) are the parameters of the next pixel. `step(x, state)` returns the
    parameters that predicted x, i.e. `state["params"]` from before the step.

    Args:
        d_model: width of the blocks.
        n_layers: number of blocks.
        n_channels: channels of a pixel, 3 or 1.
        n_mixtures: number of mixture components.
        input: description of the input; default an image of unknown size.
        output: description of the output; default a density.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            dropout, norm, norm_first. Not bidirectional: the net would see the pixels that it predicts.

    Example:
        >>> model = MultiresAR(32, n_layers=2, max_length=1024)
        >>> model.bits_per_dim(torch.randint(256, (8, 1024, 3), dtype=torch.uint8)).shape
        torch.Size([8])
    """

    _state_names = ("params",)

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        n_channels: int = 3,
        n_mixtures: int = 10,
        input: Input | None = None,
        output: Output | None = None,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        check_sizes(n_channels=n_channels, n_mixtures=n_mixtures)
        n_outputs = mixture_size(n_channels, n_mixtures)
        if options.get("bidirectional"):
            raise ValueError("bidirectional: expected False; a density model may not look at what it predicts")
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        net = MultiresNet(d_model, n_layers, d_input=n_channels, projection=True, backend=backend, **where, **options)
        channels = ("grey",) if n_channels == 1 else ("red", "green", "blue")
        super().__init__(net, n_outputs, input or Input("image", channels), output or Output("density"), **where)
        self.n_channels, self.n_mixtures = n_channels, n_mixtures
        assert net.standardise is not None
        net.standardise.set(HALF_RANGE, HALF_RANGE)

    @property
    def config(self) -> dict[str, Any]:
        net = self.net.config
        for name in ("d_input", "n_tokens", "projection", "bidirectional"):
            del net[name]
        return {"n_channels": self.n_channels, "n_mixtures": self.n_mixtures, **net}

    @torch.no_grad()
    def init_state(self, batch_size: int) -> State:
        """Return the state before the first pixel."""
        features, first = self.net(self._zero_pixel(1), state=self.net.init_state(1))
        state = first if batch_size == 1 else self.net.init_state(batch_size)
        if batch_size > 1:  # the same step for all rows has written the first slot of each delay line
            conv = cast(MultiresBlock, self.net.blocks[0]).conv
            slots = first_slots(conv.kernel_size, conv.memory)
            state["lines"][:, :, slots] = first["lines"][:, :, slots]
            state["position"] += 1
        return {**state, "params": self.head(features[:, 0]).repeat(batch_size, 1)}

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresAR:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        return parts._replace(input_dtype=torch.uint8, finish=_delay_by_one)

    def log_prob(self, pixels: Tensor) -> Tensor:
        """Return the log-probability of whole images, in nats: (B, L, C) uint8 -> (B,)."""
        return mixture_log_prob(self(pixels), pixels).sum(1)

    def bits_per_dim(self, pixels: Tensor) -> Tensor:
        """Return the mean bits per channel of a pixel (bits per dimension): (B, L, C) uint8 -> (B,)."""
        return self.log_prob(pixels) / (-math.log(2) * pixels.shape[1] * pixels.shape[2])

    def _check(self, x: Tensor, time: tuple[str, ...]) -> None:
        if x.dtype != torch.uint8:
            raise TypeError(f"pixels: expected uint8 levels 0..255, got {x.dtype}")
        shape = tuple(x.shape)
        if len(shape) != len(time) + 2 or shape[-1] != self.n_channels or 0 in shape[1:]:
            raise ValueError(f"pixels: expected shape ({', '.join(['batch', *time])}, {self.n_channels}), got {shape}")

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        zeros = self._zero_pixel(x.shape[0])
        return self.head(self.net(torch.cat([zeros, x.to(zeros.dtype)], dim=1)[:, :-1], lengths))

    def _chunk(self, x: Tensor, features: Tensor, state: State) -> tuple[Tensor, State]:
        """See `SequenceModel`. Under autocast "params" have the dtype of autocast."""
        params, weight = state["params"], self.head.weight
        check_state_tensor("params", params, (state["lines"].shape[0], len(weight)), params.dtype, weight.device)
        params = torch.cat([params.unsqueeze(1), self.head(features)], dim=1)
        return params[:, :-1], {"params": params[:, -1].clone()}

    def _zero_pixel(self, batch_size: int) -> Tensor:
        """Return the input (B, 1, C) that precedes the first pixel: 0 after standardisation."""
        assert self.net.standardise is not None
        return self.net.standardise.mean.expand(batch_size, 1, -1)


@torch.no_grad()
def _delay_by_one(y: Tensor, x: Tensor, state: State, rows: Tensor) -> Tensor:
    """Delay outputs y (n, P) or (n, L, P) by one step; "params" (B, P) keeps the last output of each row."""
    held = state["params"]
    first = held[rows]
    if y.ndim == 2:
        held[rows] = y
        return first
    held[rows] = y[:, -1]
    return torch.cat([first.unsqueeze(1), y[:, :-1]], dim=1)
