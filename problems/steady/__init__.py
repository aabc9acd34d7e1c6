"""Steady problems, linear and nonlinear."""
