"""The training loop, built on Lightning; a recorder stores its results."""
