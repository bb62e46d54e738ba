"""Readers of users' own files."""
