"""Timings, as ratios within one run: the machines are shared, absolute seconds mean little."""
