"""Rate constants recovered from noisy concentrations."""
