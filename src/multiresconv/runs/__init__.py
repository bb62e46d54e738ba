"""Runs on disk: training into a run directory, checkpoints, evaluation, prediction and pictures."""
