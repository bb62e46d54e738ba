"""The speed table: this library's layers beside the usual alternatives, measured on one machine."""
