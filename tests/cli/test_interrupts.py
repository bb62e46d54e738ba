"""Ctrl-C while the command line is still importing ends it quietly, whatever is being imported."""

import subprocess

import pytest
from seeded import python

pytestmark = pytest.mark.slow

INTERRUPTED = """
import os, signal, sys
from importlib.abc import MetaPathFinder

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

class Interrupt(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from multiresconv.cli import main
sys.exit(main(["train", "--help"]))
"""


@pytest.mark.parametrize("module", ["multiresconv.ops.conv", "multiresconv.tasks", "yaml", "multiresconv.cli.train"])
def test_ctrl_c_while_importing_leaves_no_traceback(module: str) -> None:
    ended = subprocess.run(python(INTERRUPTED, module), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_the_command_line_answers_before_anything_heavy_is_imported() -> None:
    program = """
import sys
before = set(sys.modules)
import multiresconv.cli
print(*sorted(name for name in set(sys.modules) - before if name.startswith("multiresconv")))
"""
    said = subprocess.run(python(program), capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == [
        "multiresconv",
        "multiresconv.cli",
        "multiresconv.cli.core",
        "multiresconv.cli.entry",
        "multiresconv.cli.interrupts",
    ]


def test_handlers_are_as_before_afterwards() -> None:
    program = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from multiresconv.cli import main
assert main(["predict", "nowhere", "nothing"]) == 2
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    subprocess.run(python(program), capture_output=True, check=True, timeout=60)


def test_numba_without_its_compiler_is_one_line() -> None:
    program = """
import os, sys
os.environ["NUMBA_DISABLE_JIT"] = "1"
from multiresconv.cli import main
sys.exit(main(["train", "listops"]))
"""
    ended = subprocess.run(python(program), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == (
        "multiresconv: error: NUMBA_DISABLE_JIT is set, but the kernels have to be compiled; unset it\n"
    )
