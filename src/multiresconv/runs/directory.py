"""The run directory: the files of a run and their names. Files are written whole or not at all."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from multiresconv.fields import COUNT, check_fields
from multiresconv.files import errors_name, write_json, write_text
from multiresconv.locks import locked
from multiresconv.runs.about import check_about
from multiresconv.runs.documents import MAX_YAML_BYTES, parse_json, parse_yaml, read_text
from multiresconv.runs.metrics import read_lines


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that comes twice twice, since `parse_yaml` refuses aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True)
class RunDirectory:
    """The files of a run.

    run.json (task, versions and data), config.yaml (every option), metrics.jsonl, checkpoints/last.ckpt and best.ckpt,
    model/ (the best model, see `multiresconv.load`), curves.png and the pictures of the task, and an empty .lock.
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
        """Raise FileExistsError if the directory holds more than a start that was killed leaves behind."""
        if not self.path.exists():
            return
        if self.about.is_file():
            raise FileExistsError(
                f"run: {self.path} exists already; name another with --run, or go on with it: "
                f"--resume {shlex.quote(str(self.path))}"
            )
        unfinished = self.path.is_dir() and all(
            path.name == self.config.name
            or path.name.startswith(".")
            or (path == self.last.parent and path.is_dir() and not any(path.iterdir()))
            for path in self.path.iterdir()
        )
        if not unfinished:
            raise FileExistsError(f"run: {self.path} exists already, but is not a run; name another with --run")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here; on a file system without locks, continue without one.

        Raises:
            BlockingIOError: another process is training here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / ".lock", f"{self.path}: another process is training this run right now"):
            for part in self.last.parent.glob(".*.part-*"):  # left by a process that was killed while writing
                with suppress(OSError):
                    part.unlink()
            yield

    def create(self, config: dict[str, Any], about: dict[str, Any]) -> None:
        """Write the files that make this directory a run."""
        self.last.parent.mkdir(parents=True, exist_ok=True)
        self._write_config(config)
        write_json(self.about, about)  # last: this file marks the directory as a run

    def extend(self, task: str, epochs: int) -> None:
        """Store in config.yaml that the run has so many epochs, if it had fewer."""
        config = self.read_config(task)
        if (config["trainer"]["epochs"] or 0) < epochs:
            self._write_config({**config, "trainer": {**config["trainer"], "epochs": epochs}})

    def _write_config(self, config: dict[str, Any]) -> None:
        write_text(self.config, yaml.dump(config, Dumper=_PlainDumper, sort_keys=False))

    def read_about(self) -> dict[str, Any]:
        """Read run.json.

        Raises:
            FileNotFoundError: this is not a run directory.
            ValueError: the file is damaged.
        """
        if not self.about.is_file():
            raise FileNotFoundError(f"{self.path} is no run directory: it has no {self.about.name}")
        about = parse_json(read_text(self.about), str(self.about))
        check_about(about, f"{self.about}: damaged")
        return about

    def read_config(self, task: str) -> dict[str, Any]:
        """Read the options in config.yaml.

        Raises:
            FileNotFoundError: this is not a run directory.
            ValueError: the run is of another task, or a file is damaged.
        """
        seen = self.read_about()["task"]
        if seen != task:
            raise ValueError(f"{self.path}: expected a run of {task}, got one of {seen}")
        return parse_yaml(read_text(self.config, MAX_YAML_BYTES), str(self.config))

    def read_seed(self, task: str) -> int:
        """Read the seed in config.yaml; raises the errors of `read_config`."""
        config = self.read_config(task)
        check_fields({"seed": config.get("seed")}, {"seed": COUNT}, f"{self.config}: damaged")
        return config["seed"]

    def append_metrics(self, line: dict[str, Any]) -> None:
        with errors_name(self.metrics), open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def read_metrics(self, monitor: str | None = None) -> list[dict[str, Any]]:
        """Read the complete lines of metrics.jsonl; see `read_lines`. Without the file there are none."""
        return read_lines(self.metrics, monitor) if self.metrics.is_file() else []

    def cut_metrics(self, step: int, validated_epochs: int, *, fitted: bool) -> None:
        """Delete the lines after the checkpoint at this position; the resumed run writes them again.

        The line of epoch 0, of a model that was fitted at once, is kept if `fitted`.
        """
        known = [
            line
            for line in self.read_metrics()
            if (fitted or line["epoch"] > 0)
            and (line["epoch"] <= validated_epochs if line["kind"] == "val" else line["step"] <= step)
        ]
        text = "".join(json.dumps(line) + "\n" for line in known)
        write_text(self.metrics, text)
