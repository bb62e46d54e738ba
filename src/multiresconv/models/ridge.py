"""`MultiresRidge`: a linear model on untrained multiresolution features, for classes, labels or values."""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from multiresconv.layers import Standardise, check_lengths, refuse_lengths
from multiresconv.layers.lengths import Lengths, to_lengths
from multiresconv.layers.stream import StreamParts
from multiresconv.models.config import MAX_WEIGHTS, check_sizes
from multiresconv.models.description import Input, Output, numbered
from multiresconv.models.feature_counter import as_channels
from multiresconv.models.features import MultiresFeatures
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.cpu.arrays import array
from multiresconv.ops.shares import split_over_steps


class MultiresRidge(SequenceModel):
    """`MultiresFeatures` and a linear map to logits or values: (B, L, d_input) -> (B, d_output).

    Nothing in it is trained by gradients. `multiresconv.tasks.ridge` fits it to sequences within seconds, by ridge
    regression. A new model has zeros in the places of filters and weights.

    The outputs are ``target_standardise.undo(head(features - centre))``.

    Args:
        output: description of the output, of kind "class", "labels" or "value".
        d_input, n_filters, kernel_size, depth, n_thresholds, mask_missing, backend: see `MultiresFeatures`.
        input: description of the input; default a signal with unnamed channels.

    Attributes:
        net: the `MultiresFeatures`.
        head: the linear map.
        centre: (n_features,) mean of the features of the training sequences.
        target_standardise: mean and standard deviation of values; the identity for classes and labels.
    """

    net: MultiresFeatures  # pyright: ignore[reportIncompatibleVariableOverride]
    centre: Tensor

    def __init__(
        self,
        output: Output,
        d_input: int,
        n_filters: int,
        *,
        kernel_size: int,
        depth: int,
        n_thresholds: int,
        mask_missing: bool = False,
        input: Input | None = None,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if output.kind not in ("class", "labels", "value"):
            raise ValueError(f"output: expected class, labels or value, got {output.kind}")
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        net = MultiresFeatures(
            d_input,
            n_filters,
            kernel_size=kernel_size,
            depth=depth,
            n_thresholds=n_thresholds,
            mask_missing=mask_missing,
            backend=backend,
            **where,
        )
        d_output = len(output.names)
        check_sizes(d_output=d_output)
        if d_output * net.n_features > MAX_WEIGHTS:
            raise ValueError(f"output, n_filters: expected at most {MAX_WEIGHTS:,} weights, these sizes have more")
        input = input or Input("signal", channels=numbered("channel", d_input))
        super().__init__(cast(Any, net), d_output, input, output, **where)
        self.register_buffer("centre", torch.zeros(net.n_features, **where))
        self.target_standardise = Standardise(d_output, **where)
        self.reset_parameters()

    @property
    def config(self) -> dict[str, Any]:
        return self.net.config

    def reset_parameters(self) -> None:
        """Set the weights of the linear map to 0."""
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()

    def stream_parts(self) -> StreamParts | str:
        return self.net.stream_parts()

    def forward(
        self, x: Tensor, lengths: Lengths | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Compute the outputs of whole sequences or, with a state, after each step of their next chunk.

        Args:
            x: (B, L, d_input) in the unit of `input`, NaN where a value is missing; L >= 1.
            lengths: (B,) valid steps of each sequence, 1..L; None if all are valid.
            state: from `init_state`, a step or a chunk; not modified. Not together with lengths.

        Returns:
            (B, d_output). With a state, ((B, L, d_output), the state after the chunk).
        """
        self._check(x, time=("length >= 1",))
        if state is None:
            return self._whole(x, None if lengths is None else to_lengths(lengths))
        refuse_lengths(lengths)
        state = self.net.checked(state, len(x))
        return self.advance(x, {name: tensor.clone() for name, tensor in state.items()})

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        self._check(x, time=("length >= 1",))
        outputs = []
        for step in x.unbind(1):
            self.net.advance_in_place(step.unsqueeze(1), state)
            outputs.append(self._outputs(self.net.features_after(state)))
        return torch.stack(outputs, 1), state

    def after(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        self._check(x, time=("length >= 1",))
        self.net.advance_in_place(x, self.net.checked(state, len(x)))
        return self._outputs(self.net.features_after(state)), state

    def standardised(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Return the outputs (B, d_output) of whole sequences in standard deviations from the mean of the targets."""
        self._check(x, time=("length >= 1",))
        return self.head(self.net(x, lengths) - self.centre)

    @torch.no_grad()
    def contributions(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Split the outputs over the time steps; the sum over the steps is the outputs.

        This is exact because the features are sums over the steps, see `multiresconv.ops.shares.split_over_steps`, and
        the head is linear. The part that no step has, which is that of `centre`, of the bias and of shares of missing
        values, is spread evenly over the valid steps.

        Args:
            x: (B, L, d_input), as in `forward`.
            lengths: (B,) valid steps of each sequence, as in `forward`.

        Returns:
            (B, L, d_output) float64, 0 at padded steps; of values, in standard deviations from the mean of the targets.
        """
        self._check(x, time=("length >= 1",))
        counts = [x.shape[1]] * len(x) if lengths is None else check_lengths(lengths, x).tolist()
        outputs = self.standardised(x, lengths).double()
        arrays, zero = self.net.arrays(), np.zeros(self.net.n_inputs, np.float32)
        bank = arrays.bank
        shares = 3 * bank.thresholds.size
        weights = array(self.head.weight[:, :shares].double().cpu())
        filters, depth, _, count = bank.thresholds.shape
        weights = weights.reshape(-1, filters, depth, 2, 3, count)
        parts = outputs.new_zeros(*x.shape[:2], len(weights))
        for row, n in enumerate(counts):
            filled = arrays.filled(as_channels(x[row, :n]), zero)
            split = torch.from_numpy(split_over_steps(filled, bank, weights)).to(parts.device)
            parts[row, :n] = split + (outputs[row] - split.sum(0)) / n
        return parts

    @torch.no_grad()
    def scale_evidence(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return how much each coefficient series speaks for or against a weighted sum of the outputs.

        Args:
            x: (B, L, d_input), whole sequences.
            weights: (d_output,) of the outputs.

        Returns:
            (B, 2, J) float64: sum over the filters of `|sum of weight * (feature - centre)|`, of b_j (index 0) and a_j.
        """
        parts = (weights.to(self.head.weight.device, torch.float64) @ self.head.weight.double()) * (
            self.net(x) - self.centre
        ).double()
        filters, depth, _, count = self.net.thresholds.shape
        shares = parts[:, : 3 * self.net.thresholds.numel()].reshape(len(x), filters, depth, 2, 3 * count)
        return shares.sum(4).abs().sum(1).transpose(1, 2).flip(1)

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return self._outputs(self.net(x, lengths))

    def _outputs(self, features: Tensor) -> Tensor:
        return self.target_standardise.undo(self.head(features - self.centre))
