"""The command line: `multiresconv train | evaluate | predict | sample | inspect | data | upgrade | bench`."""

from multiresconv.cli.entry import main

__all__ = ["main"]
