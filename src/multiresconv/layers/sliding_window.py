"""`SlidingWindow`: a stream whose outputs are those of the last steps only."""

from collections.abc import Sequence
from operator import index

import torch
from torch import Tensor

from multiresconv.layers.stream import Streamable, checked_rows


class SlidingWindow:
    """A batch of sequences that a causal module runs over, forgetting all but the last steps; for inference only.

    A new stream of the module begins every `hop` steps. The output after a step is that of the oldest stream that has
    begun at most `window` steps ago, so it equals `module` of the last ``window - hop + 1`` to `window` steps, or of
    all steps while they are fewer; `hop` 1 makes it the last `window` steps exactly. The cost of a step is that of a
    batch of ``ceil(window / hop)`` sequences.

    Args:
        module: a layer, block, net or model that can stream.
        window: most steps that an output depends on.
        hop: steps from one beginning to the next, 1..window; default a quarter of the window, rounded up.
        batch_size: number of sequences.

    Raises:
        ValueError: window, hop or batch_size is out of range.
        RuntimeError: the module cannot stream, see `Stream`.

    Example:
        >>> from multiresconv import MultiresClassifier
        >>> model = MultiresClassifier(3, d_model=8, n_layers=1, d_input=2, max_length=64).eval()
        >>> window = SlidingWindow(model, 8, hop=1)
        >>> x = torch.randn(1, 20, 2)
        >>> torch.allclose(window(x)[:, -1], model(x[:, -8:]), atol=1e-5)
        True
    """

    def __init__(self, module: Streamable, window: int, hop: int | None = None, batch_size: int = 1) -> None:
        self.window, self.hop = window_and_hop(window, hop)
        if index(batch_size) < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.batch_size = index(batch_size)
        self._starts = -(-self.window // self.hop)  # streams of each sequence
        self._stream = module.stream(self.batch_size * self._starts)
        self._step_dims = 1 if module.takes_tokens else 2
        self._positions = torch.zeros(self.batch_size, dtype=torch.int64, device="cpu")

    def __call__(self, x: Tensor, rows: Sequence[int] | Tensor | None = None) -> Tensor:
        """Advance by one step or by a chunk of steps; arguments, outputs and errors are those of `Stream`.

        Args:
            x: one step (B, d_input) or (B,) tokens, or a chunk (B, L, d_input) or (B, L) tokens.
            rows: indices of the sequences to advance; default all. x then has one row for each index.
        """
        if x.ndim == self._step_dims:
            return self(x.unsqueeze(1), rows).squeeze(1)
        chosen = checked_rows(rows, self.batch_size)
        if len(x) != len(chosen):
            raise ValueError(f"x: expected a row for each of {len(chosen)} sequences, got shape {tuple(x.shape)}")
        cycle, begun = self._starts * self.hop, self._positions[chosen]
        phases = begun.where(begun < cycle, cycle + begun % cycle)
        outputs = [
            (same, self._advance(x[same.to(x.device)], chosen[same]))
            for same in ((phases == phase).nonzero().squeeze(1) for phase in phases.unique())
        ]
        if not outputs:
            return self._stream(x, [])
        y = outputs[0][1].new_empty(len(x), *outputs[0][1].shape[1:])
        for same, part in outputs:
            y[same.to(y.device)] = part
        return y

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Restart the sequences with the indices `rows`, by default all."""
        chosen = checked_rows(rows, self.batch_size)
        self._positions[chosen] = 0

    def _advance(self, x: Tensor, chosen: Tensor) -> Tensor:
        """Advance sequences whose streams begin at the same steps, by a chunk; return its outputs (n, L, ...)."""
        first = chosen * self._starts
        streams = (first[:, None] + torch.arange(self._starts, device="cpu")).flatten()
        position, outputs = int(self._positions[chosen[0]]), []
        while not outputs or x.shape[1]:
            number, since = divmod(position, self.hop)
            if since == 0:
                self._stream.reset(first + number % self._starts)
            part, x = x[:, : self.hop - since], x[:, self.hop - since :]
            steps = torch.arange(position, position + part.shape[1], device="cpu")
            oldest = -((self.window - 1 - steps).clamp(max=0) // self.hop) % self._starts
            y = self._stream(part.repeat_interleave(self._starts, 0), streams)
            y = y.unflatten(0, (len(chosen), self._starts))
            outputs.append(y[:, oldest.to(y.device), torch.arange(len(steps), device=y.device)])
            position += len(steps)
        self._positions[chosen] = position
        return torch.cat(outputs, 1)


def window_and_hop(window: int, hop: int | None) -> tuple[int, int]:
    """Check a window and a hop; the default hop is a quarter of the window, rounded up.

    Raises:
        ValueError: window below 1, or hop not in 1..window.
    """
    window = index(window)
    if window < 1:
        raise ValueError(f"window: expected at least 1 step, got {window}")
    hop = -(-window // 4) if hop is None else index(hop)
    if not 1 <= hop <= window:
        raise ValueError(f"hop: expected 1 to {window} steps, the window, got {hop}")
    return window, hop
