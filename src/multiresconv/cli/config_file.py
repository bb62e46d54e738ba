"""`--config FILE`: options from a YAML file of the user."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from jsonargparse import ActionConfigFile  # pyright: ignore[reportPrivateImportUsage]

from multiresconv.runs.documents import MAX_YAML_BYTES, parse_yaml, read_text


class ConfigFile(ActionConfigFile):
    """Refuses what `parse_yaml` refuses, such as nested aliases, and unknown options, before jsonargparse reads it."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        path = Path(values).expanduser()
        if path.is_file():
            check_options(parse_yaml(read_text(path, MAX_YAML_BYTES), str(path)), parser, path)
        super().__call__(parser, cfg, str(path), option_string)


def check_options(values: Mapping[str, Any], parser: Any, path: Path) -> None:
    """Raise ValueError, naming the option, if one is unknown to the parser or null though it needs a value."""
    known = {action.dest: action for action in parser._actions}
    for name, value in _options(values, known):
        if name not in known:
            similar = get_close_matches(name, known, 1)
            way_out = f"did you mean {similar[0]}?" if similar else "--help lists them"
            raise ValueError(f"{path}: {name}: this command has no such option; {way_out}")
        kind = getattr(known[name], "_typehint", None)
        if value is None and kind is not None and type(None) not in get_args(kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
            raise ValueError(f"{path}: {name}: expected {wanted}, got null")


def _options(values: Mapping[str, Any], known: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Return the options and their values by full name, such as model.n_layers."""
    for key, value in values.items():
        name = f"{group}{key}"
        if isinstance(value, Mapping) and any(other.startswith(f"{name}.") for other in known):
            yield from _options(value, known, f"{name}.")
        else:
            yield name, value
