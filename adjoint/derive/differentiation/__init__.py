"""Directional derivatives of plain functions: complex steps, finite differences, JAX."""
