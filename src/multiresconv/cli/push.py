"""`multiresconv push MODEL REPOSITORY`."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from multiresconv.cli.tasks import model_of, restore
from multiresconv.hub import FILES_OF_A_MODEL, PREFIX, is_on_hub, upload
from multiresconv.runs.directory import RunDirectory


def push(
    model: Path,
    repository: str,
    private: bool = False,
    revision: str | None = None,
    license: str | None = None,
    task: str | None = None,
) -> int:
    """Put a model on a hub: its files, and a card that says what is known of its data and scores.

    Args:
        model: a model folder; or a run directory, whose best model is put there and whose data and scores the card
            states.
        repository: owner/name; it is created if need be.
        private: create the repository as a private one.
        revision: the branch, created if need be; default main.
        license: identifier of the licence of the model, such as mit; default none, and the card says so.
        task: FILE.py:CLASS of a task of your own; a run alone never makes this command run a file.
    """
    from importlib.metadata import version

    from torch import device

    from multiresconv.models import SequenceModel, save
    from multiresconv.runs.card import model_card, read_run

    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", license):
        raise ValueError(f"license: expected an identifier such as mit or cc-by-4.0, got {license!r}")
    trained = model_of(model, device("cpu"))
    if not isinstance(trained, SequenceModel):
        raise ValueError(f"{model}: expected a model that gives predictions, got a {type(trained).__name__}")
    directory = RunDirectory(model)
    run = None
    if not is_on_hub(model) and directory.about.is_file():
        built, _ = restore(directory)
        run = read_run(built, directory)
    repository = repository.removeprefix(PREFIX)
    with TemporaryDirectory() as folder:
        save(trained, folder)  # checked, and of the newest format
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    for name in FILES_OF_A_MODEL:
        if name not in files and (model / name).is_file():
            files[name] = (model / name).read_bytes()
    files["README.md"] = model_card(trained, repository, licence=license, run=run).encode()
    message = f"{type(trained).__name__} of multiresconv {version('multiresconv')}"
    print(upload(files, repository, private=private, revision=revision, message=message))
    return 0
