"""Dirichlet data: unknowns whose values are given, zero or not, constant or depending on p.

With the unknowns in the order (free, fixed) the residual is R = (A_ff u_f + A_fd u_d − b_f, u_d − g(p)), and its
Jacobian [[A_ff, A_fd], [0, I]]: only A_ff is factored, and stays symmetric where A is (docs/math.md, eq. 10).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .arrays import Array, Trans
from .factor import Evidence
from .factor.accuracy import product
from .factor.matrix import as_right_hand_side
from .matrices.vectors import ConstantVector
from .residual import Vector
from .span import Inverse


@dataclass(frozen=True, eq=False)
class Dirichlet:
    """Which unknowns are given, and their values g.

    fixed: distinct indices, (d,). values: g, an array (d,), or a Vector p ↦ g(p); one column serves all load
    cases. Raises TypeError for a `fixed` that is no vector of integers, ValueError for one that is empty, or holds
    repeated or negative ones, and for an array of values of another shape.
    """

    fixed: Array
    values: Array | Vector

    def __post_init__(self) -> None:
        fixed = np.asarray(self.fixed)
        if fixed.size == 0:
            raise ValueError("Dirichlet: no unknown is fixed; leave `dirichlet` out")
        if fixed.dtype.kind not in "iu" or fixed.ndim != 1:
            raise TypeError(f"Dirichlet: got fixed of dtype {fixed.dtype}, shape {fixed.shape}; expected indices (d,)")
        if fixed.min() < 0 or np.unique(fixed).size < fixed.size:
            raise ValueError("Dirichlet: fixed holds negative or repeated indices, expected each unknown once")
        object.__setattr__(self, "fixed", fixed)
        if not callable(self.values) and np.shape(self.values) != fixed.shape:
            raise ValueError(f"Dirichlet: got values of shape {np.shape(self.values)}, expected {fixed.shape}")

    @cached_property
    def given(self) -> Vector:
        """g as a Vector."""
        return self.values if callable(self.values) else ConstantVector(self.values)

    def free(self, n: int) -> Array:
        """The unknowns that are not fixed, (n − d,); raises ValueError if `fixed` exceeds n or leaves none."""
        if self.fixed.max() >= n:
            raise ValueError(f"Dirichlet: unknown {self.fixed.max()} is fixed, but there are only {n}")
        if self.fixed.size == n:
            raise ValueError(f"Dirichlet: all {n} unknowns are fixed, expected at least one free")
        return np.setdiff1d(np.arange(n), self.fixed)

    def at(self, p: Array, shape: tuple[int, ...]) -> Array:
        """g(p) for a state of the given shape: (d,), or (d, k); raises ValueError where g(p) is not (d,)."""
        g = np.asarray(self.given(p))
        if g.shape != self.fixed.shape:
            raise ValueError(
                f"Dirichlet: values(p) has shape {g.shape}, expected {self.fixed.shape}: one for each unknown"
            )
        return g if len(shape) == 1 else np.repeat(g[:, None], shape[1], axis=1)


@dataclass(frozen=True, eq=False)
class Bordered:
    """The inverse of [[A_ff, A_fd], [0, I]], by a factorization of A_ff.

    A: (n, n), all of it; free, fixed: the unknowns of either kind; inner: the inverse of A_ff.
    """

    A: sparse.csc_array
    free: Array
    fixed: Array
    inner: Inverse

    @classmethod
    def of(
        cls, A: sparse.csc_array, dirichlet: Dirichlet, factorize: Callable[[sparse.csc_array], Inverse]
    ) -> "Bordered":
        """Factor the free block of A."""
        free = dirichlet.free(A.shape[0])
        return cls(A, free, dirichlet.fixed, factorize(sparse.csc_array(A[:, free][free])))

    @property
    def evidence(self) -> Evidence:
        """That of the free block."""
        return self.inner.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k), with the matrix, its transpose or its conjugate transpose."""
        b = as_right_hand_side(b, self.A.shape[0])
        u = np.zeros(b.shape, dtype=np.result_type(b.dtype, self.A.dtype))
        if trans == "N":
            u[self.fixed] = b[self.fixed]
            u[self.free] = self.inner.solve(b[self.free] - (self.A @ u)[self.free])
        else:
            u[self.free] = self.inner.solve(b[self.free], trans)
            u[self.fixed] = b[self.fixed] - product(self.A, u, trans)[self.fixed]
        return u
