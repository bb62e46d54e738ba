"""Write the report of a run: one HTML file that needs no other file."""

import base64
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from multiresconv.files import write_text
from multiresconv.models import Input, load
from multiresconv.models.files import model_format
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.documents import parse_json, read_text
from multiresconv.runs.facts import data_facts, evaluations, listed
from multiresconv.tasks import Task

_CAPTIONS = {
    "confusion": "Rows are true classes, columns are predicted classes.",
    "roc": "Receiver operating characteristic of each label.",
    "scatter": "True and predicted values.",
    "examples": "Rows with their predictions.",
    "running": "The prediction after each sample.",
    "fan": "Forecasts with their intervals.",
    "horizon": "Error against the distance of the forecast.",
}


class Scored(NamedTuple):
    """An evaluation of the run: its name, its table as text, and its pictures (caption, source)."""

    name: str
    table: str
    pictures: list[tuple[str, str]]


def write_report(task: Task, directory: RunDirectory) -> Path:
    """Write `report.html` into a run directory from the files that are there, and return its path.

    It embeds the pictures. No data are read and nothing is computed: scores on a split appear once `evaluate` has
    scored it.

    Raises:
        FileNotFoundError: this is no run directory, or it has no model yet.
        ValueError: a file of the run is damaged.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    about, metrics = directory.read_about(), directory.read_metrics(task.monitor)
    best = [line for line in metrics if line.get("best")][-1:]
    if not best:
        raise FileNotFoundError(f"{directory.path}: no report yet: the run stopped before its first validation")
    reports = dict(evaluations(directory))
    environment = Environment(
        loader=PackageLoader("multiresconv.runs", "."),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    name = directory.path.resolve().name
    page = environment.get_template("report.html.j2").render(
        title=f"{name}: {task.name}",
        lead=f"Written by multiresconv {about.get('versions', {}).get('multiresconv', '')} from {directory.path}",
        headline=_headline(task, best[0], reports),
        remarks=_remarks(directory, reports, about.get("decided", {})),
        data=_data(about),
        scored=[Scored(name, task.table(report), _pictures(directory, name)) for name, report in reports.items()]
        or [Scored("validation", f"{task.monitor}  {best[0][task.monitor]:.4f}", _pictures(directory, None))],
        training=_training(directory, about, metrics, best[0]),
        curves=[("Loss, score and learning rate.", source) for source in _embedded(directory.path / "curves.png")],
        use=_use(directory),
    )
    path = directory.path / "report.html"
    write_text(path, page)
    return path


def _headline(task: Task, best: Mapping[str, Any], reports: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, number, note) of the monitored score on validation and on the scored splits."""
    shown = task.monitor.replace("_", " ")
    found = [(f"{shown}, validation", _number(best[task.monitor]), _which(best))]
    for name, report in reports.items():
        if isinstance(report.get(task.monitor), int | float):
            interval = report.get(f"{task.monitor}_95")
            note = f"95 % interval {_number(interval[0])} to {_number(interval[1])}" if interval else f"n {report['n']}"
            found.insert(len(found) - 1, (f"{shown}, {name}", _number(report[task.monitor]), note))
    return found


def _which(best: Mapping[str, Any]) -> str:
    """Say which model is the best."""
    return f"best epoch, {best['epoch']}" if best["epoch"] else "ridge regression on untrained features"


def _remarks(directory: RunDirectory, reports: Mapping[str, Any], decided: Mapping[str, Any]) -> list[str]:
    remarks = [str(remark) for name in ("remarks", "doubts") for remark in decided.get(name, [])]
    if not reports:
        run = shlex.quote(str(directory.path))
        remarks.append(f"Not scored on the test rows yet: multiresconv evaluate {run}, then write the report again.")
    return remarks


def _data(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what run.json says about the data, as (name, value)."""
    rows = data_facts(about)
    if skipped := about.get("decided", {}).get("skipped"):
        rows.append(("left out", f"{len(skipped):,} recordings that cannot be read: {listed([s[0] for s in skipped])}"))
    return rows


def _training(
    directory: RunDirectory, about: Mapping[str, Any], metrics: list[dict[str, Any]], best: Mapping[str, Any]
) -> list[tuple[str, str]]:
    config, last = directory.read_config(about["task"]), metrics[-1]
    trainer, optimizer = config.get("trainer", {}), config.get("optimizer", {})
    seconds = int(max(line["seconds"] for line in metrics))
    threads = f" with {about['threads']} threads" if "threads" in about else ""
    time = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}{threads}"
    if not last["epoch"]:
        return [("method", "ridge regression on untrained features"), ("time", time)]
    batch = trainer.get("batch_size") or f"{trainer.get('batch_tokens')} time steps"
    return [
        ("epochs", f"{last['epoch']} of {trainer.get('epochs')}, best {best['epoch']}"),
        ("steps", f"{last['step']:,} of {batch} rows" if trainer.get("batch_size") else f"{last['step']:,} of {batch}"),
        ("time", time),
        ("optimizer", f"AdamW, learning rate {optimizer.get('lr')}, weight decay {optimizer.get('weight_decay')}"),
        ("network", _network(directory)),
    ]


def _network(directory: RunDirectory) -> str:
    values = parse_json(read_text(directory.model / "config.json"), str(directory.model / "config.json"))
    model = values.get("arguments", {})
    sizes = {"n_layers": "blocks", "d_model": "channels wide", "kernel_size": "taps"}
    sized = [f"{model[key]} {text}" for key, text in sizes.items() if model.get(key)]
    return ", ".join([*sized, f"{len(model['memory'])} scales"] if isinstance(model.get("memory"), list) else sized)


def _use(directory: RunDirectory) -> str:
    folder = directory.model
    if model_format(folder) == 1:
        return f"multiresconv predict {shlex.quote(str(directory.path))} FILE"
    model = load(folder)
    quoted = shlex.quote(str(folder))
    files = "FILE..." if model.input.kind != "signal" else f"FILE...   # {_expected(model.input)}"
    lines = [f"multiresconv predict {quoted} {files}"]
    if not model.net.config.get("bidirectional") and model.input.window is None:
        lines.append(f"multiresconv predict {quoted} --stream < SAMPLES   # a line per time step")
    lines += [
        "",
        "from multiresconv import load",
        f"model = load({str(folder)!r})",
        "outputs = model(x)   # x: (batch, time, channels) in the units of the files",
    ]
    return "\n".join(lines)


def _expected(input: Input) -> str:
    rate = "" if input.rate is None else f", {input.rate:g} samples a second"
    unit = "" if input.unit is None else f" in {input.unit}"
    return f"channels {listed(input.channels)}{unit}{rate}"


def _pictures(directory: RunDirectory, name: str | None) -> list[tuple[str, str]]:
    """Return (caption, source) of the pictures of an evaluation, or of the validation if `name` is None."""
    found = []
    for stem, caption in _CAPTIONS.items():
        path = directory.path / (f"{stem}.png" if name is None else f"{stem}-{name}.png")
        found += [(caption, source) for source in _embedded(path)]
    return found


def _embedded(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"]


def _number(value: float) -> str:
    return f"{value:.4g}"
