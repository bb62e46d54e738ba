"""Read JSON and YAML that may be damaged or hostile, within limits of size and depth."""

import json
from pathlib import Path
from typing import Any

import yaml

from multiresconv.fields import MAPPING, shown

MAX_JSON_BYTES = 1 << 28  # of metrics.jsonl, which has about 200 bytes for each line
MAX_YAML_BYTES = 1 << 16  # parsing takes a second for 100 KB; a file of options has about 1 KB
MAX_YAML_DEPTH = 20


def read_text(path: Path, max_bytes: int = MAX_JSON_BYTES) -> str:
    """Read a UTF-8 file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is too large or not UTF-8; the message names it.
    """
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"{path}: expected at most {max_bytes} bytes, the file is larger")
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def parse_json(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object without NaN or infinity; a ValueError begins with `where`."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"{where}: damaged: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{where}: damaged: {error}") from error
    return _mapping(value, where)


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse a YAML mapping, all of whose keys are texts, without anchors, aliases and tags.

    Aliases are refused because a few of them, nested, stand for billions of values.

    Raises:
        ValueError: the text is something else; the message begins with `where`.
    """
    try:
        _check_events(text)
        value = yaml.safe_load(text)
        _check_values(value)
    except (ValueError, OverflowError, yaml.YAMLError) as error:  # OverflowError: a date before the year 1
        raise ValueError(f"{where}: damaged: {error}") from error
    return _mapping(value, where)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"expected finite numbers, got {name}")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not MAPPING.fits(value):
        raise ValueError(f"{where}: damaged: expected a mapping, got {shown(value)}")
    return value


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            raise ValueError(f"expected no anchors and aliases, got {shown(event.anchor)} {_place(event)}")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"expected no tags, got {shown(event.tag)} {_place(event)}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise ValueError(f"expected at most {MAX_YAML_DEPTH} levels, got more {_place(event)}")


def _place(event: yaml.Event) -> str:
    return f"in line {event.start_mark.line + 1}"


def _check_values(value: Any) -> None:
    if isinstance(value, str) and "&" in value and "*" in value and ("[" in value or "{" in value):
        raise ValueError(f"expected no text with anchors and aliases, got {shown(value)}")  # jsonargparse parses texts
    if isinstance(value, list):
        for element in value:
            _check_values(element)
    elif isinstance(value, dict):
        for name, element in value.items():
            if not isinstance(name, str):
                raise ValueError(f"expected names of options, got {shown(name)}")
            _check_values(element)
