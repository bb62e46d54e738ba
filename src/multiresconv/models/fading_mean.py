"""`FadingMean`: a model of mean pooling that forgets while it streams."""

import math

import torch
from torch import Tensor

from multiresconv.layers.stream import Streamable, StreamParts
from multiresconv.models.pooled import PooledModel
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import State
from multiresconv.ops.streaming import check_state_names, check_state_tensor

BLOCK = 256  # steps whose weights are computed together


class FadingMean(Streamable):
    """Streams a model of mean pooling with weights that halve every `half_life` steps: (B, L, ...) -> (B, L, d_output).

    With r = 2^(-1 / half_life) and f[i] the features of step i, the outputs after step n are those for the pooled
    features ::

        sum_{i <= n} r^(n - i) f[i] / sum_{i <= n} r^(n - i)

    An infinite half-life would be the model itself. The features keep their own memory of the steps before; only the
    mean over them forgets. Parameters are those of `model`, which is not copied.

    Args:
        model: a classifier or regressor with pooling "mean".
        half_life: steps after which a step counts half.

    Raises:
        ValueError: the model has no mean over the steps: its pooling is another, or it pools nothing, as a forecaster
            or ridge regression. half_life is not a finite number above 0.

    Example:
        >>> from multiresconv import MultiresClassifier
        >>> model = MultiresClassifier(3, d_model=8, n_layers=1, d_input=2, max_length=64).eval()
        >>> FadingMean(model, half_life=20).stream()(torch.randn(1, 100, 2)).shape
        torch.Size([1, 100, 3])
    """

    def __init__(self, model: SequenceModel, half_life: float) -> None:
        super().__init__()
        if not isinstance(model, PooledModel) or model.pooling != "mean":
            got = f"pooling {model.pooling}" if isinstance(model, PooledModel) else f"a {type(model).__name__}"
            raise ValueError(f"half_life: expected a model that takes the mean over the steps, got {got}; use a window")
        if not (math.isfinite(half_life) and half_life > 0):
            raise ValueError(f"half_life: expected a number of steps above 0, got {half_life}")
        self.model = model
        self.half_life = float(half_life)

    @property
    def takes_tokens(self) -> bool:
        return self.model.takes_tokens

    def check_step(self, x: Tensor) -> None:
        self.model.check_step(x)

    def init_state(self, batch_size: int) -> State:
        """Return the state of the net, and "faded", the weighted sum (batch_size, d_output) of outputs in float64."""
        head = self.model.head
        faded = torch.zeros(batch_size, head.out_features, dtype=torch.float64, device=head.weight.device)
        return {**self.model.net.init_state(batch_size), "faded": faded}

    def stream_parts(self) -> StreamParts | str:
        parts = self.model.stream_parts()
        if isinstance(parts, str):
            return f"model: {parts}"
        finish = parts.finish

        def fade(y: Tensor, x: Tensor, state: State, rows: Tensor) -> Tensor:
            y = y if finish is None else finish(y, x, state, rows)
            steps = y if y.ndim == 3 else y.unsqueeze(1)
            before = state["position"][rows] - steps.shape[1]
            faded, state["faded"][rows] = self._fade(steps, state["faded"][rows], before)
            return faded if y.ndim == 3 else faded.squeeze(1)

        # The mean is over outputs instead of features, which is the same because the head is linear.
        tensors = parts.tensors._replace(pooling="last")
        return parts._replace(tensors=tensors, pooled=None, finish=fade)

    def forward(self, x: Tensor, lengths: None = None, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Return the outputs (B, L, d_output) after each step of x, and the state after it.

        Args:
            x: (B, L, d_input) or (B, L) tokens, the next steps.
            lengths: must be None.
            state: from `init_state`, a step or a chunk; not modified. None begins at the first step and returns the
                outputs after the last one, (B, d_output), alone.

        Raises:
            ValueError: input or state do not fit, or lengths are given.
        """
        if lengths is not None:
            raise ValueError("lengths: expected None; give rows of different lengths one at a time, or to a stream")
        before = self.init_state(len(x)) if state is None else state
        check_state_names(before, "lines", "position", "faded")
        like = self.init_state(1)["faded"]
        check_state_tensor("faded", before["faded"], (len(before["lines"]), like.shape[1]), like.dtype, like.device)
        features, after = self.model.net(x, state={name: before[name] for name in ("lines", "position")})
        y, faded = self._fade(self.model.from_pooled(features), before["faded"], before["position"])
        return y[:, -1] if state is None else (y, {**after, "faded": faded})

    def _fade(self, y: Tensor, faded: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted means (B, L, P) of y (B, L, P) and of the `position` (B,) steps before, and their sum."""
        rate = math.log(2) / self.half_life
        means = []
        for start in range(0, y.shape[1], BLOCK):
            part = y[:, start : start + BLOCK].double()
            ages = torch.arange(part.shape[1] + 1, dtype=torch.float64, device=y.device)
            weights = torch.exp(-rate * (ages[1:, None] - ages[1:])).tril()
            sums = weights @ part + torch.exp(-rate * ages[1:, None]) * faded[:, None]
            counts = position[:, None, None] + start + ages[1:, None]
            means.append(sums * (math.expm1(-rate) / torch.expm1(-rate * counts)))
            faded = sums[:, -1]
        return torch.cat(means, 1).to(y.dtype), faded
