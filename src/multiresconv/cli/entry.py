"""Entry point of the console script: exit codes and one-line error messages."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence

from multiresconv.cli.core import answer
from multiresconv.cli.interrupts import ending_at_once

EXTRA = (
    "jsonargparse",
    "lightning",
    "torchmetrics",
    "scipy",
    "sklearn",
    "pooch",
    "filelock",
    "PIL",
    "matplotlib",
    "yaml",
    "tqdm",
    "jinja2",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; bad input prints one line on standard error and returns 2.

    Without arguments it shows the help, as `--help` does.
    """
    with ending_at_once():
        given = list(sys.argv[1:] if arguments is None else arguments)
        if given == ["--version"] or not all(importlib.util.find_spec(name) for name in EXTRA):
            return answer(given)
        if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
            return complain("NUMBA_DISABLE_JIT is set, but the kernels have to be compiled; unset it")
        from multiresconv.cli.dispatch import dispatch  # here, because it needs the extra, and seconds
    return guarded(lambda: dispatch(given or ["--help"]))


def guarded(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; bad input prints one line on standard error and returns 2."""
    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output, for example `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return complain(str(error) if error.filename is None else f"{error.filename}: {error.strerror}")
    except MemoryError as error:
        return complain(f"not enough memory{f': {error}' if str(error) else ''}")
    except (argparse.ArgumentError, ImportError, ValueError) as error:  # ImportError: another extra is missing
        return complain(str(error))


def complain(text: str) -> int:
    print(f"multiresconv: error: {' '.join(line.strip() for line in text.splitlines())}", file=sys.stderr)
    return 2
