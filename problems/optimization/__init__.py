"""Optimization problems: published tests, inverse problems, optimal control."""
