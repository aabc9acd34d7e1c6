"""Benchmarks, as ratios within one run: on shared machines seconds alone mean little."""
