"""`MultiresRegressor`: maps a sequence to one or several values."""

from typing import Any

from torch import Tensor

from multiresconv.layers import Standardise
from multiresconv.layers.lengths import Lengths, to_lengths
from multiresconv.layers.stream import StreamParts
from multiresconv.models.description import Output, numbered
from multiresconv.models.pooled import PooledModel


class MultiresRegressor(PooledModel):
    """A `MultiresNet`, pooling over the valid steps, and a linear map to values: (B, L, ...) -> (B, d_output).

    The linear map gives targets of mean 0 and standard deviation 1. `target_standardise` holds the mean and standard
    deviation of the targets of the training rows, so the outputs have the targets' own units. Set it by
    `model.target_standardise.set(mean, std)`. A loss in standardised units compares `model.standardised(x)` with
    `model.target_standardise(targets)`.

    Args:
        d_output: number of values.
        output: description of the output, with names and units of the values; default values named by their numbers.
        d_model, n_layers, d_input, n_tokens, pooling, input, backend, `**options`: see `MultiresClassifier`.

    Example:
        >>> model = MultiresRegressor(2, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model.target_standardise.set(torch.tensor([36.8, 70.0]), torch.tensor([0.5, 12.0]))
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 2])
    """

    def __init__(self, d_output: int, d_model: int, n_layers: int, **options: Any) -> None:
        super().__init__(d_output, d_model, n_layers, **options)
        like = self.head.weight
        self.target_standardise = Standardise(len(like), device=like.device, dtype=like.dtype)

    def standardised(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Return the outputs (B, d_output) of whole sequences in standard deviations from the mean of the targets."""
        self._check(x, time=("length >= 1",))
        return self.head(self._pooled(x, None if lengths is None else to_lengths(lengths)))

    def from_pooled(self, pooled: Tensor) -> Tensor:
        return self.target_standardise.undo(self.head(pooled))

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresRegressor:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        scale = self.target_standardise
        if type(scale) is not Standardise:
            return f"target_standardise is a {type(scale).__name__}"
        return parts._replace(finish=lambda y, *_: scale.undo(y), watched=(scale.mean, scale.std))

    @staticmethod
    def _usual_output(d_output: int) -> Output:
        return Output("value", numbered("value", d_output))
