"""Laplace approximation on a map: a random field and its law from counts of events."""
