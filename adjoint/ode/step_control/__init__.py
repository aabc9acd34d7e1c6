"""Step sizes from error estimates of states and integrals; components that atol hides."""
