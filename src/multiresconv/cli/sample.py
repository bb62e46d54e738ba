"""`multiresconv sample MODEL`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of
from multiresconv.hub import is_on_hub


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
    """Draw images from a density model: write a PNG grid, and the pixels as an .npy array.

    Args:
        model: a model folder, a run directory to load its best model from, or hub:owner/name[@revision].
        n: number of images, default 16; with --complete, number of completions of each image, default 1.
        complete: file of images (PNG, .npy, .csv) whose upper rows are kept and whose other rows are drawn.
        rows: number of upper rows to keep; default half of them.
        temperature: below 1 draws likelier images, above 1 less likely ones.
        seed: seed of the draws; the same seed gives the same images.
        out: path of the grid, OUT.png; the pixels go to OUT.npy. Default MODEL/samples.png, or MODEL/completed.png
            with --complete; for a model of a hub in this folder.
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
        out=out or (Path() if is_on_hub(model) else model) / ("samples.png" if complete is None else "completed.png"),
    )
    print(f"{path}, {path.with_suffix('.npy')}")
    return 0
