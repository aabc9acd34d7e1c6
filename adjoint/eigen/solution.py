"""The protocol of the solutions of eigenproblems."""

from typing import Protocol

from ..factor.evidence import Evidence
from ..typing import Array


class EigenSolution(Protocol):
    """Eigenpairs (μ_i, φ_i), i = 0 … k − 1, at one p, and the derivatives of p ↦ (μ, φ).

    `HermitianEigenSolution` and `GeneralEigenSolution` are solutions of this kind.
    """

    @property
    def u(self) -> Array:
        """The packed state, (n + 1, k): row 0 has the eigenvalues, the others the vectors."""

    @property
    def values(self) -> Array:
        """Eigenvalues, (k,)."""

    @property
    def vectors(self) -> Array:
        """Eigenvectors, (n, k), one per column."""

    @property
    def left(self) -> Array:
        """Left eigenvectors, (n, k)."""

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the eigenvalues of each cluster; a simple eigenvalue is one index."""

    @property
    def residuals(self) -> Array:
        """‖Kφ − μMφ‖ of each eigenpair, relative to the size of its terms, (k,)."""

    @property
    def evidence(self) -> Evidence:
        """The backward errors of the solves so far, and the counts of all work."""

    def vjp(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the gradient of a packed cotangent, or of (values_bar, vectors_bar); (m,)."""

    def jvp(self, p_dot: Array) -> Array:
        """Return the rates of u along ṗ, of u's shape."""

    def directional(self, p_dot: Array) -> Array:
        """Return one-sided derivatives of the eigenvalues along ṗ, (k,), ascending in clusters."""
