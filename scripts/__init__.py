"""Examples (`scripts.examples`) and benchmarks (`scripts.benchmarks`), run from the root of the repository."""
