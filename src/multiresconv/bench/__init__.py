"""The speed table: this library's layers and those that people choose between, side by side on one machine."""
