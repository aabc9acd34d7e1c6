"""Step sizes from error estimates: of the state, of integrals, and what absolute tolerances hide."""
