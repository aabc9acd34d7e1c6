"""Benchmarks, as ratios within one run: the machines are shared, so that absolute seconds mean little."""
