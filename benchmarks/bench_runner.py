"""An exported folder in a fresh environment without PyTorch: what is installed, how long it takes to the first answer.

    python benchmarks/bench_runner.py [--model results/ptbxl] [--file examples/ecg.csv] [--out benchmarks/results]

Makes a virtual environment with onnxruntime and numpy (`pip install --no-compile`; Python then compiles only what
run.py imports, which the size has in it), exports the model as a folder, runs its run.py there, and checks
that it prints what `multiresconv predict` prints. The command exits with 1 if it does not.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from importlib.metadata import version
from pathlib import Path

from multiresconv.bench.machine import describe_machine

REPEATS = 7
ROOT = Path(__file__).parents[1]
LIMIT_SECONDS, LIMIT_MEGABYTES = 1.0, 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "results" / "ptbxl")
    parser.add_argument("--file", type=Path, default=ROOT / "examples" / "ecg.csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, exported = Path(temporary) / "venv", Path(temporary) / "exported"
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        before = megabytes(folder)
        pins = [f"{name}=={version(name)}" for name in ("onnxruntime", "numpy")]
        output(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *pins)
        torch = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
        assert torch.returncode != 0, "PyTorch is in the fresh environment"
        command = (sys.executable, "-m", "multiresconv.cli")
        output(*command, "export", args.model, exported, "--to", "onnx")
        wanted = output(*command, "predict", args.model, args.file)
        taken, found = [], ""
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            found = output(python, exported / "run.py", args.file)
            taken.append(time.perf_counter() - start)
        size = megabytes(folder) - before
        exported_kilobytes = sum(path.stat().st_size for path in exported.iterdir()) / 1e3
    first, *warm = taken
    report = {
        "machine": describe_machine(),
        "packages": pins,
        "installed_megabytes": round(size, 1),
        "exported_kilobytes": round(exported_kilobytes, 1),
        "seconds_first": round(first, 3),
        "seconds": round(statistics.median(warm), 3),
        "same_as_predict": found == wanted,
        "answer": found.strip(),
    }
    text = markdown(report)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "runner.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "runner.md").write_text(text)
    print(text)
    return 0 if report["same_as_predict"] else 1


def output(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def markdown(report: dict) -> str:
    return f"""\
A fresh environment with {" and ".join(report["packages"])}; {report["machine"]}.

| | | goal |
|---|---|---|
| installed beside Python and pip | {report["installed_megabytes"]:.0f} MB | below {LIMIT_MEGABYTES} |
| exported folder | {report["exported_kilobytes"]:.0f} kB | |
| start of Python to the answer, first time | {report["seconds_first"]:.2f} s | |
| the same, median of {REPEATS} more | {report["seconds"]:.2f} s | below {LIMIT_SECONDS:g} |
| prints what `multiresconv predict` prints | {"yes" if report["same_as_predict"] else "NO"} | |

It printed

    {report["answer"]}
"""


if __name__ == "__main__":
    sys.exit(main())
