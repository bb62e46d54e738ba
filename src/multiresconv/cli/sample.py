"""`multiresconv sample MODEL`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of


def sample(
    model: Path,
    n: int | None = None,
    complete: Path | None = None,
    rows: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Draw images from a density model: a PNG grid, and the pixels as an .npy array.

    Args:
        model: a model folder, or a run directory, whose best model is taken.
        n: how many images; with --complete, how many of each given image. Default 16, and 1 with --complete.
        complete: images (PNG, .npy, .csv) of which the upper rows are kept and the rest is drawn.
        rows: how many upper rows of those are kept; default half of them.
        temperature: below 1 draws likelier images, above 1 less likely ones.
        seed: of the draws; the same seed gives the same images.
        out: path of the grid, OUT.png, beside which OUT.npy goes; default samples.png in MODEL, or
            completed.png.
        device: where to compute.
    """
    from multiresconv.devices import choose_device
    from multiresconv.runs.sample import write_samples

    path = write_samples(
        model_of(model, choose_device(device)),
        n=n,
        complete=complete,
        rows=rows,
        temperature=temperature,
        seed=seed,
        out=out or model / ("samples.png" if complete is None else "completed.png"),
    )
    print(f"{path}, {path.with_suffix('.npy')}")
    return 0
