"""Install a wheel in fresh environments and try it: the core alone, and the core with each extra.

    python release/check.py dist/multiresconv-*.whl --complete python3.11 --pythons python3.12 python3.13

`--complete` names the interpreter of the whole check, which installs torch. The others get the package without its
dependencies: every file is compiled, and what needs no dependency is run. For a layer or an extra on them, name one as
`--complete`. Nothing is left behind, and every environment uses the versions of constraints.txt.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYER = """
import torch
from multiresconv import MultiresLayer
layer = MultiresLayer(4, kernel_size=2, max_length=64)
layer(torch.randn(2, 64, 4)).sum().backward()
assert layer.h0.grad is not None
"""
# What only works with an extra
NEEDS = {
    "train": "from multiresconv.cli.parsers import build_parsers; build_parsers()",
    "ecg": "from multiresconv.data.readers.wfdb import read_wfdb; import wfdb",
    "signals": "import pyarrow, pyedflib, soundfile, pandas, multiresconv.data.readers.read_recording",
    "export": "from multiresconv import export; from multiresconv.export.running_maximum import running_maximum",
    "hub": "from multiresconv.hub import local_folder; import huggingface_hub",
    "estimators": "from multiresconv.estimators import SequenceClassifier; SequenceClassifier()",
    "bench": "from multiresconv.bench.tcn import DilatedTCN; DilatedTCN(2, 8)",
}
ON_TRAIN = ("estimators", "bench")  # these contain the extra train


class Failed(Exception):
    """A command of the check failed; the message is what it printed."""


class Environment:
    """A fresh virtual environment with the wheel.

    Args:
        python: the interpreter.
        folder: where to make it.
        below: environments whose packages it sees too, so that they are not installed again.
    """

    def __init__(self, python: str, folder: Path, below: "Sequence[Environment]" = ()) -> None:
        run([python, "-m", "venv", str(folder)])
        self.python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
        places = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.packages = Path(run([self.python, "-c", places]).strip())
        (self.packages / "below.pth").write_text("".join(f"{environment.packages}\n" for environment in below))

    def install(self, *arguments: str) -> None:
        options = ["--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
        run([self.python, "-m", "pip", "install", *options, *arguments])

    def run(self, *arguments: str) -> str:
        return run([self.python, *arguments])


def run(command: list[str]) -> str:
    """Run a command outside the repository, whose files it may not find, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, env=environment, cwd=tempfile.gettempdir(), capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_alone(python: str, wheel: Path, folder: Path) -> str:
    """Check the package without dependencies; return what was checked."""
    environment = Environment(python, folder)
    environment.install("--no-deps", str(wheel))
    environment.run("-m", "compileall", "-q", str(environment.packages / "multiresconv"))
    answers_without_the_extra(environment)
    return "every file compiles, --version and --help answer; not checked: torch, layers, extras"


def answers_without_the_extra(environment: Environment) -> None:
    version = environment.run("-c", "import multiresconv; print(multiresconv.__version__)").strip()
    script = Path(environment.python).with_name("multiresconv")
    for command in (["-m", "multiresconv"], [str(script)]):
        if environment.run(*command, "--version").strip() != f"multiresconv {version}":
            raise Failed(f"{command} --version: not multiresconv {version}")
        if not environment.run(*command, "--help").startswith("usage: multiresconv"):
            raise Failed(f"{command} --help: no usage")


def check_core(environment: Environment, wheel: Path) -> str:
    environment.install(str(wheel))
    answers_without_the_extra(environment)
    environment.run("-c", LAYER)
    if "agrees with the reference" not in environment.run("-m", "multiresconv", "doctor"):
        raise Failed("doctor: the kernels were not checked")
    return "--version, --help, a layer, its gradients, and doctor"


def check_extra(environment: Environment, wheel: Path, extra: str) -> str:
    environment.install(f"{wheel}[{extra}]")
    environment.run("-c", NEEDS[extra])
    if f"extra {extra}: complete" not in environment.run("-m", "multiresconv", "doctor"):
        raise Failed(f"doctor: does not find the extra {extra} complete")
    return "what only works with it, and doctor"


def interpreter(name: str) -> str:
    """Return the absolute path of an interpreter, which works from every folder."""
    return os.path.abspath(shutil.which(name) or sys.exit(f"{name}: no such interpreter"))


def version_of(python: str) -> str:
    return run([python, "-c", "import platform; print(platform.python_version())"]).strip()


def report(name: str, check: Callable[[], str]) -> None:
    """Print what a check has checked; end the process if it fails."""
    began = time.monotonic()
    try:
        print(f"{name}: {check()} ({time.monotonic() - began:.0f} s)", flush=True)
    except Failed as failed:
        sys.exit(f"{name}: {failed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--complete", default=sys.executable, help="interpreter of the whole check")
    parser.add_argument("--extras", nargs="*", default=list(NEEDS), choices=list(NEEDS), help="extras; default all")
    found = [name for name in ("python3.11", "python3.12", "python3.13") if shutil.which(name)]
    parser.add_argument("--pythons", nargs="*", default=found, help="further interpreters; default those on the PATH")
    options = parser.parse_args()
    wheel = options.wheel.resolve()
    complete = interpreter(options.complete)
    version = version_of(complete)

    with tempfile.TemporaryDirectory() as folder:
        core = Environment(complete, Path(folder) / "core")
        report(f"Python {version}, core", lambda: check_core(core, wheel))
        made: dict[str, Environment] = {}
        for extra in options.extras:
            below = [core, made["train"]] if extra in ON_TRAIN and "train" in made else [core]
            environment = made[extra] = Environment(complete, Path(folder) / extra, below)
            report(f"Python {version}, extra {extra}", partial(check_extra, environment, wheel, extra))
        for number, python in enumerate(map(interpreter, options.pythons)):
            if version_of(python) != version:
                place = Path(folder) / str(number)
                report(f"Python {version_of(python)}, no dependencies", partial(check_alone, python, wheel, place))


if __name__ == "__main__":
    main()
