"""Examples and benchmarks, run by `python -m` from the root of the repository."""
