"""The settings shared by all cells of a speed table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Size of the problem, device, and length of the measurement.

    Attributes:
        d_model: width of the layers.
        batch_size: batch size of training step and inference.
        device: "cpu" or "cuda".
        threads: number of PyTorch threads.
        repeats: runs per cell; slow cells get fewer, at least 3.
        limit: seconds; cells that are expected to take longer per run are left out.
    """

    d_model: int = 128
    batch_size: int = 1
    device: str = "cpu"
    threads: int = 1
    repeats: int = 15
    limit: float = 60.0
