"""Stability of plane channel flow: the critical Reynolds number by eigenvalue gradients."""
