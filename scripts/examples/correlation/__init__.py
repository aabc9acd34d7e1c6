"""Nearest correlation matrices: by eigenvalue functions, on spheres, and with the nuclear norm."""
