"""`MultiresAR`: a distribution over images, one pixel after the other."""

import math
from typing import Any, Unpack, overload

import torch
from torch import Tensor, nn

from multiresconv.layers import LayerOptions, Norm
from multiresconv.layers.stream import Stream, StreamParts
from multiresconv.models.logistic_mixture import HALF_RANGE, mixture_log_prob, mixture_size
from multiresconv.models.net import MultiresNet
from multiresconv.ops import State
from multiresconv.ops.streaming import check_state_names, check_state_tensor


class MultiresAR(nn.Module):
    """A `MultiresNet` that gives each pixel a mixture of discretized logistics, from the pixels before it.

    The network sees levels scaled to [-1, 1], one pixel late: zeros in place of what comes before the first pixel. Its
    blocks have the additional linear map of the paper's density networks.

    Args:
        d_model: width of the blocks.
        n_layers: number of blocks.
        n_channels: 3 or 1, of a pixel.
        n_mixtures: number of mixture components.
        dropout: probability with which a channel is dropped, see `MultiresBlock`.
        norm: "layer" or "batch", see `MultiresBlock`.
        **layer: options of `MultiresLayer`: kernel_size, wavelet, depth, max_length, memory, own_skip_init, backend.

    Attributes:
        config: the arguments that build this model again, defaults filled in, ready for JSON; see `MultiresNet`.

    Example:
        >>> model = MultiresAR(32, n_layers=2, max_length=1024)
        >>> model.bits_per_dim(torch.randint(256, (8, 1024, 3), dtype=torch.uint8)).shape
        torch.Size([8])
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        n_channels: int = 3,
        n_mixtures: int = 10,
        dropout: float = 0.0,
        norm: Norm = "layer",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        outputs = mixture_size(n_channels, n_mixtures)
        self.n_channels = n_channels
        self.n_mixtures = n_mixtures
        self.net = MultiresNet(
            d_model,
            n_layers,
            d_input=n_channels,
            dropout=dropout,
            norm=norm,
            projection=True,
            device=device,
            dtype=dtype,
            **layer,
        )
        self.output = nn.Linear(d_model, outputs, device=device, dtype=dtype)
        inherited = {k: v for k, v in self.net.config.items() if k not in ("d_input", "n_tokens", "projection")}
        self.config: dict[str, Any] = {"n_channels": n_channels, "n_mixtures": n_mixtures, **inherited}

    def reset_parameters(self) -> None:
        self.net.reset_parameters()
        self.output.reset_parameters()

    @overload
    def forward(self, pixels: Tensor, *, state: None = None) -> Tensor: ...
    @overload
    def forward(self, pixels: Tensor, *, state: State) -> tuple[Tensor, State]: ...
    def forward(self, pixels: Tensor, *, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Parameters of the distribution of each pixel, given those before it.

        Args:
            pixels: (B, L, C) uint8, L >= 1.
            state: what `init_state`, or the chunk before, gave, if the pixels are a chunk that goes on from there.

        Returns:
            (B, L, P), for `mixture_log_prob`; with a state, also the one after the chunk.
        """
        self._check(pixels, ("batch", "length >= 1"))
        x = self._scale(pixels)
        if state is None:
            return self.output(self.net(torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)))
        features, net_state = self.net(x, state=self._of_net(state))
        params = torch.cat([state["params"].unsqueeze(1), self.output(features)], dim=1)
        return params[:, :-1], {**net_state, "params": params[:, -1].clone()}

    @torch.no_grad()
    def init_state(self, batch_size: int) -> State:
        """The state before the first pixel. `state["params"]` (B, P) are always those of the pixel to come."""
        state = self.net.init_state(batch_size)
        # The network has seen zeros in place of a pixel before the first: one step, the same for all rows.
        zeros = self.output.weight.new_zeros(1, self.n_channels)
        first = self._next(zeros, self.net.init_state(1))
        for name, tensor in state.items():
            tensor.copy_(first[name])
        return {**state, "params": first["params"].repeat(batch_size, 1)}

    def step(self, pixel: Tensor, state: State) -> tuple[Tensor, State]:
        """The next pixel (B, C) uint8 and the state before it -> its parameters (B, P), the state after it.

        The parameters do not depend on the pixel: they were there before, as `state["params"]`.
        """
        self._check(pixel, ("batch",))
        net_state = self._of_net(state)
        return state["params"], self._next(self._scale(pixel), net_state)

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> Stream:
        """A `Stream` of `batch_size` sequences from their start, by default 1, or from a state on."""
        return Stream(self, batch_size, state)

    def stream_parts(self) -> StreamParts | str:
        """What a step computes with, or why the kernel cannot serve; see `Streamable`."""
        parts, head = self.net.stream_parts(), self.output
        if isinstance(parts, str):
            return f"net: {parts}"
        if type(self) is not MultiresAR or type(head) is not nn.Linear or head.bias is None:
            return f"{type(self).__name__} with a {type(head).__name__} is more than a MultiresAR"
        middle = head.weight.new_full((self.n_channels,), HALF_RANGE)
        tensors = parts.tensors._replace(standardise=(middle, middle), head=(head.weight, head.bias))
        return StreamParts(tensors, late="params", input_dtype=torch.uint8)

    def log_prob(self, pixels: Tensor) -> Tensor:
        """Log-probability of whole images in nats: (B, L, C) uint8 -> (B,)."""
        return mixture_log_prob(self(pixels), pixels).sum(1)

    def bits_per_dim(self, pixels: Tensor) -> Tensor:
        """Bits that it takes to code a level, on average over an image: (B, L, C) uint8 -> (B,)."""
        return self.log_prob(pixels) / (-math.log(2) * pixels.shape[1] * pixels.shape[2])

    def _next(self, x: Tensor, net_state: State) -> State:
        features, net_state = self.net.step(x, net_state)
        return {**net_state, "params": self.output(features)}

    def _scale(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.output.weight.dtype) - HALF_RANGE) / HALF_RANGE

    def _check(self, pixels: Tensor, leading: tuple[str, ...]) -> None:
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels: expected uint8 levels 0..255, got {pixels.dtype}")
        shape = tuple(pixels.shape)
        if len(shape) != len(leading) + 1 or shape[-1] != self.n_channels or 0 in shape[1:]:
            raise ValueError(f"pixels: expected shape ({', '.join(leading)}, {self.n_channels}), got {shape}")

    def _of_net(self, state: State) -> State:
        """The net's part of a state, once "params" is known to go with it; under autocast that has autocast's dtype."""
        check_state_names(state, "lines", "position", "params")
        params, weight = state["params"], self.output.weight
        check_state_tensor("params", params, (len(state["lines"]), len(weight)), params.dtype, weight.device)
        return {name: tensor for name, tensor in state.items() if name != "params"}
