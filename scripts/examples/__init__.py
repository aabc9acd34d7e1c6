"""Examples: `python -m scripts.examples.NAME --help`, from the root of the repository."""
