"""Determinants and selected entries of inverses of sparse matrices, with exact derivatives."""

__all__: list[str] = []
