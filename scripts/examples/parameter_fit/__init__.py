"""A conductivity field recovered from noisy temperatures."""
