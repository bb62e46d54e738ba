"""`--config FILE`: options from a YAML file of the user."""

from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile  # pyright: ignore[reportPrivateImportUsage]

from multiresconv.runs.documents import MAX_YAML_BYTES, parse_yaml, read_text


class ConfigFile(ActionConfigFile):
    """Refuses what `parse_yaml` refuses, such as nested aliases, before jsonargparse reads the file."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        if Path(values).is_file():
            parse_yaml(read_text(Path(values), MAX_YAML_BYTES), str(values))
        super().__call__(parser, cfg, values, option_string)
