"""Training on Lightning, the run directory, and the evaluation of a run."""
