"""A finished or running run on disk: its directory, checkpoints, evaluation and pictures."""
