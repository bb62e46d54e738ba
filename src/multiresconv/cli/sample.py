"""`multiresconv sample RUN`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import restore
from multiresconv.runs.directory import RunDirectory


def sample(
    run: Path,
    n: int | None = None,
    complete: Path | None = None,
    rows: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Draw images from the best model of an autoregressive run: a PNG grid, and the pixels as an .npy array.

    Args:
        run: the run directory.
        n: how many images; with --complete, how many of each given image. Default 16, and 1 with --complete.
        complete: images (PNG, .npy, .csv) of which the upper rows are kept and the rest is drawn.
        rows: how many upper rows of those are kept; default half of them.
        temperature: below 1 draws likelier images, above 1 less likely ones.
        seed: of the draws; the same seed gives the same images.
        out: path of the grid, OUT.png, beside which OUT.npy goes; default samples.png in the run, or completed.png.
        device: where to compute.
    """
    from multiresconv.devices import choose_device
    from multiresconv.runs.sample import sample_run

    directory = RunDirectory(run)
    task, _ = restore(directory)
    path = sample_run(
        task,
        directory,
        n=n,
        complete=complete,
        rows=rows,
        temperature=temperature,
        seed=seed,
        out=out or directory.path / ("samples.png" if complete is None else "completed.png"),
        device=choose_device(device),
    )
    print(f"{path}, {path.with_suffix('.npy')}")
    return 0
