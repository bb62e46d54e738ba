"""Entry point of the console script: exit codes and one-line error messages."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence

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
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; bad input prints one line on standard error and returns 2."""
    if not all(importlib.util.find_spec(name) for name in EXTRA):
        print('this needs the training extra: pip install "multiresconv[train]"', file=sys.stderr)
        return 2
    from multiresconv.cli.dispatch import dispatch  # here, because it needs the extra

    try:
        return dispatch(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output, for example `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return complain(str(error) if error.filename is None else f"{error.filename}: {error.strerror}")
    except (argparse.ArgumentError, ImportError, ValueError) as error:  # ImportError: another extra is missing
        return complain(str(error))


def complain(text: str) -> int:
    print(f"multiresconv: error: {' '.join(line.strip() for line in text.splitlines())}", file=sys.stderr)
    return 2
