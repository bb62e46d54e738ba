"""The command line: train, evaluate, predict, sample, inspect, explain, report, export, data, upgrade, bench."""

from multiresconv.cli.entry import main

__all__ = ["main"]
