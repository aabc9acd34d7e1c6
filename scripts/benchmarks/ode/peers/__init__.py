"""Gradients of the cases by other libraries, one module per library."""
