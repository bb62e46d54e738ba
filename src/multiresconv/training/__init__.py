"""The training loop, on Lightning; a recorder keeps what it gives."""
