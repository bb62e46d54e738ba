"""The lines of metrics.jsonl: numbers of some training steps, or of a validation."""

from pathlib import Path
from typing import Any

from multiresconv.fields import AMOUNT, COUNT, FLAG, NUMBER, POSITION, TEXT, check_fields, shown
from multiresconv.runs.documents import parse_json, read_text

_POSITION = {"kind": TEXT, "step": POSITION, "epoch": POSITION}
_FIELDS = {
    "train": {**_POSITION, "loss": NUMBER, "lr": AMOUNT, "samples_per_second": AMOUNT, "seconds": AMOUNT},
    "val": {"kind": TEXT, "step": COUNT, "epoch": COUNT, "loss": NUMBER, "best": FLAG, "seconds": AMOUNT},
}


def read_lines(path: Path, monitor: str | None = None) -> list[dict[str, Any]]:
    """Read the lines of a metrics.jsonl, without an incomplete last line, which a killed process may leave.

    Args:
        path: the file.
        monitor: name of a score that every validation must have.

    Raises:
        ValueError: a line is damaged or in the wrong place; the message names file and line.
    """
    lines: list[dict[str, Any]] = []
    last_step = {"train": 0, "val": -1}  # a validation at step 0 is of a model that was fitted at once
    for number, text in enumerate(read_text(path).split("\n")[:-1], start=1):
        where = f"{path}, line {number}"
        line = parse_json(text, where)
        _check_line(line, f"{where}: damaged", monitor)
        if line["step"] <= last_step[line["kind"]] or line["step"] < max(last_step.values()):
            raise ValueError(f"{where}: damaged: step {line['step']} follows step {max(last_step.values())}")
        last_step[line["kind"]] = line["step"]
        lines.append(line)
    return lines


def _check_line(line: dict[str, Any], where: str, monitor: str | None) -> None:
    kind = line.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ValueError(f"{where}: kind: expected one of {', '.join(_FIELDS)}, got {shown(kind)}")
    scores = {monitor: NUMBER} if monitor is not None and kind == "val" else {}
    check_fields(line, {**_FIELDS[kind], **scores}, where, others=NUMBER)
