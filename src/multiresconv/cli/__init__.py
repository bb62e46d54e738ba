"""The command line; `core.HELP` lists its commands."""

from multiresconv.cli.entry import main

__all__ = ["main"]
