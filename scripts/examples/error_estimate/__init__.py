"""Predicted against true errors of values and gradients, over six decades of tolerance."""
