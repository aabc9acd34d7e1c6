"""Eigenproblems K(p) φ = μ M(p) φ: eigenvalues, eigenvectors and their exact derivatives."""

__all__: list[str] = []
