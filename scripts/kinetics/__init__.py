"""Rate constants from noisy concentrations: what `scripts.kinetics_fit` is made of."""
