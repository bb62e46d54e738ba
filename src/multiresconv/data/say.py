"""Say something on standard error, once."""

import functools
import sys


@functools.cache
def say_once(text: str) -> None:
    """Print a text on standard error, once per process: a run opens its splits more than once."""
    print(text, file=sys.stderr)
