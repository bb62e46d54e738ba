"""Predictions for archives: tables of any number of recordings, in parts, by several processes or machines."""
