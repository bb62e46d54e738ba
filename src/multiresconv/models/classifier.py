"""`MultiresClassifier`: maps a sequence to logits of classes or labels."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from multiresconv.layers import check_lengths, refuse_lengths, valid_steps
from multiresconv.layers.lengths import Lengths
from multiresconv.layers.stream import StreamParts
from multiresconv.models.description import Output, numbers
from multiresconv.models.pooled import PooledModel


class MultiresClassifier(PooledModel):
    """A `MultiresNet`, pooling over the valid steps, and a linear map to logits: (B, L, ...) -> (B, d_output).

    Args:
        d_output: number of classes or labels.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input. Give exactly one of d_input and n_tokens.
        n_tokens: size of the vocabulary of token input.
        pooling: "mean" or "max" over the valid steps, or the "last" valid step.
        input: description of the input; default a signal with unnamed channels, or tokens named by their numbers.
        output: description of the output; default classes named by their numbers.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            bidirectional, dropout, norm, norm_first, mask_missing.

    Example:
        >>> model = MultiresClassifier(10, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 10])
    """

    def contributions(self, x: Tensor, lengths: Lengths | None = None, *, chunk: int | None = None) -> Tensor:
        """Split the logits over the time steps; the sum over the steps is the logits.

        This is exact because the head is linear. Let f[n] be the features of step n, W and b the head's weight and
        bias, and N the number of valid steps. A valid step contributes::

            pooling "mean":  c[n] = (W f[n] + b) / N
            pooling "max":   c[n] = sum_{d in D[n]} W[:, d] * f[n, d] + b / N

        D[n] holds the channels whose maximum over time is at step n, at the first such step on ties. The features of a
        causal net summarise the steps so far: a contribution stands where the net has heard enough, often somewhat
        later than its cause.

        Args:
            x: (B, L, d_input) or tokens (B, L), as in `forward`.
            lengths: (B,) valid steps of each sequence, as in `forward`.
            chunk: number of steps to compute at once, so that the features of a long sequence need not fit in memory;
                None computes all at once. For causal models in eval mode only, and not together with lengths.

        Returns:
            (B, L, d_output), 0 at padded steps.

        Raises:
            ValueError: the pooling is "last", which leaves nothing to split; `chunk` is below 1 or comes with lengths.
            TypeError: the head was replaced by a module that is not an `nn.Linear`.
            RuntimeError: `chunk` is given for a bidirectional model.
        """
        if self.pooling == "last":
            raise ValueError(
                "pooling: the last step gives the logits alone; "
                "multiresconv.inspection.attribution.integrated_gradients splits them over the input"
            )
        if not isinstance(self.head, nn.Linear):
            raise TypeError(f"head: expected a Linear, a {type(self.head).__name__} cannot be split over the steps")
        self._check(x, time=("length >= 1",))
        length = x.shape[1]
        features = self._features(x, lengths, chunk)
        counts = torch.full((x.shape[0],), length) if lengths is None else check_lengths(lengths, x)
        counts = counts.to(self.head.weight.device)
        if self.pooling == "mean":
            parts = torch.cat([self.head(part) for part in features], 1) / counts[:, None, None]
        else:
            values, steps = _first_maxima(features, counts)
            parts = self.head.weight.new_zeros(x.shape[0], length, self.head.out_features)
            if self.head.bias is not None:
                parts = parts + self.head.bias / counts[:, None, None]
            places = steps[:, :, None].expand(-1, -1, parts.shape[2])
            parts = parts.scatter_add(1, places, (values[:, :, None] * self.head.weight.mT).to(parts.dtype))
        return parts if lengths is None else parts.where(valid_steps(counts, length), 0)

    def _features(self, x: Tensor, lengths: Lengths | None, chunk: int | None) -> Iterator[Tensor]:
        """Yield the features (B, n, d_model) of consecutive parts of x; without `chunk`, of the whole."""
        if chunk is None:
            yield self.net(x, lengths)
            return
        refuse_lengths(lengths)
        if chunk < 1:
            raise ValueError(f"chunk: expected at least 1, got {chunk}")
        state = self.net.init_state(x.shape[0])
        for part in x.split(chunk, dim=1):
            features, state = self.net(part, state=state)
            yield features

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresClassifier:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        return parts

    @staticmethod
    def _usual_output(d_output: int) -> Output:
        return Output("class", numbers(d_output))


def _first_maxima(parts: Iterator[Tensor], counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each channel over the first counts (B,) steps, and its first step, both (B, D).

    `parts` are consecutive features (B, n, D).
    """
    start, values, steps = 0, torch.empty(0), torch.empty(0)
    for part in parts:
        valid = valid_steps(counts - start, part.shape[1])
        largest, at = part.where(valid, -torch.inf).max(1)
        if start == 0:
            values, steps = largest, at
        else:
            better = largest > values
            values, steps = torch.where(better, largest, values), torch.where(better, at + start, steps)
        start += part.shape[1]
    return values, steps
