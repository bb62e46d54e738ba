"""What all cells of a speed table share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Width, batch, "cpu" or "cuda", threads of PyTorch; and how long to measure.

    Attributes:
        repeats: runs of each cell; fewer, but not under 3, where they take long.
        limit: seconds; a cell one run of which is expected to take longer is left out.
    """

    d_model: int = 128
    batch_size: int = 1
    device: str = "cpu"
    threads: int = 1
    repeats: int = 15
    limit: float = 60.0
