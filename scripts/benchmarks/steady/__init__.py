"""Gradients of steady problems, linear and nonlinear."""
