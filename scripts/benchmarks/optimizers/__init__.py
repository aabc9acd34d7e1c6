"""Evaluations that optimizers need, and the time that they take themselves."""
