"""Say something on standard error, once."""

import functools
import sys
from collections.abc import Iterable


@functools.cache
def say_once(text: str) -> None:
    """Print a text on standard error, once per process: a run opens its splits more than once."""
    print(text, file=sys.stderr)


def say_remarks(source: object, remarks: Iterable[str]) -> None:
    """Print remarks on a source on standard error, a line each, once per process."""
    for remark in remarks:
        say_once(f"{source}: {remark}")
