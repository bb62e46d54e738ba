"""`MultiresLayer`: the operator with its parameters and nothing else."""

from collections.abc import Sequence
from operator import index
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from multiresconv.layers.lengths import refuse_lengths, reverse_steps
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.ops import (
    Backend,
    State,
    coefficients,
    default_depth,
    fading,
    frequency_response,
    impulse_response,
    multires_conv,
    multires_conv_chunk,
    multires_conv_init,
    receptive_field,
    scale_energies,
    uniform,
    wavelet_taps,
    weight_size,
)
from multiresconv.ops.conv import check_backend
from multiresconv.ops.cpu.network import BlockTensors, NetworkTensors
from multiresconv.ops.streaming import state_size

Memory = Literal["fading"] | int | Sequence[int]


class MultiresLayer(Streamable):
    """Multiresolution convolution over time (Shi et al. 2023): linear, one filter pair per channel, causal by default.

    (B, L, d_model) -> (B, L, d_model); see `multires_conv` for the equations.

    Parameters: h0 and h1 (d_model, K), the last tap multiplying the current sample; w (d_model, 1 + sum(memory) + 1).
    They start from U(-1, 1) * sqrt(1/K) and U(-1, 1) * sqrt(1/(M + 1)), M = 1 + sum(memory) the size of the memory.
    A bidirectional layer has a second set, h0_reverse, h1_reverse and w_reverse.

    Args:
        d_model: number of channels.
        kernel_size: K >= 2 taps per filter; default 2. Not together with `wavelet`, which has its own.
        wavelet: name of a discrete wavelet of PyWavelets, whose taps h0 and h1 of every channel start from.
        depth: number of scales J.
        max_length: the length of sequence whose whole past the coarsest scale is to see; sets the depth.
        memory: which coefficients are kept: "fading" (the newest of each scale), an integer (that many, resolving the
            whole past alike) or the counts themselves, (m_J, ..., m_1), coarsest first, which also say the depth.
        own_skip_init: start the skip weight w_x from U(-1, 1), on a scale of its own, not from that of the memory.
        bidirectional: add a second convolution that reads each sequence from its end; such a layer does not stream.
        backend: passed to `multires_conv`; where the layer runs, not what it computes.

    Exactly one of `depth`, `max_length` and counts in `memory` is needed; further ones have to agree with it.

    Raises:
        ValueError: an option that is missing, out of range, or contradicts another.
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
        if d_model < 1:
            raise ValueError(f"d_model: expected at least 1, got {d_model}")
        check_backend(backend)
        if wavelet is None:
            kernel_size = 2 if kernel_size is None else kernel_size
        elif kernel_size is not None:
            raise ValueError(f"kernel_size, wavelet: give one of them, got {kernel_size} and {wavelet!r}")
        else:
            kernel_size = len(wavelet_taps(wavelet)[0])
        if kernel_size < 2:
            raise ValueError(f"kernel_size: expected at least 2, got {kernel_size}")
        self.memory = _memory(memory, kernel_size, depth, max_length)
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
        """(h0, h1, w) of the convolution from the start and, in a bidirectional layer, of the one from the end."""
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
        """Number of newest steps, the current one included, that an output can depend on."""
        reach = [receptive_field(self.depth, self.kernel_size)]
        for scale, kept in enumerate(reversed(self.memory), start=1):
            if kept:
                reach.append((kept - 1) * 2**scale + receptive_field(scale, self.kernel_size))
        return max(reach)

    @property
    def config(self) -> dict[str, Any]:
        """The options that build this layer again, defaults filled in, ready for JSON; not where it runs."""
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
            RuntimeError: a bidirectional layer, which needs the end of a sequence before it can begin.
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
        """Give what a step computes with, or say why the kernel cannot serve; see `Streamable`."""
        self.check_streams()
        if type(self) is not MultiresLayer or len(self._parameters) != 3:
            return f"{type(self).__name__} is more than a MultiresLayer"
        if self.backend not in ("auto", "cpu"):
            return f"the backend is {self.backend!r}"
        block = BlockTensors(self.h0, self.h1, self.w, *[None] * 8, eps=0.0, memory=self.memory)
        return StreamParts(NetworkTensors([block]))

    @overload
    def forward(self, x: Tensor, state: None = None, *, lengths: Tensor | None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, state: State, *, lengths: None = None) -> tuple[Tensor, State]: ...
    def forward(
        self, x: Tensor, state: State | None = None, *, lengths: Tensor | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Convolve over time: x (B, L, d_model), L >= 1 -> y (B, L, d_model), of the same dtype.

        Under autocast the layer computes in and returns the dtype of its parameters.

        Args:
            x: the sequences, or with a state the next chunk of longer ones.
            state: of `init_state`, a step or a chunk; it is left as it is. The state after the chunk is returned too.
            lengths: (B,) integers in 1..L, how many steps of each sequence are valid. Only a bidirectional layer needs
                them: it reads each sequence from its own end.
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
        """What the layer answers to a 1 followed by zeros, (d_model, length); length None: the receptive field.

        See `multiresconv.ops.impulse_response`.
        """
        length = self.receptive_field if length is None else length
        return impulse_response(self.h0, self.h1, self.w, self.memory, length)

    def coefficients(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """a_J and [b_J, ..., b_1], coarsest first, of x (B, L, d_model); each is of the shape of x.

        See `multiresconv.ops.coefficients`.
        """
        scaling, wavelet = coefficients(self._channels_first(x), self.h0, self.h1, self.depth)
        return scaling.transpose(1, 2), [b.transpose(1, 2) for b in wavelet]

    def frequency_response(self, n_frequencies: int) -> tuple[Tensor, Tensor, Tensor]:
        """Frequencies (F,) from 0 to 1/2, gains from x to a_J (d_model, F) and to b_J, ..., b_1 (depth, d_model, F).

        See `multiresconv.ops.frequency_response`.
        """
        return frequency_response(self.h0, self.h1, self.depth, n_frequencies)

    def scale_energies(self) -> Tensor:
        """Variance of each term of the output, [a_J, b_J, ..., b_1, x], for white noise: (d_model, depth + 2), float64.

        See `multiresconv.ops.scale_energies`.
        """
        return scale_energies(self.h0, self.h1, self.w, self.memory)

    def _channels_first(self, x: Tensor) -> Tensor:
        """x (B, L, d_model) -> (B, d_model, L), once it is known to fit."""
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


def _memory(memory: Memory, kernel_size: int, depth: int | None, max_length: int | None) -> tuple[int, ...]:
    """The counts (m_J, ..., m_1) that the options of a `MultiresLayer` amount to."""
    if depth is not None and max_length is not None:
        raise ValueError(f"depth, max_length: give one of them, got {depth} and {max_length}")
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    wanted = depth if max_length is None else default_depth(max_length, kernel_size)
    if isinstance(memory, int) or memory == "fading":
        if wanted is None:
            raise ValueError(f"depth, max_length: one of them is needed with memory {memory!r}")
        return uniform(wanted, kernel_size, memory) if isinstance(memory, int) else fading(wanted)
    if isinstance(memory, str):
        raise ValueError(f"memory: expected 'fading', a size or counts (m_J, ..., m_1), got {memory!r}")
    counts = tuple(index(kept) for kept in memory)
    if not counts or min(counts) < 0:
        raise ValueError(f"memory: expected (m_J, ..., m_1), at least one scale, none negative, got {counts}")
    if wanted not in (None, len(counts)):
        said = f"depth {depth}" if max_length is None else f"max_length {max_length}, so depth {wanted},"
        raise ValueError(f"memory: {said} contradicts the {len(counts)} scales of {counts}")
    return counts
