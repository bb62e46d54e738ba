"""Models that were saved in format 1: what their folder lacks comes from their run."""

from collections.abc import Mapping
from typing import Any

from multiresconv.models import Output, SequenceModel
from multiresconv.tasks import Task
from multiresconv.tasks.ptbxl import PTBXL_INPUT


def complete(model: SequenceModel, task: Task, about: Mapping[str, Any]) -> None:
    """Give a model of format 1 its description and its standardisation, in place.

    Args:
        model: as `load` gave it.
        task: of the run.
        about: what run.json says. Of PTB-XL it has the classes and the standardiser, which were learned of the data.
    """
    data = about.get("data", {})
    if {"classes", "standardiser"} <= data.keys() and model.net.standardise is not None:
        model.input, model.output = PTBXL_INPUT, Output("labels", tuple(data["classes"]))
        model.net.standardise.set(**data["standardiser"])
        return
    fresh = task.build()
    model.input, model.output = fresh.input, fresh.output
    if model.net.standardise is not None:
        model.net.standardise.load_state_dict(fresh.net.standardise.state_dict())
