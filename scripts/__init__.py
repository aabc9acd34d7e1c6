"""Runnable examples: `python -m scripts.NAME --help`, from the repository root."""
