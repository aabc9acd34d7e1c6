"""Steady physics, linear and nonlinear, and its discretizations."""
