"""Optimization algorithms: each starts from a design and advances one State to the next."""
