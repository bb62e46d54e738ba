"""`MultiresFeatures`: untrained multiresolution filters that turn a sequence into features for a linear model."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers import Standardise, check_lengths, refuse_lengths, valid_steps
from multiresconv.layers.lengths import Lengths
from multiresconv.layers.missing import hold_last
from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.models.config import MAX_WEIGHTS, check_sizes
from multiresconv.models.feature_counter import Arrays, FeatureCounter, as_channels, share
from multiresconv.ops import Backend, State
from multiresconv.ops.cpu.arrays import array
from multiresconv.ops.cpu.shares import Counter
from multiresconv.ops.shares import STATISTICS, Bank, Counts, no_counts, shares, shares_reference
from multiresconv.ops.streaming import check_state_names, check_state_tensor

_CPU = torch.device("cpu")
_STATE = {
    "lines": torch.float32,
    "before": torch.float32,
    "totals": torch.float64,
    "position": torch.int64,
    "last": torch.float32,
    "missing": torch.int64,
}


class MultiresFeatures(Streamable):
    """Shares of the coefficients of untrained filters: (B, L, d_input) -> (B, n_features); see `ops.shares`.

    A missing value (NaN) is replaced by the last good value of its channel, before the first one by the mean. With
    `mask_missing` the share of missing values of each channel is a feature too.

    `draw_features` draws the filters and takes thresholds and statistics from training sequences; a new module has
    zeros in their places. Nothing is learned by gradients, and none pass. Features are computed on the CPU in float32,
    wherever the buffers are. Steps, chunks and whole sequences give the same bits.

    Args:
        d_input: number of channels C.
        n_filters: number of filters F.
        kernel_size: taps K >= 2 of each filter.
        depth: number of scales J.
        n_thresholds: thresholds T of each coefficient series.
        mask_missing: give the share of missing values as features.
        backend: "cpu", which is also "auto", or "reference": plain PyTorch on any device, exportable, for whole
            sequences only. It may count a coefficient within rounding of a threshold differently.

    Attributes:
        standardise: mean and standard deviation of the channels; the filters see standardised values.
    """

    mix: Tensor
    h0: Tensor
    h1: Tensor
    thresholds: Tensor

    def __init__(
        self,
        d_input: int,
        n_filters: int,
        *,
        kernel_size: int,
        depth: int,
        n_thresholds: int,
        mask_missing: bool = False,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if backend not in ("auto", "cpu", "reference"):
            raise ValueError(f"backend: untrained features are computed by 'cpu' or 'reference', got {backend!r}")
        sizes = {"d_input": d_input, "n_filters": n_filters, "kernel_size": kernel_size, "depth": depth}
        sizes = {name: index(size) for name, size in {**sizes, "n_thresholds": n_thresholds}.items()}
        for name, size in sizes.items():
            least = 2 if name == "kernel_size" else 1
            if size < least:
                raise ValueError(f"{name}: expected at least {least}, got {size}")
        check_sizes(**sizes)
        d_input, n_filters, kernel_size, depth, n_thresholds = sizes.values()
        self.backend = backend
        numbers = n_filters * max(6 * depth * n_thresholds, d_input, kernel_size * (2**depth - 1))
        if numbers > MAX_WEIGHTS:
            raise ValueError(
                f"n_filters, depth: expected at most {MAX_WEIGHTS:,} numbers, these sizes have {numbers:,}"
            )
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.standardise = Standardise(d_input, mask_missing=bool(mask_missing), **where)
        self._seen: tuple[Any, Arrays, list[Tensor]] | None = None
        for name, shape in {
            "mix": (n_filters, d_input),
            "h0": (n_filters, kernel_size),
            "h1": (n_filters, kernel_size),
            "thresholds": (n_filters, depth, 2, n_thresholds),
        }.items():
            self.register_buffer(name, torch.zeros(shape, **where))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_seen": None}  # copies make their own arrays

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this module, ready for JSON."""
        (filters, depth, _, count), (_, taps) = self.thresholds.shape, self.h0.shape
        return {
            "d_input": self.n_inputs,
            "n_filters": filters,
            "kernel_size": taps,
            "depth": depth,
            "n_thresholds": count,
            "mask_missing": self.mask_missing,
        }

    @property
    def mask_missing(self) -> bool:
        """True if the shares of missing values are features."""
        return self.standardise.mask_missing

    @property
    def bank(self) -> Bank:
        """The filters and thresholds as arrays."""
        return self.arrays().bank

    def arrays(self) -> Arrays:
        """Return the buffers as arrays; they are made anew when a buffer is replaced or changed."""
        parts = (self.mix, self.h0, self.h1, self.thresholds, self.standardise.mean, self.standardise.std)
        known = not any(map(torch.Tensor.is_inference, parts))  # changes of inference tensors are not counted
        seen = tuple((t.data_ptr(), t._version) for t in parts) if known else None
        if self._seen is None or seen is None or self._seen[0] != seen:
            arrays = [array(t.detach().cpu().float()) for t in parts]
            bank = Bank(*arrays[:4])
            kept = [t.detach() for t in parts]  # keep the addresses from being reused
            self._seen = seen, Arrays(bank, Counter(bank), arrays[4][:, None], arrays[5][:, None]), kept
        return self._seen[1]

    @property
    def n_inputs(self) -> int:
        """Number of channels."""
        return self.mix.shape[1]

    @property
    def d_model(self) -> int:
        """Width of the features, as of a net."""
        return self.n_features

    @property
    def n_features(self) -> int:
        """F * J * 2 * 3 * T, in the order of `multiresconv.ops.shares`, and behind them C with `mask_missing`."""
        return 3 * self.thresholds.numel() + (self.n_inputs if self.mask_missing else 0)

    @property
    def feature_names(self) -> list[str]:
        """Names such as "filter3_b2_rises_0", of filter, series (a or b with its scale), statistic, threshold."""
        filters, depth, _, count = self.thresholds.shape
        names = [
            f"filter{f}_{series}{j}_{statistic}_{t}"
            for f in range(filters)
            for j in range(1, depth + 1)
            for series in "ab"
            for statistic in STATISTICS
            for t in range(count)
        ]
        return names + ([f"missing{c}" for c in range(self.n_inputs)] if self.mask_missing else [])

    def init_state(self, batch_size: int) -> State:
        """Return the state before the first step of `batch_size` sequences, on the CPU.

        "lines", "before" and "totals" are those of `multiresconv.ops.shares.Counts`, batch first. "position" (B,)
        counts the steps, "missing" (B, C) the missing values. "last" (B, C) has the last good ones in standard
        deviations.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        fresh, channels = no_counts(self.bank), self.n_inputs
        counts = {
            name: torch.from_numpy(array).repeat(batch_size, *[1] * array.ndim)
            for name, array in fresh._asdict().items()
        }
        return {
            **counts,
            "position": torch.zeros(batch_size, dtype=torch.int64, device="cpu"),
            "last": torch.zeros(batch_size, channels, dtype=torch.float32, device="cpu"),
            "missing": torch.zeros(batch_size, channels, dtype=torch.int64, device="cpu"),
        }

    def check_step(self, x: Tensor) -> None:
        """Raise unless x is one step, (batch, d_input)."""
        self.check_input(x, time=())

    def check_input(self, x: Tensor, time: tuple[str, ...] = ("length >= 1",)) -> None:
        """Raise unless x is `(batch, *time, d_input)`."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x: expected a tensor, got {type(x).__name__}")
        shape = ("batch", *time, str(self.n_inputs))
        if x.ndim != len(shape) or 0 in x.shape[1:] or x.shape[-1] != self.n_inputs:
            raise ValueError(f"x: expected shape ({', '.join(shape)}), got {tuple(x.shape)}")

    def stream_parts(self) -> StreamParts | str:
        return "features are counted, not computed by the kernel of networks"

    def forward(
        self, x: Tensor, lengths: Lengths | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Compute the features of whole sequences or, with a state, after each step of their next chunk.

        Args:
            x: (B, L, d_input), NaN where a value is missing. With a state, x is the next chunk of longer sequences.
            lengths: (B,) valid steps of each sequence, 1..L; None if all are valid.
            state: from `init_state`, a step or a chunk; not modified. Not together with lengths.

        Returns:
            (B, n_features). With a state, ((B, L, n_features), the state after the chunk).
        """
        self.check_input(x)
        if state is None and self.backend == "reference":
            return self._reference(x, None if lengths is None else check_lengths(lengths, x))
        if state is None:
            counts = [x.shape[1]] * len(x) if lengths is None else check_lengths(lengths, x).tolist()
            rows = [as_channels(row[:count]) for row, count in zip(x, counts, strict=True)]
            return torch.from_numpy(self.of_sequences(rows)).to(self.mix.device, self.mix.dtype)
        refuse_lengths(lengths)
        state = {name: tensor.clone() for name, tensor in self.checked(state, len(x)).items()}
        after = []
        for step in x.unbind(1):
            self.advance_in_place(step.unsqueeze(1), state)
            after.append(self.features_after(state))
        return torch.stack(after, 1), state

    def _reference(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the features (B, n_features) of whole sequences in plain PyTorch."""
        x = x.to(self.mix.dtype)
        filled = hold_last((x - self.standardise.mean) / self.standardise.std, torch.zeros_like(x[:, :1]))
        found = shares_reference(filled.mT, self.mix, self.h0, self.h1, self.thresholds, lengths).flatten(1)
        if not self.mask_missing:
            return found
        missing = x.isnan().to(x.dtype)
        if lengths is None:
            return torch.cat([found, missing.mean(1)], dim=1)
        counts = missing.where(valid_steps(lengths, x.shape[1]), 0).sum(1)
        return torch.cat([found, counts / lengths[:, None].to(x.dtype)], dim=1)

    def of_sequences(self, sequences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the features (N, n_features) of N arrays (C, L_i) float32, NaN where a value is missing."""
        arrays, zero = self.arrays(), np.zeros(self.n_inputs, np.float32)
        found = shares([arrays.filled(x, zero) for x in sequences], arrays.bank).reshape(len(sequences), -1)
        if not self.mask_missing:
            return found
        missing = [share(np.isnan(x).sum(1), x.shape[1]) for x in sequences]
        return np.hstack([found, np.array(missing)])

    def checked(self, state: State, batch_size: int) -> State:
        """Return a state, or raise ValueError unless it is one of `batch_size` sequences of this module."""
        check_state_names(state, *_STATE)
        (filters, depth, _, count), taps, channels = self.thresholds.shape, self.h0.shape[1], self.n_inputs
        shapes = {
            "lines": ((taps - 1) * (2**depth - 1), filters),
            "before": (depth, 2, filters),
            "totals": (depth, 2, 3, count, filters),
            "position": (),
            "last": (channels,),
            "missing": (channels,),
        }
        for name, shape in shapes.items():
            check_state_tensor(name, state[name], (batch_size, *shape), _STATE[name], _CPU)
        return state

    def counter(self, state: State | None = None, row: int = 0) -> FeatureCounter:
        """Return the counter of a sequence without steps yet, or of one row of a state, which it changes in place."""
        if state is None:
            state = self.init_state(1)
        counts = Counts(*(state[name][row].numpy() for name in ("lines", "before", "totals")))
        last, missing = (state[name][row].numpy() for name in ("last", "missing"))
        return FeatureCounter(self.arrays(), self.mask_missing, counts, last, missing, int(state["position"][row]))

    def advance_in_place(self, x: Tensor, state: State) -> None:
        """Count the next steps x (B, n, d_input), in the state itself.

        Raises:
            RuntimeError: the backend is "reference".
        """
        if self.backend == "reference":
            raise RuntimeError("streaming: backend 'reference' takes whole sequences of untrained features; use 'cpu'")
        for row, chunk in enumerate(x):
            self.counter(state, row).advance(as_channels(chunk))
        state["position"] += x.shape[1]

    def features_after(self, state: State) -> Tensor:
        """Return the features (B, n_features) of the sequences so far, which have had at least one step."""
        rows = [self.counter(state, row).features() for row in range(len(state["position"]))]
        return torch.from_numpy(np.stack(rows)).to(self.mix.device, self.mix.dtype)
