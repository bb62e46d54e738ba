"""What a run directory says of its data and scores, for the report and for the card of the model."""

from collections.abc import Iterator, Mapping
from typing import Any

from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.documents import parse_json, read_text

_FEW = 12  # names that are listed whole


def evaluations(directory: RunDirectory) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of each evaluation-NAME.json, the test first."""
    paths = sorted(directory.path.glob("evaluation-*.json"), key=lambda path: (path.stem != "evaluation-test", path))
    for path in paths:
        yield path.stem.removeprefix("evaluation-"), parse_json(read_text(path), str(path))


def data_facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what run.json says about the data, as (name, value); no names of files."""
    data, decided = about.get("data", {}), about.get("decided", {})
    rows = [(f"{split} rows", f"{data[split]['rows']:,}") for split in ("train", "val") if split in data]
    if splits := decided.get("splits"):
        rows.append(("recordings", ", ".join(f"{len(names):,} {split}" for split, names in splits.items())))
    if channels := decided.get("channels"):
        units = decided.get("units") or [None] * len(channels)
        named = [name if unit is None else f"{name} ({unit})" for name, unit in zip(channels, units, strict=True)]
        rows.append(("channels", listed(named)))
        rows.append(_rate(decided.get("rate")))
        rows.append(("missing values", "in the training rows, masked" if decided.get("missing_values") else "none"))
    if lengths := decided.get("lengths"):
        rows.append(("time steps of a row", f"{lengths['0']:,} to {lengths['1']:,}, median {lengths['0.5']:,}"))
    if targets := decided.get("targets"):
        rows.append(("targets", listed(targets)))
    return rows


def listed(names: Any) -> str:
    """Return names separated by commas, the first dozen of them."""
    names = list(map(str, names))
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _rate(rate: float | None) -> tuple[str, str]:
    if rate is None:
        return "samples per second", "not known"
    return ("samples per second", f"{rate:g}") if rate >= 1 else ("seconds between samples", f"{1 / rate:g}")
