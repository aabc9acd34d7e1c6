"""Dirichlet data: unknowns with given values g(p).

With the unknowns in the order (free, fixed) the residual of a linear problem is R =
(A_ff u_f + A_fd u_d − b_f, u_d − g(p)), and its Jacobian is [[A_ff, A_fd], [0, I]].
Only A_ff is factored; it is symmetric if A is symmetric
(docs/math/matrices_and_objectives.md, eq. 10).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._optional_methods import checked_residual_hvp, checked_vector_hvp
from .._validation import as_array, require_methods
from ..factor.backward_error import product
from ..factor.csc import as_right_hand_side
from ..factor.evidence import Evidence
from ..matrices.vectors import ConstantVector
from ..protocols import Inverse, Residual, Vector
from ..typing import Array, Trans


@dataclass(frozen=True, eq=False)
class Dirichlet(Portable):
    """u_i = g_i(p) for the unknowns i in `fixed`.

    Parameters
    ----------
    fixed : (d,) array of integers
        Indices of the fixed unknowns, each index once.
    values : (d,) array, or Vector
        g, in the units of u; or p ↦ g(p). All load cases have the same values.

    Raises
    ------
    TypeError
        Unless `fixed` is a vector of integers.
    ValueError
        If `fixed` is empty, or holds repeated or negative indices; if an array of
        values does not have the shape of `fixed`.
    """

    fixed: Array
    values: Array | Vector

    __repr__ = short_repr

    def __post_init__(self) -> None:
        # A copy, because solutions refer to the array.
        fixed = np.array(as_array("Dirichlet", "fixed", self.fixed))
        if fixed.size == 0:
            raise ValueError("Dirichlet: no unknown is fixed; leave `dirichlet` out")
        if fixed.dtype.kind not in "iu" or fixed.ndim != 1:
            raise TypeError(
                f"Dirichlet: got fixed of dtype {fixed.dtype}, shape {fixed.shape}; "
                "expected indices (d,)"
            )
        if fixed.min() < 0 or np.unique(fixed).size < fixed.size:
            raise ValueError(
                "Dirichlet: fixed holds negative or repeated indices, expected each unknown once"
            )
        object.__setattr__(self, "fixed", fixed)
        if callable(self.values):
            require_methods(
                "Dirichlet",
                "values",
                self.values,
                ("__call__", "vjp"),
                "an array (d,) or a Vector g(p)",
            )
        elif as_array("Dirichlet", "values", self.values).shape != fixed.shape:
            raise ValueError(
                f"Dirichlet: got values of shape {np.shape(self.values)}, expected {fixed.shape}"
            )

    @cached_property
    def given(self) -> Vector:
        """The values g(p) as a Vector."""
        return self.values if callable(self.values) else ConstantVector(self.values)

    def free(self, n: int) -> Array:
        """Return the indices of the free unknowns.

        Parameters
        ----------
        n : int
            Number of all unknowns.

        Returns
        -------
        (n − d,) array of integers
            The indices that are not in `fixed`, in ascending order.

        Raises
        ------
        ValueError
            If an index in `fixed` is n or larger, or if no unknown is free.
        """
        if self.fixed.max() >= n:
            raise ValueError(
                f"Dirichlet: unknown {self.fixed.max()} is fixed, but there are only {n}"
            )
        if self.fixed.size == n:
            raise ValueError(f"Dirichlet: all {n} unknowns are fixed, expected at least one free")
        return np.setdiff1d(np.arange(n), self.fixed)

    def at(self, p: Array, shape: tuple[int, ...]) -> Array:
        """Return g(p) for a state of a given shape.

        Parameters
        ----------
        p : (m,) array
            Parameters.
        shape : tuple of int
            The shape of the state: (n,) or (n, k).

        Returns
        -------
        (d,) or (d, k) array
            g(p), repeated for k load cases.

        Raises
        ------
        ValueError
            If g(p) does not have the shape (d,).
        """
        g = np.asarray(self.given(p))
        if g.shape != self.fixed.shape:
            raise ValueError(
                f"Dirichlet: values(p) has shape {g.shape}, expected {self.fixed.shape}: "
                "one value for each fixed unknown"
            )
        return g if len(shape) == 1 else np.repeat(g[:, None], shape[1], axis=1)


@dataclass(frozen=True, eq=False)
class DirichletInverse:
    """The inverse of [[A_ff, A_fd], [0, I]], by a factorization of A_ff.

    A: the whole matrix, (n, n). free, fixed: indices of the free and of the fixed
    unknowns. inner: the inverse of A_ff.
    """

    A: sparse.csc_array
    free: Array
    fixed: Array
    inner: Inverse

    @classmethod
    def of(
        cls,
        A: sparse.csc_array,
        dirichlet: Dirichlet,
        factorize: Callable[[sparse.csc_array], Inverse],
    ) -> "DirichletInverse":
        """Factor the free block of A."""
        free = dirichlet.free(A.shape[0])
        return cls(A, free, dirichlet.fixed, factorize(sparse.csc_array(A[:, free][free])))

    @property
    def evidence(self) -> Evidence:
        """The evidence of the factorization of A_ff."""
        return self.inner.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with the whole matrix ("N"), its transpose ("T") or conjugate transpose ("H").

        b: the right-hand sides, (n,) or (n, k).
        """
        b = as_right_hand_side(b, self.A.shape[0])
        u = np.zeros(b.shape, dtype=np.result_type(b.dtype, self.A.dtype))
        if trans == "N":
            u[self.fixed] = b[self.fixed]
            u[self.free] = self.inner.solve(b[self.free] - (self.A @ u)[self.free])
        else:
            u[self.free] = self.inner.solve(b[self.free], trans)
            u[self.fixed] = b[self.fixed] - product(self.A, u, trans)[self.fixed]
        return u


def within(
    dirichlet: Dirichlet | None,
    A: sparse.csc_array,
    factorize: Callable[[sparse.csc_array], Inverse],
) -> Inverse:
    """Return the inverse of A; with Dirichlet data, of A with unit rows for fixed unknowns.

    factorize: the function that is called with A, or, with Dirichlet data, with the
    block of A for the free unknowns.
    """
    return factorize(A) if dirichlet is None else DirichletInverse.of(A, dirichlet, factorize)


@dataclass(frozen=True, eq=False)
class Constrained:
    """A residual with Dirichlet rows: R(u, p) for free unknowns, u − g(p) for fixed unknowns.

    See docs/math/matrices_and_objectives.md, eq. 10.

    inner: R(u, p) for all unknowns; the rows of R for the fixed unknowns are not used.
    """

    inner: Residual
    dirichlet: Dirichlet

    def residual(self, u: Array, p: Array) -> Array:
        """Return R(u, p), of u's shape, with rows u − g(p) for the fixed unknowns."""
        fixed = self.dirichlet.fixed
        g = u[fixed] - self.dirichlet.at(p, u.shape)
        r = np.asarray(self.inner.residual(u, p))
        if r.shape != u.shape:
            raise ValueError(
                f"the residual has shape {r.shape}, expected {u.shape}, one equation for each "
                "unknown"
            )
        if r.dtype.kind not in "fciu":
            raise TypeError(f"the residual has dtype {r.dtype}, expected float64 or complex128")
        r = r.astype(np.result_type(r, g))  # A copy: the user's class may reuse its array.
        r[fixed] = g
        return r

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """Return ∂R/∂u, (n, n), with unit rows for the fixed unknowns."""
        A = self.inner.jacobian(u, p)
        kept = np.ones(A.shape[0])
        kept[self.dirichlet.fixed] = 0.0
        return sparse.csc_array(sparse.diags_array(kept) @ A + sparse.diags_array(1.0 - kept))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """Return (∂R/∂p)ᴴ λ, (m,), with the rows of Dirichlet data."""
        lam, reaction = self._split(lam)
        return less("vjp", self.inner.vjp(u, p, lam), self.dirichlet.given.vjp(p, reaction))

    def _split(self, lam: Array) -> tuple[Array, Array]:
        """Return two parts of λ.

        The first is λ with zeros for the fixed unknowns. The second, (d,), holds the
        entries of λ at the fixed unknowns, summed over the k load cases.
        """
        fixed = self.dirichlet.fixed
        reaction = lam[fixed].reshape(fixed.size, -1).sum(axis=1)
        lam = lam.copy()
        lam[fixed] = 0.0
        return lam, reaction

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The `hvp` of R for the rows of the free unknowns, minus the `hvp` of g(p).

        Raises TypeError if R or g has no `hvp`.
        """
        lam, reaction = self._split(lam)
        u_part, p_part = checked_residual_hvp(self.inner, u, p, lam, u_dot, p_dot)
        return u_part, less(
            "hvp", p_part, checked_vector_hvp(self.dirichlet.given, p, reaction, p_dot)
        )

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """Return (∂R/∂p) ṗ, of u's shape, with the rows of Dirichlet data."""
        fixed = self.dirichlet.fixed
        r = np.asarray(self.inner.jvp(u, p, p_dot))
        if r.shape != u.shape:
            raise ValueError(
                f"the jvp of the residual (of A or b) has shape {r.shape}, expected {u.shape}"
            )
        rates = less("jvp", np.zeros(fixed.size), self.dirichlet.given.jvp(p, p_dot))
        r = r.astype(np.result_type(r, rates))  # A and b may have real rates, or integer zeros.
        r[fixed] = rates if u.ndim == 1 else rates[:, None]
        return r


def less(method: str, first: Array, second: Array) -> Array:
    """Return first − second.

    Raises ValueError if the shapes differ, because NumPy would broadcast them.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(
            f"the {method} of A, b and Dirichlet values differ in shape: {first.shape}, "
            f"{second.shape}"
        )
    return np.asarray(first - second)
