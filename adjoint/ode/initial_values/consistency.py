"""Consistent values of the algebraic unknowns: u + N z with Zᴴ f(t, u + N z, p) = 0."""

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..._numerics import rms
from ...errors import InconsistentStart, SingularMatrix, integration_failure
from ...factor.factorization import Factorization
from ...factor.factorizers import lu
from ...typing import Array, Trans
from ..equations import System
from ..stages.simplified_newton import damping
from ..stages.stage_matrices import Inverse, SparseInverse, times
from .null_spaces import NullSpace

ITERATIONS = 50
"""Maximum number of Newton steps for consistent initial values."""


SHORTEST = 1e-4
"""Smallest part of a Newton step that is tried."""


_UNSOLVED = "No consistent initial values found near u0"


Reached: TypeAlias = tuple[float, int]
"""(t, number of steps): the time and the step that an error names."""


def consistent_unknowns(
    system: System, reached: Reached, t: float, u: Array, nulls: NullSpace
) -> Array:
    """u + N z with Zᴴ f(t, u + N z, p) = 0, by Newton's method with damping.

    Each correction is damped until the next correction is smaller. reached: time and
    step for error messages. Raises InconsistentStart if Newton's method does not
    converge.
    """
    w = system.weights(u)
    for _ in range(ITERATIONS):
        inverse = constraint_factors(system, reached, system.jacobian(t, u), nulls)
        d = _constraint_correction(system, t, u, nulls, inverse)
        size = rms(d * w)
        if size <= 1e-3 * min(1.0, system.accuracy / system.rtol):
            break
        factor = damping(size, partial(_later_size, system, t, u, d, w, nulls, inverse), SHORTEST)
        if factor <= SHORTEST:
            if size <= 1e-3:  # The correction is rounding.
                break
            raise integration_failure(
                InconsistentStart, f"{_UNSOLVED}: no step reduces the corrections.", *reached
            )
        u = u + factor * d
    else:
        raise integration_failure(
            InconsistentStart, f"{_UNSOLVED}: {ITERATIONS} steps did not suffice.", *reached
        )
    # The imaginary part of a complex step converges linearly.
    for _ in range(4 if system.perturbed else 1):
        u = u + _constraint_correction(system, t, u, nulls, inverse)
    return u


def _later_size(
    system: System,
    t: float,
    u: Array,
    d: Array,
    w: Array,
    nulls: NullSpace,
    inverse: Factorization,
    factor: float,
) -> float:
    """The size of the correction at u + factor · d, in units of the tolerances."""
    return rms(_constraint_correction(system, t, u + factor * d, nulls, inverse) * w)


def _constraint_correction(
    system: System, t: float, u: Array, nulls: NullSpace, inverse: Factorization
) -> Array:
    """−N (Zᴴ ∂f/∂u N)⁻¹ Zᴴ f, (n,); nan if Zᴴ f is not finite."""
    f = np.asarray(nulls.Z.conj().T @ system.rate(t, u))
    return -(nulls.N @ inverse.solve(f)) if np.isfinite(f).all() else np.full(u.shape, np.nan)


def require_consistent(
    system: System, reached: Reached, t: float, u: Array, f: Array, nulls: NullSpace
) -> None:
    """Raise InconsistentStart unless u satisfies the algebraic equations to the tolerances.

    reached: time and step for error messages. f: f(t, u, p), (n,).
    """
    inverse = constraint_factors(system, reached, system.jacobian(t, u), nulls)
    d = -(nulls.N @ inverse.solve(np.asarray(nulls.Z.conj().T @ f)))
    size = rms(d * system.weights(u))
    if not size <= 1.0:
        worst = int(np.argmax(np.abs(d)))
        raise integration_failure(
            InconsistentStart,
            f"u0 does not satisfy the algebraic equations: unknown {worst} should change by "
            f"{d[worst]:.3g} ({size:.2g} times the tolerances). consistent=True solves for the "
            "algebraic unknowns.",
            *reached,
        )


def constraint_factors(
    system: System, reached: Reached, J: Array | sparse.csc_array, nulls: NullSpace
) -> Factorization:
    """The factors of Zᴴ ∂f/∂u N; raise InconsistentStart if this matrix is singular."""
    A = sparse.csc_array(nulls.Z.conj().T @ sparse.csc_array(J) @ nulls.N)
    A.sum_duplicates()
    try:
        factorization = lu(A)
        factorization.condition()
    except SingularMatrix:
        raise integration_failure(
            InconsistentStart,
            "The algebraic equations do not determine the algebraic unknowns: the "
            f"{A.shape[0]}x{A.shape[0]} matrix of their derivatives is "
            f"singular{_undetermined(A, nulls)}. Usual causes: a DAE of higher index (replace an "
            "algebraic equation by its derivative with respect to t); equations that contradict "
            "or repeat each other; a state at which a derivative vanishes.",
            *reached,
        ) from None  # Its message names causes in statics, such as a missing support.
    return factorization


def _undetermined(A: sparse.csc_array, nulls: NullSpace) -> str:
    """The first unknown or equation whose derivatives are all zero, in words; "" without one."""
    sizes = np.abs(A.toarray()) if A.shape[0] <= 1000 else np.ones(A.shape)
    for found, basis, text in (
        (np.flatnonzero(~sizes.any(axis=0)), nulls.N, "no algebraic equation depends on unknown"),
        (np.flatnonzero(~sizes.any(axis=1)), nulls.Z, "no algebraic unknown occurs in equation"),
    ):
        if found.size:
            column = np.abs(basis[:, [found[0]]].toarray())[:, 0]
            return f" ({text} {int(np.argmax(column))} here)"
    return ""


@dataclass(frozen=True, eq=False)
class ConstraintMatrix:
    """Zᴴ ∂f/∂u N, sparse (a, a): the matrix that determines the algebraic unknowns."""

    A: sparse.csc_array

    @property
    def dense(self) -> bool:
        """False: the matrix is sparse."""
        return False

    def product(self, v: Array, trans: Trans) -> Array:
        """A v ("N") or Aᴴ v ("H") with the matrix A = Zᴴ ∂f/∂u N; v: (a,) or (a, j)."""
        return times(self.A, v, trans)

    def inverse(self) -> Inverse:
        """The factors of the matrix.

        Raises SingularMatrix if the matrix is singular, NonFinite if an entry is nan or
        inf.
        """
        self.A.sum_duplicates()
        return SparseInverse(lu(self.A), False)


@dataclass(frozen=True, eq=False)
class NearConstraints:
    """An approximate inverse −hγ Nᴴ (M − hγ J)⁻¹ Z = (Zᴴ J N)⁻¹ + O(h), by the factors of a step.

    inverse: the factors of M − hγ J. hg: hγ.
    """

    nulls: NullSpace
    inverse: Inverse
    hg: float

    @property
    def nbytes(self) -> int:
        """The number of bytes of the factors of the step."""
        return self.inverse.nbytes

    def solve(self, b: Array, trans: Trans) -> Array:
        """The approximate solution w of (Zᴴ J N) w = b."""
        into, out = (self.nulls.Z, self.nulls.N) if trans == "N" else (self.nulls.N, self.nulls.Z)
        return -self.hg * np.asarray(out.conj().T @ self.inverse.solve(np.asarray(into @ b), trans))
