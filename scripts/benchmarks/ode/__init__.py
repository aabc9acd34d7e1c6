"""Gradients of initial value problems: error over time, ours and of other libraries."""
