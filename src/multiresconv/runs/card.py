"""`model_card`: the README of a model on a hub, written from what the model and its run say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from multiresconv.hub import PREFIX
from multiresconv.installation import how_to_install
from multiresconv.models import SequenceModel
from multiresconv.models.card import card, table
from multiresconv.models.description import InputKind, OutputKind
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.facts import data_facts, evaluations
from multiresconv.tasks import Task

# The hub's own names of tasks; it has none for classes, labels and values of signals.
_HUB_TASKS: dict[tuple[InputKind, OutputKind], str] = {
    ("signal", "forecast"): "time-series-forecasting",
    ("image", "class"): "image-classification",
    ("image", "density"): "unconditional-image-generation",
    ("tokens", "class"): "text-classification",
}


class Run(NamedTuple):
    """The run that a model comes from: name of the task, monitored score, facts of the data, and evaluations.

    Evaluations are (name, report, table): the name of the rows, the content of evaluation-NAME.json, and its table.
    """

    task: str
    monitor: str
    data: list[tuple[str, str]]
    evaluations: Sequence[tuple[str, Mapping[str, Any], str]]


def read_run(task: Task, directory: RunDirectory) -> Run:
    """Read what a card says of a run; raises ValueError if a file of the run is damaged."""
    reports = [(name, report, task.table(report)) for name, report in evaluations(directory)]
    return Run(task.name, task.monitor, data_facts(directory.read_about()), reports)


def model_card(model: SequenceModel, repository: str, *, licence: str | None, run: Run | None) -> str:
    """Return the card of a model in Markdown, with the YAML that a hub reads in front.

    Args:
        model: the model.
        repository: "owner/name".
        licence: identifier of a licence, such as "mit"; None states none.
        run: the run that the model comes from; None if it is not known.
    """
    sections = [
        ("Use", _use(model, repository)),
        ("Data", _data(run)),
        ("Scores", _scores(run)),
        ("What it is not for", _LIMITS),
        ("Licence", "Not stated: ask the owner before you use the model." if licence is None else licence),
    ]
    front = yaml.safe_dump(_front(model, repository, licence, run), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{card(model, repository, 'a model of multiresconv', sections)}"


_LIMITS = """\
Data that differ from those above: other sensors, units, rates, lengths, people or machines. The scores say nothing of
them. Where a wrong answer harms somebody, the model needs a test on the data of that very place first.
"""


def _front(model: SequenceModel, repository: str, licence: str | None, run: Run | None) -> dict[str, Any]:
    task = _HUB_TASKS.get((model.input.kind, model.output.kind))
    front: dict[str, Any] = {"library_name": "multiresconv"}
    if licence is not None:
        front["license"] = licence
    if task is not None:
        front["pipeline_tag"] = task
    front["tags"] = ["multiresconv", model.input.kind, model.output.kind]
    kind = task or f"{model.input.kind}-{model.output.kind}"
    if run is not None and (results := list(_results(run, kind))):
        front["model-index"] = [{"name": repository.partition("/")[2], "results": results}]
    return front


def _results(run: Run, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the monitored score of each evaluation, as a hub lists it."""
    for name, report, _ in run.evaluations:
        if isinstance(report.get(run.monitor), int | float):
            yield {
                "task": {"type": kind},
                "dataset": {"name": f"{run.task}, {name}", "type": run.task},
                "metrics": [{"type": run.monitor, "value": report[run.monitor]}],
            }


def _use(model: SequenceModel, repository: str) -> str:
    kinds = {"signal": "(batch, time, channels)", "tokens": "(batch, time), whole numbers", "image": "(batch, pixels)"}
    return f"""\
Install it: {how_to_install("train,hub")}.

    multiresconv predict {PREFIX}{repository} FILE...

In Python:

```python
from multiresconv import load

model = load("{PREFIX}{repository}")  # model.input and model.output say what goes in and what comes out
outputs = model(x)  # x: {kinds[model.input.kind]}
```
"""


def _data(run: Run | None) -> str:
    if run is None:
        return "Not stated: the model came without its run."
    return table([("task", run.task), *run.data])


def _scores(run: Run | None) -> str:
    if run is None or not run.evaluations:
        return "Not stated: no rows were scored that the model has not seen."
    return "\n\n".join(
        f"On {report.get('data', name)} rows, by `multiresconv evaluate`:\n\n```\n{text}\n```"
        for name, report, text in run.evaluations
    )
