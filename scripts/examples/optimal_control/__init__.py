"""Optimal control of a heated plate."""
