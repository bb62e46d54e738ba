"""`RidgeChunks`: a model of untrained features as a function of a chunk and a state of three tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv.export.float_pairs import as_pair, of_pair
from multiresconv.layers.missing import hold_last
from multiresconv.models import MultiresRidge
from multiresconv.ops.shares import STATISTICS


class RidgeChunks(nn.Module):
    """x (B, n, d_input) and a state -> the outputs (B, n, d_output) after each step of x, and the state after it.

    The features are shares, so sums over the steps, and the head is linear: only its sums are kept per step of a chunk.
    The state before the first step is zeros. It is, batch first:

    - "lines" float32: of each filter the delay lines of the scales, oldest step first, and the coefficients of the step
      before; then the last good value of each channel, in standard deviations.
    - "totals": the counts of `multiresconv.ops.shares.Counts` and of the missing values if their shares
      are features, each as two float32 numbers that add up to it; exact up to 2^48.
    - "position" int32: the steps so far, at most 2^31 - 1.

    Args:
        model: the model, in eval mode and float32.
    """

    names = ("lines", "totals", "position")
    weights: Tensor
    of_missing: Tensor
    constant: Tensor

    def __init__(self, model: MultiresRidge) -> None:
        super().__init__()
        self.model = model
        filters, depth, _, count = model.net.thresholds.shape
        self._sizes = [(model.net.h0.shape[1] - 1) * 2**j for j in range(depth)]
        n_shares = 3 * model.net.thresholds.numel()
        weight = model.head.weight.detach()
        of_shares = weight[:, :n_shares].unflatten(1, (filters, depth, 2, len(STATISTICS), count))
        self.register_buffer("weights", of_shares.movedim(4, 0).flatten(2))  # (3, d_output, F * J * 2 * T)
        self.register_buffer("of_missing", weight[:, n_shares:])  # (d_output, C) or (d_output, 0)
        self.register_buffer("constant", model.head.bias.double() - weight.double() @ model.centre.double())

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        net, (lines, totals, position) = self.model.net, state
        delays, before, last = self._unpacked(lines)
        filled = hold_last((x - net.standardise.mean) / net.standardise.std, last[:, None])
        coefficients, delays = self._coefficients(net.mix @ filled.mT, delays)
        steps = position[:, None] + torch.arange(1, x.shape[1] + 1)
        counts = self._counts(coefficients, before, steps, position > 0)
        if net.mask_missing:
            counts.append(x.isnan().mT)
        past = of_pair(totals)
        after = (
            torch.cat([delays.flatten(1), coefficients[..., -1].flatten(1), filled[:, -1]], 1),
            as_pair(past + torch.cat([count.double().sum(-1) for count in counts], 1)),
            position + x.shape[1],
        )
        return self._outputs(counts, past, steps), *after

    def example(self, length: int) -> tuple[Tensor, ...]:
        """Return a chunk of two sequences of `length` steps, and the state before the first step."""
        filters, depth, _, _ = self.model.net.thresholds.shape
        channels = self.model.input.size
        return (
            torch.zeros(2, length, channels),
            torch.zeros(2, filters * (sum(self._sizes) + 2 * depth) + channels),
            torch.zeros(2, 2, self.model.net.n_features),
            torch.zeros(2, dtype=torch.int32),
        )

    def _unpacked(self, lines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return delay lines (B, F, S), coefficients of the step before (B, F, J, 2) and last values (B, C)."""
        filters, depth, _, _ = self.model.net.thresholds.shape
        delays, before, last = lines.split([filters * sum(self._sizes), filters * 2 * depth, self.model.input.size], 1)
        return delays.unflatten(1, (filters, -1)), before.unflatten(1, (filters, depth, 2)), last

    def _coefficients(self, a: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients (B, F, J, 2, n) of the inputs a (B, F, n) of the filters, and the delay lines."""
        net, series, later = self.model.net, [], []
        for j, old in enumerate(past.split(self._sizes, dim=2)):
            line = torch.cat([old, a], dim=2)
            later.append(line[:, :, -self._sizes[j] :])
            a, b = (F.conv1d(line, taps[:, None], dilation=2**j, groups=len(taps)) for taps in (net.h0, net.h1))
            series += [a, b]
        return torch.stack(series, 2).unflatten(2, (-1, 2)), torch.cat(later, 2)

    def _counts(self, coefficients: Tensor, before: Tensor, steps: Tensor, begun: Tensor) -> list[Tensor]:
        """Return what each step adds to the steps above, the rises and the late sums, each (B, F * J * 2 * T, n)."""
        thresholds = self.model.net.thresholds
        above = (coefficients[..., None, :] > thresholds[..., None]).flatten(1, 4)
        was_above = ((before[..., None] > thresholds) & begun.view(-1, 1, 1, 1, 1)).flatten(1)
        rises = above & ~torch.cat([was_above[..., None], above[..., :-1]], -1)
        return [above, rises, above * steps[:, None]]

    def _outputs(self, counts: list[Tensor], past: Tensor, steps: Tensor) -> Tensor:
        """Return the outputs (B, n, d_output) after each step, given the totals (B, M) before the chunk."""
        k = steps.double()[:, None]
        totals = past.split([count.shape[1] for count in counts], 1)
        weights, wholes = (*self.weights, self.of_missing), (k, k, 0.5 * k * (k + 1), k)
        y = self.constant[:, None]
        for count, total, weight, whole in zip(
            counts, totals, weights, wholes, strict=False
        ):  # missing may be no count
            sums = weight.double() @ total[..., None] + (weight @ count.float()).double().cumsum(-1)
            y = y + sums / whole
        return self.model.target_standardise.undo(y.mT.float())
