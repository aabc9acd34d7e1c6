"""log |det A(p)| at one p, with its derivatives, from a factorization that exists already.

With Dirichlet data the determinant is that of the block of A for the free unknowns.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Local
from .._optional_methods import checked_contraction, checked_contraction_rate
from .._validation import as_cotangent, as_parameters, first_nonfinite, require_methods
from ..errors import NonFinite
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import columns_of
from ..factor.factorization import Factorization
from ..factor.selected.entries import SelectedEntries
from ..protocols import Matrix
from ..typing import Array

BLOCK = 64
"""Number of columns of the inverse that are computed at once."""

MAX_EXACT = 5000
"""Largest number of unknowns for which Hessian-vector products are computed by 2n solves."""


@dataclass(frozen=True, eq=False, repr=False)
class MatrixLogDeterminant(Local):
    """log |det A(p)| at one p; each derivative uses the factors that are given.

    Parameters
    ----------
    A : Matrix
        A(p), (n, n).
    p : (m,) array
        Parameters.
    matrix : (n, n) csc_array
        A(p) at these parameters.
    factorization : Factorization
        The factors of A(p), or of its block for the free unknowns.
    free : (n_f,) array of integers, or None
        The free unknowns, if there is Dirichlet data.
    """

    A: Matrix
    p: Array
    matrix: sparse.csc_array
    factorization: Factorization
    free: Array | None
    _counts: Counts

    def __repr__(self) -> str:
        return f"MatrixLogDeterminant({self.factorization.name}, p: {self.p.dtype} {self.p.shape})"

    @cached_property
    def value(self) -> float:
        """log |det A|.

        Raises SingularMatrix or NotSymmetric under the conditions of
        `Factorization.solve`.
        """
        with collecting(self._counts):
            return self.factorization.logdet()

    @property
    def selected(self) -> SelectedEntries:
        """The entries of A⁻¹ on the pattern of A, of the free block with Dirichlet data."""
        with collecting(self._counts):
            return self.factorization.selected

    @property
    def phase(self) -> complex:
        """det A / |det A|: the sign of the determinant if A is real."""
        return 1.0 if self.factorization.symmetry == "hermitian" else self.selected.phase

    @cached_property
    def gradient(self) -> Array:
        """The derivative with respect to p, (m,) (docs/math/determinants.md, eq. 252).

        Raises TypeError if A has no method `contract`, SolveError under the conditions
        of `Factorization.selected_inverse`, NonFinite if an entry is nan or inf.
        """
        A_bar = self._on_pattern(self.selected.A_bar.data)
        with collecting(self._counts), phase("gradient"):
            g = checked_contraction(self.A, self.p, A_bar)
        if bad := first_nonfinite(g):
            raise NonFinite(
                f"the contraction of {type(self.A).__name__} is {bad[1]} at component {bad[0]}"
            )
        g.setflags(write=False)
        return g

    def jvp(self, p_dot: Array) -> float:
        """Return the derivative along ṗ.

        Parameters
        ----------
        p_dot : (m,) array
            Direction.

        Returns
        -------
        float
            Re(gᴴ ṗ).
        """
        return float(np.real(np.vdot(self.gradient, self._direction(p_dot))))

    def hvp(self, p_dot: Array) -> Array:
        """Return the derivative of the gradient along ṗ, exact, by 2n right-hand sides.

        See docs/math/determinants.md, eq. 259. Further directions cost n right-hand
        sides each.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions.

        Returns
        -------
        (m,) or (m, j) array
            The Hessian times ṗ.

        Raises
        ------
        TypeError
            If A has no method `jvp` or `contract_rate`, or if there are more than 5000
            unknowns.
        SolveError
            If a solve fails.
        """
        p_dot = np.asarray(p_dot)
        directions = [self._direction(column) for column in p_dot.reshape(p_dot.shape[0], -1).T]
        n = self.factorization.A.shape[0]
        if n > MAX_EXACT:
            raise TypeError(
                f"the exact Hessian of a log-determinant of {n} unknowns takes 2n solves, allowed "
                f"is n ≤ {MAX_EXACT}. Expected an estimate: LogDeterminant(A, …, "
                "second_derivatives=Hutchinson(samples=64, seed=0)); or "
                "adjoint.optimize.DifferencedHessian(f)"
            )
        rates = self._rates_of_selected(directions)
        columns = [
            self._contracted(rate) + self._second(direction)
            for rate, direction in zip(rates, directions, strict=True)
        ]
        return np.stack(columns, axis=-1).reshape(p_dot.shape)

    def sampled_hvp(self, p_dot: Array, samples: Array) -> tuple[Array, Array]:
        """Return unbiased estimates of the Hessian times ṗ, one for each sample.

        See docs/math/determinants.md, eqs. 260 and 261. The mean is a symmetric matrix
        times ṗ if A is Hermitian and p is real.

        Parameters
        ----------
        p_dot : (m,) array
            Direction.
        samples : (n_f, s) array
            Independent random vectors with entries ±1.

        Returns
        -------
        estimates : (m, s) array
            The estimates of the part with A⁻¹ twice.
        exact : (m,) array
            The part with the second derivative of A, which is to be added.

        Raises
        ------
        TypeError
            If A has no method `jvp` or `contract_rate`.
        SolveError
            If a solve fails.
        """
        direction = self._direction(p_dot)
        z, f = samples, self.factorization
        with collecting(self._counts):
            lam = f.solve(z, "H")
            pairs = [(f.solve(self._rate_times(z, direction)), lam)]
            if self._rate_is_hermitian:
                pairs.append((z, f.solve(self._rate_times(lam, direction), "H")))
        total = np.zeros((self.p.size, z.shape[1]), self.p.dtype)
        with collecting(self._counts), phase("gradient"):
            for u, w in pairs:
                u, w = self._extended(u), self._extended(w)
                for j in range(z.shape[1]):
                    g = self.A.vjp(self.p, u[:, j], w[:, j])
                    total[:, j] -= as_cotangent(g, self.p, "the vjp of A")
        return total / len(pairs), self._second(direction)

    @property
    def _rate_is_hermitian(self) -> bool:
        """True if ∂A/∂p ṗ is Hermitian for all ṗ; then the estimated Hessian is symmetric."""
        return self.factorization.symmetry == "hermitian" and self.p.dtype.kind == "f"

    def _direction(self, p_dot: Array) -> Array:
        """Return ṗ, (m,), validated."""
        p_dot = as_parameters(p_dot, "p_dot")
        if p_dot.shape != self.p.shape:
            raise ValueError(f"got p_dot of shape {p_dot.shape}, expected {self.p.shape}")
        return p_dot

    @cached_property
    def _inside(self) -> Array | slice:
        """Which entries of A lie in the block of the free unknowns: (nnz,) bool, or all."""
        if self.free is None:
            return slice(None)
        is_free = np.zeros(self.matrix.shape[0], dtype=bool)
        is_free[self.free] = True
        return np.asarray(is_free[self.matrix.indices] & is_free[columns_of(self.matrix)])

    def _on_pattern(self, data: Array) -> sparse.csc_array:
        """Return a matrix on the pattern of A, with zeros outside of the free block.

        data: the entries of the free block, in its order.
        """
        A = self.matrix
        full = np.zeros(A.nnz, data.dtype)
        full[self._inside] = data
        spread = sparse.csc_array((full, A.indices, A.indptr), shape=A.shape)
        spread.has_canonical_format = True
        return spread

    def _extended(self, v: Array) -> Array:
        """Return v, (n_f, k), as (n, k) with zeros for the fixed unknowns."""
        if self.free is None:
            return v
        extended = np.zeros((self.matrix.shape[0], v.shape[1]), v.dtype)
        extended[self.free] = v
        return extended

    def _rate_times(self, v: Array, p_dot: Array) -> Array:
        """Return (∂A/∂p ṗ) v for the free unknowns; v: (n_f, k)."""
        require_methods("hvp", "A", self.A, ("jvp",), "its derivative along p_dot")
        rate = np.asarray(self.A.jvp(self.p, self._extended(v), p_dot))
        return rate if self.free is None else rate[self.free]

    def _rates_of_selected(self, directions: list[Array]) -> list[Array]:
        """Return the rates of Ā along the directions, (nnz of the free block,) each."""
        f = self.factorization
        A, n = f.A, f.A.shape[0]
        by_rows = np.argsort(A.indices, kind="stable")  # Entries of A, row by row.
        starts = np.searchsorted(A.indices[by_rows], np.arange(n + 1))
        columns = columns_of(A)
        rates = [np.zeros(A.nnz, np.result_type(A.dtype, d.dtype)) for d in directions]
        with collecting(self._counts):
            for low in range(0, n, BLOCK):
                high = min(n, low + BLOCK)
                units = np.zeros((n, high - low))
                units[np.arange(low, high), np.arange(high - low)] = 1.0
                Y = f.solve(units)
                entries = by_rows[starts[low] : starts[high]]
                place = (columns[entries], A.indices[entries] - low)
                for rate, direction in zip(rates, directions, strict=True):
                    rate[entries] = -f.solve(self._rate_times(Y, direction))[place].conj()
        return rates

    def _contracted(self, data: Array) -> Array:
        with collecting(self._counts), phase("gradient"):
            return checked_contraction(self.A, self.p, self._on_pattern(data))

    def _second(self, p_dot: Array) -> Array:
        """Return the derivative of p ↦ contract(p, Ā) along ṗ, with Ā fixed, (m,)."""
        A_bar = self._on_pattern(self.selected.A_bar.data)
        with collecting(self._counts), phase("gradient"):
            return checked_contraction_rate(self.A, self.p, A_bar, p_dot)


def log_determinant_of(
    residual: object, inverse: object, p: Array, counts: Counts
) -> MatrixLogDeterminant:
    """Return log |det A(p)| of the linear problem with this residual.

    residual: that of a linear problem, with an attribute A and perhaps Dirichlet data.
    inverse: its inverse, which holds the factorization.

    Raises TypeError if the problem is not linear, or was not solved by factors.
    """
    free, matrix = None, None
    if hasattr(residual, "dirichlet"):
        residual = residual.inner  # type: ignore[attr-defined]
        free, matrix = inverse.free, inverse.A  # type: ignore[attr-defined]
        inverse = inverse.inner  # type: ignore[attr-defined]
    while not isinstance(inverse, Factorization):
        inner = getattr(inverse, "inverse", None) or getattr(inverse, "factorization", None)
        if inner is None:
            break
        inverse = inner
    A = getattr(residual, "A", None)
    if A is None or not isinstance(inverse, Factorization):
        raise TypeError(
            f"log_determinant: {type(residual).__name__} solved by {type(inverse).__name__} is "
            "not a linear problem A(p) u = b(p) with a direct factorization"
        )
    return MatrixLogDeterminant(
        A, p, inverse.A if matrix is None else matrix, inverse, free, counts
    )
