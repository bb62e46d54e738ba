"""One exported folder for several files of tests, because an export takes seconds."""

from pathlib import Path
from typing import NamedTuple

import pytest
from small_models import SIGNAL, classifier

from multiresconv import save
from multiresconv.cli import main

LARGEST_CHUNK = 500


class Folders(NamedTuple):
    """The folder of a classifier of signals, and the one exported from it in chunks of at most LARGEST_CHUNK steps."""

    model: Path
    exported: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    pytest.importorskip("onnxscript", reason="needs the extra: multiresconv[export]")
    folder = tmp_path_factory.mktemp("chunks")
    save(classifier(SIGNAL, depth=None, kernel_size=3, memory=(3, 2), norm="batch"), folder / "model")
    arguments = ["export", str(folder / "model"), "--to", "onnx", str(folder / "new"), "--chunk", str(LARGEST_CHUNK)]
    assert main(arguments) == 0
    return Folders(folder / "model", folder / "new")
