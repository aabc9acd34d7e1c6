"""Ready-made physics for scripts, tests and docs; it imports `adjoint` and never plots."""
