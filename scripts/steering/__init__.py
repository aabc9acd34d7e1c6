"""A plate steered by heaters: what `scripts.optimal_control` is made of."""
