"""The content of run.json: what the results of a run depend on besides its options."""

import platform
from importlib.metadata import version
from typing import Any

import torch

from multiresconv.fields import (
    ANYTHING,
    COUNT,
    MAPPING,
    NUMBER,
    POSITION,
    TEXT,
    check_fields,
    either,
    list_of,
)
from multiresconv.tasks import Task

_FIELDS = {"versions": MAPPING, "data": MAPPING, "threads": POSITION}
_DATA = {"train": MAPPING, "val": MAPPING, "classes": list_of(TEXT), "standardiser": MAPPING}
_SPLIT = {"rows": POSITION, "checksum": either(COUNT, TEXT)}
_STANDARDISER = {"mean": either(NUMBER, list_of(NUMBER)), "std": either(NUMBER, list_of(NUMBER))}


def about(task: Task) -> dict[str, Any]:
    """Return the content of run.json for a new run."""
    versions = {name: version(name) for name in ("multiresconv", "torch", "lightning", "numpy")}
    decided = task.decided()
    return {
        "task": task.name,
        "versions": {"python": platform.python_version(), **versions},
        "threads": torch.get_num_threads(),
        "data": task.fingerprint(),
        **({"decided": decided} if decided else {}),
    }


def check_about(about: dict[str, Any], where: str) -> None:
    """Raise ValueError, beginning with `where`, if a field of run.json is missing or of another type.

    Fields of newer versions are allowed.
    """
    check_fields(about, {"task": TEXT}, where, optional=_FIELDS, others=ANYTHING)
    data = about.get("data", {})
    check_fields(data, {}, f"{where}: data", optional=_DATA, others=ANYTHING)
    for name in ("train", "val"):
        if name in data:
            check_fields(data[name], _SPLIT, f"{where}: data: {name}", others=ANYTHING)
    if "standardiser" in data:
        check_fields(data["standardiser"], _STANDARDISER, f"{where}: data: standardiser")


def other_threads(about: dict[str, Any]) -> str | None:
    """Return a remark if this process has another number of threads than the process that began the run."""
    begun, now = about.get("threads"), torch.get_num_threads()
    if begun in (None, now):
        return None
    return f"the run began with {begun} threads and goes on with {now}: its numbers will differ in the last digits"
