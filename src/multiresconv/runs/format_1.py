"""Complete models saved in format 1: their description comes from the run, since their folder lacks it."""

from collections.abc import Mapping
from typing import Any

from multiresconv.models import Output, SequenceModel
from multiresconv.tasks import Task
from multiresconv.tasks.ptbxl import PTBXL_INPUT


def complete(model: SequenceModel, task: Task, about: Mapping[str, Any]) -> None:
    """Add the description of input and output and the standardisation to a model of format 1, in place.

    Args:
        model: the model, as returned by `load`.
        task: the task of the run.
        about: content of run.json; for PTB-XL it has the classes and the standardiser, computed from the data.
    """
    data = about.get("data", {})
    if {"classes", "standardiser"} <= data.keys() and model.net.standardise is not None:
        if len(data["classes"]) != model.head.out_features:
            raise ValueError(f"data: classes: expected {model.head.out_features} names, got {len(data['classes'])}")
        model.input, model.output = PTBXL_INPUT, Output("labels", tuple(data["classes"]))
        model.net.standardise.set(**data["standardiser"])
        return
    fresh = task.build()
    model.input, model.output = fresh.input, fresh.output
    if model.net.standardise is not None:
        model.net.standardise.load_state_dict(fresh.net.standardise.state_dict())
