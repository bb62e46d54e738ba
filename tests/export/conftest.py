"""Exported folders for several files of tests and several workers, because an export takes seconds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from filelock import FileLock
from small_models import SIGNAL, classifier

from multiresconv import MultiresAR, MultiresForecaster, save
from multiresconv.cli import main
from multiresconv.models import Input

LARGEST_CHUNK = 500
LARGEST_CHUNK_OF_PIXELS = 4
QUANTILES = (0.1, 0.5, 0.9)


class Folders(NamedTuple):
    """The folder of a model, and the one exported from it in chunks."""

    model: Path
    exported: Path


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Folders:
    """Return the folders that `make` writes, which the workers of a run share."""
    pytest.importorskip("onnxscript", reason="needs the extra: multiresconv[export]")
    of_run = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    folder, part = of_run / name, of_run / f"{name}.part"
    with FileLock(of_run / f"{name}.lock"):
        if not folder.exists():
            make(part)
            part.rename(folder)
    return Folders(folder / "model", folder / "new")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A classifier of signals, in chunks of at most LARGEST_CHUNK steps, exported by the command."""

    def make(folder: Path) -> None:
        save(classifier(SIGNAL, depth=None, kernel_size=3, memory=(3, 2), norm="batch"), folder / "model")
        arguments = ["export", str(folder / "model"), "--to", "onnx", str(folder / "new")]
        assert main([*arguments, "--chunk", str(LARGEST_CHUNK)]) == 0

    return made_once(tmp_path_factory, "classifier", make)


@pytest.fixture(scope="session")
def density(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A density model of pixels in an order of their own, in chunks of at most LARGEST_CHUNK_OF_PIXELS."""

    def make(folder: Path) -> None:
        from exported import randomised

        from multiresconv.export import export_folder

        torch.manual_seed(2)
        input = Input("image", ("red", "green", "blue"), side=3, order=(8, 0, 1, 2, 3, 4, 5, 6, 7))
        model = randomised(MultiresAR(4, 1, n_mixtures=2, depth=2, input=input))
        save(model, folder / "model")
        export_folder(model, folder / "new", LARGEST_CHUNK_OF_PIXELS)

    return made_once(tmp_path_factory, "density", make)


@pytest.fixture(scope="session")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A forecaster that takes missing values, in chunks of at most LARGEST_CHUNK steps."""

    def make(folder: Path) -> None:
        from exported import randomised

        from multiresconv.export import export_folder

        torch.manual_seed(1)
        options = {"season": 2, "depth": 2, "mask_missing": True}
        input = Input("signal", ("a", "b"), missing="mask")
        model = randomised(MultiresForecaster(3, 4, 1, d_input=2, quantiles=QUANTILES, input=input, **options))
        save(model, folder / "model")
        export_folder(model, folder / "new", LARGEST_CHUNK)

    return made_once(tmp_path_factory, "forecaster", make)
