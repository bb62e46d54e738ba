"""Tasks of the user's own, in a file outside the package: `FILE.py:CLASS` on the command line."""

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiresconv.cli.tasks import TASKS
from multiresconv.fields import shown

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_METHODS = ("prepare", "decided", "fingerprint", "open", "open_file", "collate", "build", "run", "scores", "report")
_METHODS += ("table", "figures", "examples")


def with_own_task(arguments: Sequence[str]) -> list[str]:
    """Replace `FILE.py:CLASS` behind `train` and `--task` by the name of its task, which joins `TASKS`.

    The file is run only because the user names it: a run directory alone never makes this program run a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file has no such class, or the class is no task.
    """
    given = list(arguments)
    if len(given) > 1 and given[0] == "train" and ".py:" in given[1]:
        given[1] = add_own_task(given[1])
    elif given and given[0] in ("evaluate", "report", "push"):
        for place, argument in enumerate(given[1:], start=1):
            option, equals, value = argument.partition("=")
            if option == "--task" and ".py:" in (value or "".join(given[place + 1 : place + 2])):
                if equals:
                    given[place] = f"--task={add_own_task(value)}"
                else:
                    given[place + 1] = add_own_task(given[place + 1])
    return given


def add_own_task(reference: str) -> str:
    """Load the class that `FILE.py:CLASS` names, add it to `TASKS` and return the name of its task."""
    file, _, name = reference.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the Python file of a task, FILE.py:CLASS")
    kind: Any = getattr(_module(path), name, None)
    if not isinstance(kind, type):
        raise ValueError(f"{path}: expected a class {name}, there is none")
    task = getattr(kind, "name", None)
    if not isinstance(task, str) or not _NAME.fullmatch(task):
        raise ValueError(f"{path}: {name}: name: expected a text of a-z, 0-9 and -, got {shown(task)}")
    if task in TASKS and TASKS[task] is not kind:
        raise ValueError(f"{path}: {name}: name: {task} is a task of this package; choose another")
    missing = [method for method in _METHODS if not callable(getattr(kind, method, None))]
    if missing:
        raise ValueError(
            f"{path}: {name}: expected the methods of multiresconv.tasks.Task; missing: {', '.join(missing)}"
        )
    TASKS[task] = kind
    REFERENCES[task] = reference
    return task


REFERENCES: dict[str, str] = {}  # name of an own task -> how the user named it


def _module(path: Path) -> Any:
    """Run the file as a module, once."""
    name = f"multiresconv_own_task_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path.resolve()):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
