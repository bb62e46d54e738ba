"""Laws of cost that are linear in their coefficients, fitted to measured points."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Size:
    """What is computed: `blocks` blocks (or operators) on x (batch, length, width) with `depth` scales of K taps."""

    batch: int
    length: int
    width: int
    depth: int
    kernel_size: int = 2
    blocks: int = 1

    @property
    def numbers(self) -> int:
        """Numbers in x."""
        return self.batch * self.length * self.width


@dataclass(frozen=True)
class Law:
    """A sum of terms with unknown coefficients, each at least 0.

    Attributes:
        text: the law as a formula.
        terms: what each coefficient is multiplied by, by name.
    """

    text: str
    terms: Mapping[str, Callable[[Size], float]]

    def predict(self, coefficients: Mapping[str, float], size: Size) -> float:
        return sum(coefficients[name] * term(size) for name, term in self.terms.items())

    def fit(self, sizes: Sequence[Size], costs: Sequence[float]) -> dict[str, float]:
        """Return the coefficients with the least sum of squared relative errors.

        Raises:
            ValueError: fewer points than coefficients.
        """
        if len(sizes) < len(self.terms):
            raise ValueError(f"points: expected at least {len(self.terms)} for {self.text}, got {len(sizes)}")
        rows = np.array([[term(size) for term in self.terms.values()] for size in sizes], float)
        rows /= np.asarray(costs, float)[:, None]
        scale = np.linalg.norm(rows, axis=0)  # the terms differ by many orders of magnitude
        found, _ = nnls(rows / scale, np.ones(len(sizes)))
        return dict(zip(self.terms, (found / scale).tolist(), strict=True))


OPERATOR = Law(
    "a + b B L D J K",
    {"a": lambda of: 1.0, "b": lambda of: of.numbers * of.depth * of.kernel_size},
)
NETWORK = Law(
    "N (a + b B L D J K + c B L D D + d B L D)",
    {
        "a": lambda of: of.blocks,
        "b": lambda of: of.blocks * of.numbers * of.depth * of.kernel_size,
        "c": lambda of: of.blocks * of.numbers * of.width,
        "d": lambda of: of.blocks * of.numbers,
    },
)
MEMORY = Law("a + b N B L D", {"a": lambda of: 1.0, "b": lambda of: of.blocks * of.numbers})


def pipeline(blocks: int, processes: int) -> float:
    """Return the time of a split sequence as a share of one process's: (N + P - 1) / (N P).

    Process p begins a block when process p - 1 has finished it, so the last one waits for P - 1 blocks.
    """
    return (blocks + processes - 1) / (blocks * processes)
