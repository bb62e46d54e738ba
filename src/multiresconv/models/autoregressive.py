"""`MultiresAR`: a distribution over images, one pixel after the other."""

import math
from typing import Any

import torch
from torch import Tensor

from multiresconv.layers.stream import StreamParts
from multiresconv.models.description import Input, Output
from multiresconv.models.logistic_mixture import HALF_RANGE, mixture_log_prob, mixture_size
from multiresconv.models.net import MultiresNet
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.streaming import check_state_tensor


class MultiresAR(SequenceModel):
    """A `MultiresNet` that gives each pixel a mixture of discretized logistics, from the pixels before it.

    Pixels (B, L, C) uint8 -> parameters (B, L, P) of the distribution of each, for `mixture_log_prob`. The network sees
    levels scaled to [-1, 1], one pixel late: zeros in place of what comes before the first pixel. Its blocks have the
    additional linear map of the paper's density networks.

    The outputs of a step are the parameters of the pixel that it takes, which do not depend on that pixel: they stood
    in the state before it, as `state["params"]` (B, P), which are always those of the pixel to come.

    Args:
        d_model: width of the blocks.
        n_layers: number of blocks.
        n_channels: 3 or 1, of a pixel.
        n_mixtures: number of mixture components.
        input: what goes in; default an image of unknown size.
        backend: where the blocks run, see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            dropout, norm, norm_first. A bidirectional net would see the pixels that it is to predict.

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
        state = self.net.init_state(batch_size)
        # The network has seen one step of nothing, the same for all rows. It left marks in a few slots only.
        features, first = self.net(self._nothing(1), state=self.net.init_state(1))
        slots = first["lines"].ne(0).any(3).any(1).squeeze(0)
        state["lines"][:, :, slots] = first["lines"][:, :, slots]
        return {**state, "position": state["position"] + 1, "params": self.head(features[:, 0]).repeat(batch_size, 1)}

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresAR:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        return parts._replace(late="params", input_dtype=torch.uint8)

    def log_prob(self, pixels: Tensor) -> Tensor:
        """Log-probability of whole images in nats: (B, L, C) uint8 -> (B,)."""
        return mixture_log_prob(self(pixels), pixels).sum(1)

    def bits_per_dim(self, pixels: Tensor) -> Tensor:
        """Bits that it takes to code a level, on average over an image: (B, L, C) uint8 -> (B,)."""
        return self.log_prob(pixels) / (-math.log(2) * pixels.shape[1] * pixels.shape[2])

    def _check(self, x: Tensor, time: tuple[str, ...]) -> None:
        if x.dtype != torch.uint8:
            raise TypeError(f"pixels: expected uint8 levels 0..255, got {x.dtype}")
        shape = tuple(x.shape)
        if len(shape) != len(time) + 2 or shape[-1] != self.n_channels or 0 in shape[1:]:
            raise ValueError(f"pixels: expected shape ({', '.join(['batch', *time])}, {self.n_channels}), got {shape}")

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        nothing = self._nothing(x.shape[0])
        return self.head(self.net(torch.cat([nothing, x[:, :-1].to(nothing.dtype)], dim=1), lengths))

    def _chunk(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Under autocast "params" have autocast's dtype."""
        params, weight = state["params"], self.head.weight
        check_state_tensor("params", params, (len(state["lines"]), len(weight)), params.dtype, weight.device)
        params = torch.cat([params.unsqueeze(1), self.head(features)], dim=1)
        return params[:, :-1], {"params": params[:, -1].clone()}

    def _nothing(self, batch_size: int) -> Tensor:
        """(B, 1, C) what stands before the first pixel: 0 once it is standardised."""
        assert self.net.standardise is not None
        return self.net.standardise.mean.expand(batch_size, 1, -1)
