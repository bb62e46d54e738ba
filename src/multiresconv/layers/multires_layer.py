"""`MultiresLayer`: the operator `multires_conv` with its parameters."""

from operator import index
from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.layers.lengths import refuse_lengths, reverse_steps
from multiresconv.layers.memory import Memory, counts_of
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.ops import (
    Backend,
    State,
    coefficients,
    frequency_response,
    impulse_response,
    multires_conv,
    multires_conv_chunk,
    multires_conv_init,
    scale_energies,
    wavelet_taps,
    weight_size,
)
from multiresconv.ops.conv import check_backend
from multiresconv.ops.cpu.network import BlockTensors, NetworkTensors
from multiresconv.ops.streaming import state_size
from multiresconv.ops.tree import reach


class MultiresLayer(Streamable):
    """Multiresolution convolution over time (Shi et al. 2023): linear, one filter pair per channel, causal by default.

    (B, L, d_model) -> (B, L, d_model); see `multires_conv` for the equations.

    Parameters: filters h0 and h1 (d_model, K), whose last tap multiplies the current sample, and weights
    w (d_model, M + 1), where M = 1 + sum(memory) is the size of the memory. The filters start from
    U(-1, 1) * sqrt(1/K), the weights from U(-1, 1) * sqrt(1/(M + 1)). A bidirectional layer has a second set,
    h0_reverse, h1_reverse and w_reverse.

    Args:
        d_model: number of channels.
        kernel_size: K >= 2 taps per filter; default 2. Not together with `wavelet`, which sets it.
        wavelet: name of a discrete wavelet of PyWavelets, whose taps initialise h0 and h1 of every channel.
        depth: number of scales J.
        max_length: sequence length that the coarsest scale must cover; sets the depth.
        memory: which coefficients are kept: "fading" (the newest of each scale), an integer (that many in total,
            resolving the whole past evenly) or the counts (m_J, ..., m_1), coarsest first, which also set the depth.
        own_skip_init: draw the skip weight w_x from U(-1, 1) instead of from the range of the other weights.
        bidirectional: add a second convolution that reads each sequence from its end; such a layer cannot stream.
        backend: passed to `multires_conv`; changes where the layer runs, not what it computes.

    Give `depth`, `max_length` or counts in `memory`. Counts may come with one of the other two if they agree.

    Raises:
        ValueError: an option is missing, out of range, or contradicts another.
    """

    h0: Tensor
    h1: Tensor
    w: Tensor
    h0_reverse: Tensor
    h1_reverse: Tensor
    w_reverse: Tensor

    def __init__(
        self,
        d_model: int,
        *,
        kernel_size: int | None = None,
        wavelet: str | None = None,
        depth: int | None = None,
        max_length: int | None = None,
        memory: Memory = "fading",
        own_skip_init: bool = False,
        bidirectional: bool = False,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        d_model = index(d_model)
        if d_model < 1:
            raise ValueError(f"d_model: expected at least 1, got {d_model}")
        check_backend(backend)
        if wavelet is None:
            kernel_size = 2 if kernel_size is None else index(kernel_size)
        elif kernel_size is not None:
            raise ValueError(f"kernel_size, wavelet: give one of them, got {kernel_size} and {wavelet!r}")
        else:
            kernel_size = len(wavelet_taps(wavelet)[0])
        if kernel_size < 2:
            raise ValueError(f"kernel_size: expected at least 2, got {kernel_size}")
        self.memory = counts_of(memory, kernel_size, depth, max_length)
        self.state_size = state_size(kernel_size, self.memory)
        self.wavelet = wavelet
        self.own_skip_init = own_skip_init
        self.backend: Backend = backend
        self.bidirectional = bidirectional
        for direction in ("", "_reverse") if bidirectional else ("",):
            for name, width in (("h0", kernel_size), ("h1", kernel_size), ("w", weight_size(self.memory))):
                parameter = nn.Parameter(torch.empty(d_model, width, device=device, dtype=dtype))
                self.register_parameter(name + direction, parameter)
        self.reset_parameters()

    @property
    def directions(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(h0, h1, w) of the forward convolution and, in a bidirectional layer, of the reverse one."""
        forward = (self.h0, self.h1, self.w)
        return [forward, (self.h0_reverse, self.h1_reverse, self.w_reverse)] if self.bidirectional else [forward]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for h0, h1, w in self.directions:
            if self.wavelet is None:
                bound = self.kernel_size**-0.5
                h0.uniform_(-bound, bound)
                h1.uniform_(-bound, bound)
            else:
                low, high = wavelet_taps(self.wavelet, dtype=h0.dtype)
                h0.copy_(low.expand_as(h0))
                h1.copy_(high.expand_as(h1))
            bound = w.shape[1] ** -0.5
            w.uniform_(-bound, bound)
            if self.own_skip_init:
                w[:, -1].uniform_(-1, 1)

    @property
    def d_model(self) -> int:
        return self.h0.shape[0]

    @property
    def kernel_size(self) -> int:
        return self.h0.shape[1]

    @property
    def depth(self) -> int:
        return len(self.memory)

    @property
    def receptive_field(self) -> int:
        """Number of steps that an output can depend on, the current one included."""
        return reach(self.kernel_size, self.memory) + 1

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this layer, without d_model, backend, device and dtype; ready for JSON."""
        taps = {"kernel_size": self.kernel_size} if self.wavelet is None else {"wavelet": self.wavelet}
        return {
            **taps,
            "memory": list(self.memory),
            "own_skip_init": self.own_skip_init,
            "bidirectional": self.bidirectional,
        }

    def init_state(self, batch_size: int) -> State:
        """Return the state before the first step of `batch_size` sequences; see `multires_conv_init`.

        Raises:
            RuntimeError: the layer is bidirectional, so it would need the end of each sequence first.
        """
        self.check_streams()
        return multires_conv_init(
            batch_size, self.d_model, self.kernel_size, self.memory, device=self.h0.device, dtype=self.h0.dtype
        )

    def check_step(self, x: Tensor) -> None:
        """Raise ValueError unless x is one step, (batch, d_model)."""
        if x.ndim != 2 or x.shape[1] != self.d_model:
            raise ValueError(f"x: expected shape (batch, {self.d_model}), got {tuple(x.shape)}")

    def stream_parts(self) -> StreamParts | str:
        """Return the tensors for the streaming kernel, or the reason why it cannot run; see `Streamable`."""
        self.check_streams()
        if type(self) is not MultiresLayer or len(self._parameters) != 3:
            return f"{type(self).__name__} is more than a MultiresLayer"
        if self.backend not in ("auto", "cpu"):
            return f"the backend is {self.backend!r}"
        block = BlockTensors(self.h0, self.h1, self.w, *[None] * 8, eps=0.0, memory=self.memory)
        return StreamParts(NetworkTensors([block]))

    def forward(
        self, x: Tensor, state: State | None = None, *, lengths: Tensor | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Convolve over time: x (B, L, d_model) with L >= 1 -> y (B, L, d_model) in the dtype of x.

        Under autocast the layer converts x to the dtype of its parameters and returns that dtype.

        Args:
            x: whole sequences or, with a state, the next chunk of longer ones.
            state: from `init_state`, a step or a chunk; not modified.
            lengths: (B,) valid steps of each sequence, 1..L; None if all are valid. Only a bidirectional layer needs
                them, to read each sequence from its own end.

        Returns:
            y (B, L, d_model); with a state, (y, the state after the chunk).
        """
        x = self._channels_first(x)
        if state is not None:
            refuse_lengths(lengths)
            self.check_streams()
            y, state = multires_conv_chunk(x, state, self.h0, self.h1, self.w, self.memory, backend=self.backend)
            return y.transpose(1, 2), state
        y = multires_conv(x, self.h0, self.h1, self.w, self.memory, backend=self.backend).transpose(1, 2)
        if not self.bidirectional:
            return y
        from_end = reverse_steps(x.transpose(1, 2), lengths).transpose(1, 2)
        h0, h1, w = self.h0_reverse, self.h1_reverse, self.w_reverse
        y_reverse = multires_conv(from_end, h0, h1, w, self.memory, backend=self.backend).transpose(1, 2)
        return y + reverse_steps(y_reverse, lengths)

    def check_streams(self) -> None:
        """Raise RuntimeError if the layer cannot stream."""
        if self.bidirectional:
            raise RuntimeError("streaming: a bidirectional layer needs whole sequences; build it bidirectional=False")

    def impulse_response(self, length: int | None = None) -> Tensor:
        """Return the impulse response (d_model, length); by default as long as the receptive field.

        See `multiresconv.ops.impulse_response`.
        """
        length = self.receptive_field if length is None else length
        return impulse_response(self.h0, self.h1, self.w, self.memory, length)

    def coefficients(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return a_J and [b_J, ..., b_1], coarsest first, of x (B, L, d_model); each has the shape of x.

        See `multiresconv.ops.coefficients`.
        """
        scaling, wavelet = coefficients(self._channels_first(x), self.h0, self.h1, self.depth)
        return scaling.transpose(1, 2), [b.transpose(1, 2) for b in wavelet]

    def frequency_response(self, n_frequencies: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return frequencies and gains at F = n_frequencies points.

        Returns:
            Frequencies (F,) from 0 to 1/2 cycle per step, gains from x to a_J (d_model, F), and gains from x to
            b_J, ..., b_1 (depth, d_model, F).

        See `multiresconv.ops.frequency_response`.
        """
        return frequency_response(self.h0, self.h1, self.depth, n_frequencies)

    def scale_energies(self) -> Tensor:
        """Return the variance of each output term for white-noise input, (d_model, depth + 2) float64.

        The terms are ordered a_J, b_J, ..., b_1, x.

        See `multiresconv.ops.scale_energies`.
        """
        return scale_energies(self.h0, self.h1, self.w, self.memory)

    def _channels_first(self, x: Tensor) -> Tensor:
        """Check x (B, L, d_model) and return it as (B, d_model, L)."""
        if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] != self.d_model:
            raise ValueError(
                f"x: expected shape (batch, length, {self.d_model}) with length >= 1, got {tuple(x.shape)}"
            )
        return self._in_own_dtype(x).transpose(1, 2)

    def _in_own_dtype(self, x: Tensor) -> Tensor:
        if x.device.type != "meta" and torch.is_autocast_enabled(x.device.type):
            x = x.to(self.h0.dtype)
        if x.dtype != self.h0.dtype:
            raise TypeError(f"x: expected the dtype of the layer, {self.h0.dtype}, got {x.dtype}")
        return x

    def extra_repr(self) -> str:
        taps = f"kernel_size={self.kernel_size}" if self.wavelet is None else f"wavelet={self.wavelet!r}"
        flags = [f", {name}=True" for name in ("own_skip_init", "bidirectional") if getattr(self, name)]
        return f"{self.d_model}, {taps}, memory={self.memory}{''.join(flags)}"
