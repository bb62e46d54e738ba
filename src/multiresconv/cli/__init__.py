"""The command line: `multiresconv train | evaluate | predict | sample | inspect | data | bench`."""

from multiresconv.cli.entry import main

__all__ = ["main"]
