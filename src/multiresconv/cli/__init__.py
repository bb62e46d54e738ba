"""The command line: `multiresconv train | evaluate | predict | data`."""

from multiresconv.cli.entry import main

__all__ = ["main"]
