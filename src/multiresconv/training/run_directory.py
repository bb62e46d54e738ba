"""The run directory: what a run writes, and where. Every file appears whole or not at all."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place; the suffix stays, since writers look at it."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    write(part)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, lambda part: part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8"))


@dataclass(frozen=True)
class RunDirectory:
    """Names of the files of a run.

    run.json (task and versions), config.yaml (every option), metrics.jsonl, checkpoints/last.ckpt and best.ckpt,
    model/ (the best model, see `multiresconv.load`), curves.png, confusion.png.
    """

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def about(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def model(self) -> Path:
        return self.path / "model"

    def check_is_free(self) -> None:
        """Raises FileExistsError if something is here already."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise FileExistsError(
                f"run: {self.path} is there already; name another with --run, or go on with it: --resume {self.path}"
            )

    def create(self, config: dict[str, Any], about: dict[str, Any]) -> None:
        """Start a run here."""
        self.last.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config, sort_keys=False)
        write_atomically(self.config, lambda part: part.write_text(text, encoding="utf-8"))
        write_json(self.about, about)  # last: with it the directory is a run

    def read_about(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            FileNotFoundError: this is no run directory.
        """
        if not self.about.is_file():
            raise FileNotFoundError(f"{self.path} is no run directory: it has no {self.about.name}")
        return json.loads(self.about.read_text(encoding="utf-8"))

    def read_config(self, task: str) -> dict[str, Any]:
        """The options in config.yaml.

        Raises:
            FileNotFoundError: this is no run directory.
            ValueError: it is one of another task.
        """
        seen = self.read_about()["task"]
        if seen != task:
            raise ValueError(f"{self.path}: expected a run of {task}, got one of {seen}")
        return yaml.safe_load(self.config.read_text(encoding="utf-8"))

    def append_metrics(self, line: dict[str, Any]) -> None:
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line of metrics.jsonl; a last one that a kill cut short is left out."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def cut_metrics(self, step: int, validated_epochs: int) -> None:
        """Drop the lines that the checkpoint of this position does not know of; the run writes them again."""
        known = [
            line
            for line in self.read_metrics()
            if (line["epoch"] <= validated_epochs if line["kind"] == "val" else line["step"] <= step)
        ]
        text = "".join(json.dumps(line) + "\n" for line in known)
        write_atomically(self.metrics, lambda part: part.write_text(text, encoding="utf-8"))
