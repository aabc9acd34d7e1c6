"""Iterations over mesh size, with the right inner product and with the wrong one."""
