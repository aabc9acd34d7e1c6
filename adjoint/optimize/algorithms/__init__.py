"""Algorithms: frozen dataclasses of settings with `start` and `advance`."""
