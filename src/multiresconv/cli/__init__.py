"""The command line: `multiresconv train | evaluate | predict | sample | inspect | data`."""

from multiresconv.cli.entry import main

__all__ = ["main"]
