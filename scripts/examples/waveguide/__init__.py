"""A mode converter in a metallic waveguide, by topology optimization."""
