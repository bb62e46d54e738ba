"""The command line: `multiresconv train | evaluate | predict | sample | inspect | explain | data | upgrade | bench`."""

from multiresconv.cli.entry import main

__all__ = ["main"]
