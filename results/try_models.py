"""Run every model that is kept here through predict, explain, export and the exported folder, and tabulate it.

    python results/try_models.py            # writes results/models.md; takes minutes, needs the extra "export"
    python results/try_models.py NAME ...   # these models only; the rows of the others stay as they are

Predictions are those of the command line. A folder that was exported has to print the same line as `predict`, by ONNX
Runtime; the program ends with an error at the first that does not.
"""

import argparse
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from multiresconv import load
from multiresconv.cli import main

RESULTS = Path(__file__).parent
LIST = RESULTS / "models.md"
EXAMPLES = RESULTS.parent / "examples"
EXPRESSION = "[MAX 2 [MIN 4 7 ] [SM 3 8 [MED 1 5 9 ] ] 0 ]"
LEAST_DIGITS = 2e-3  # of probabilities with three digits, which may be rounded to either side


def models() -> list[Path]:
    """Return the model folders in `results/`."""
    return sorted(path.parent for path in RESULTS.rglob("model/config.json"))


def named(path: Path) -> str:
    """Return the first cell of the row of a model."""
    name = path.parent.relative_to(RESULTS)
    return f"[{name}]({name})"


def example_for(model: Any, folder: Path) -> Path:
    """Return a file for the model's input, made in `folder` if there is none among the examples."""
    input = model.input
    if input.kind == "tokens":
        path = folder / "expression.txt"
        path.write_text(f"{EXPRESSION}\n", encoding="utf-8")
    elif input.kind == "image":
        path = folder / "image.npy"
        with Image.open(EXAMPLES / ("digit.png" if input.size == 1 else "picture.png")) as image:
            np.save(path, np.asarray(image))
    elif "II" in input.channels:
        path = EXAMPLES / "ecg.csv"
    else:
        run_path(str(EXAMPLES / "make_recordings.py"))["write_recordings"](folder / "pumps")
        path = min((folder / "pumps").glob("*.csv"), key=lambda path: (path.stem == "labels", path.name))
    return path


def printed(*arguments: object) -> str:
    """Return what a command prints; raises RuntimeError if it fails."""
    out, said = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(said):
        code = main([*map(str, arguments)])
    if code:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {said.getvalue()}")
    return out.getvalue()


def tried(path: Path, folder: Path) -> list[str]:
    """Return a row of the table for the model in `path`."""
    model = load(path)
    name = named(path)
    size = f"{sum(file.stat().st_size for file in path.iterdir()) / 1e6:.2f} MB"
    exported = folder / "exported"
    if model.output.kind == "density":
        printed("sample", path, "--n", "1", "--seed", "1", "--out", folder / "sample.png")
        printed("export", path, "--to", "onnx", exported)
        return [name, size, "an image (`sample`)", "no label to explain", _size(exported), "gives no labels"]
    example = example_for(model, folder)
    answer = printed("predict", path, example).strip()
    printed("explain", path, example, "--out", folder / "explanation.png")
    printed("export", path, "--to", "onnx", exported)
    found = subprocess.run(
        [sys.executable, exported / "run.py", example], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not alike(found, answer):
        raise RuntimeError(f"{path}: run.py prints {found!r}, predict {answer!r}")
    label, probability = answer.split("\t")[:2]
    return [name, size, f"{label} {probability}", "a picture", _size(exported), "the same"]


def alike(one: str, other: str) -> bool:
    """Return True if two lines of `predict` have the same label, and probabilities that are equal but for rounding."""
    fields = [line.replace("\t", " ").replace(":", " ").split() for line in (one, other)]
    if len(fields[0]) != len(fields[1]) or fields[0][0] != fields[1][0]:
        return False
    first, second = (dict(zip(line[2::2], map(float, line[3::2]), strict=True)) for line in fields)
    gaps = [abs(first[name] - second.get(name, np.inf)) for name in first]
    return max([abs(float(fields[0][1]) - float(fields[1][1])), *gaps]) < LEAST_DIGITS


def _size(folder: Path) -> str:
    return f"{(folder / 'model.onnx').stat().st_size / 1e6:.2f} MB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [str(path.parent.relative_to(RESULTS)) for path in models()]
    parser.add_argument("names", nargs="*", metavar="NAME", help="a folder of results/; default all")
    chosen = parser.parse_args().names
    if unknown := set(chosen).difference(names):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(names)}")
    header = ["model", "its files", "`predict`", "`explain`", "ONNX file", "`run.py` prints"]
    rows = [header, ["---"] * len(header)]
    old = [
        line.strip("|\n ").split(" | ") for line in LIST.read_text(encoding="utf-8").splitlines() if line[:3] == "| ["
    ]
    known = {row[0]: row for row in old}
    for name, path in zip(names, models(), strict=True):
        row = known.get(named(path))
        if row is None or not chosen or name in chosen:
            with TemporaryDirectory() as folder:
                row = tried(path, Path(folder))
            print(" | ".join(row), flush=True)
        rows.append(row)
    text = "# Every kept model, run\n\nWritten by `python results/try_models.py`, which says what it does.\n\n"
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    LIST.write_text(text + table, encoding="utf-8")
