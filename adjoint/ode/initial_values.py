"""Where an integration begins: u(t₀), consistent for a DAE, and K₁ = u'(t₀); with their derivatives.

Null spaces of a mass matrix: the algebraic equations of a DAE, and its algebraic unknowns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

from .._numerics import rms
from ..errors import (
    InconsistentStart,
    NonFinite,
    NonFiniteField,
    SingularMatrix,
    integration_failure,
)
from ..factor.factorization import Factorization
from ..factor.factorizers import lu
from ..typing import Array, Trans
from .discontinuities.time_rates import rate_at
from .equations import System, parameter_cotangents, parameter_tangents
from .failures import at_the_edge
from .stages.refinement import Recent, StageSolver
from .stages.stage_matrices import Inverse, SparseInverse, times

LARGEST = 500
"""Unknowns that M may couple with each other and still be searched for null vectors; the mass matrix of a mesh couples
all of its own, and is regular."""


RANK = 1e-12
"""Singular values below this part of the largest one of their block are zero."""


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Zᴴ M = 0 and M N = 0: (n, a) each, sparse."""

    Z: sparse.csc_array
    N: sparse.csc_array


def null_space(M: Array | sparse.csc_array | None) -> NullSpace | None:
    """The null spaces of M (n, n), None where it is regular, as far as blocks of at most `LARGEST` rows show."""
    if M is None:
        return None
    A = sparse.csc_array(M)
    A.eliminate_zeros()
    n = A.shape[0]
    rows = np.flatnonzero(np.bincount(A.indices, minlength=n) == 0)
    columns = np.flatnonzero(np.diff(A.indptr) == 0)
    left = [_units(n, rows)]
    right = [_units(n, columns)]
    for R, C in _blocks(A):
        U, sizes, Vh = np.linalg.svd(A[R][:, C].toarray())
        rank = int(np.sum(sizes > RANK * sizes.max(initial=0.0)))
        left.append(_embedded(n, R, U[:, rank:]))
        right.append(_embedded(n, C, Vh[rank:].conj().T))
    Z, N = (sparse.csc_array(sparse.hstack(parts, format="csc")) for parts in (left, right))
    if Z.shape[1] == 0:
        return None
    return NullSpace(Z, N)


def constant_nulls(nulls: NullSpace, jvp: Callable[[Array, Array], Array] | None, p: Array) -> bool:
    """Whether Zᴴ (∂M/∂p ṗ) = 0 and (∂M/∂p ṗ) N = 0 for a random ṗ, so that the null spaces do not depend on p.

    jvp: (u, ṗ) ↦ (∂M/∂p ṗ) u; None for a constant M.
    """
    if jvp is None:
        return True
    rng = np.random.default_rng(0)
    p_dot = rng.uniform(0.5, 1.0, p.size)
    image = np.asarray(jvp(rng.uniform(0.5, 1.0, nulls.N.shape[0]), p_dot))
    right = np.asarray(jvp(nulls.N @ rng.uniform(0.5, 1.0, nulls.N.shape[1]), p_dot))
    left = nulls.Z.conj().T @ image
    size = float(np.abs(image).max())
    return bool(max(np.abs(left).max(), np.abs(right).max()) <= RANK * size)


def _blocks(A: sparse.csc_array) -> list[tuple[Array, Array]]:
    """Rows and columns of each connected block of A with more than one entry, but for large ones."""
    n = A.shape[0]
    entries = A.tocoo()
    graph = sparse.csr_array((np.ones(A.nnz), (entries.row, n + entries.col)), shape=(2 * n, 2 * n))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    # A block of one row and one column, or a row or a column of zeros, has been dealt with.
    candidates = np.flatnonzero((sizes > 2) & (sizes <= 2 * LARGEST))
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(sizes)
    members = [order[ends[label] - sizes[label] : ends[label]] for label in candidates]
    return [(nodes[nodes < n], nodes[nodes >= n] - n) for nodes in members]


def _units(n: int, places: Array) -> sparse.csc_array:
    return sparse.csc_array(
        (np.ones(places.size), (places, np.arange(places.size))), shape=(n, places.size)
    )


def _embedded(n: int, places: Array, vectors: Array) -> sparse.csc_array:
    full = sparse.lil_array((n, vectors.shape[1]), dtype=vectors.dtype)
    if vectors.size:
        full[places] = vectors
    return sparse.csc_array(full)


ITERATIONS = 50
"""Newton steps at most for consistent initial values."""


SHORTEST = 1e-4
"""Part of a Newton step below which none is tried."""


@dataclass(frozen=True, eq=False)
class Cotangents:
    """∂J with respect to what an integration begins with: u₀ (n, j), p (m, j), t₀ (j,)."""

    u0: Array
    p: Array
    t: Array


@dataclass(frozen=True, eq=False)
class Beginning:
    """u: (n,) at t, seen from the right; k: (n,), M k = f, zeros where M is singular or the method does without.

    nulls: of a singular M. moved: whether algebraic unknowns were solved for. derived: whether k is u', by `inverse`,
    the factors of M; None for the identity. near: (B, hγ), the factors of a matrix M − hγ ∂f/∂u nearby, which solve for
    algebraic unknowns; None without any.
    """

    system: System
    t: float
    u: Array
    k: Array
    nulls: NullSpace | None
    moved: bool
    derived: bool
    inverse: Inverse | None
    near: tuple[Inverse, float] | None = None

    def pull(self, u_bar: Array, k_bar: Array, span: float | None) -> Cotangents:
        """From the cotangents of u and k, (n, j) each; span: the length of the step, None unless t̄ is wanted."""
        try:
            return self._pulled(u_bar, k_bar, span)
        except NonFiniteField:  # It has its time and its causes.
            raise
        except NonFinite as error:
            raise self._at_the_edge("The reverse sweep fails", error) from error

    def _at_the_edge(self, what: str, error: NonFinite) -> NonFiniteField:
        """The error that names the time and the component where derivatives are not finite."""
        return at_the_edge(
            self.system, [self.t], self.u[None], (self.t, self.t), 0, f"{what} ({error})"
        )

    def _pulled(self, u_bar: Array, k_bar: Array, span: float | None) -> Cotangents:
        system, t, u = self.system, self.t, self.u
        p_bar = np.zeros((system.p.size, u_bar.shape[1]), dtype=system.p.dtype)
        t_bar = np.zeros(u_bar.shape[1])
        weights = []
        if not (self.derived or self.moved):
            return Cotangents(u_bar, p_bar, t_bar)
        J = system.jacobian(t, u)
        if self.derived:
            w = k_bar if self.inverse is None else self.inverse.solve(k_bar, "H")
            u_bar = u_bar + times(J, w, "H")
            p_bar += parameter_cotangents(system, t, u, self.k, w)
            weights.append(w)
        if self.moved:
            nulls = self._nulls
            mu = nulls.Z @ self._constraints(J).solve(np.asarray(nulls.N.conj().T @ u_bar), "H")
            u_bar = u_bar - times(J, mu, "H")
            p_bar -= parameter_cotangents(system, t, u, None, mu)
            weights.append(-mu)
        if span is not None:
            t_bar += np.real(np.einsum("ij,i->j", np.conj(sum(weights)), self._time_rate(span)))
        return Cotangents(u_bar, p_bar, t_bar)

    def _time_rate(self, span: float) -> Array:
        """∂f/∂t, (n,); raises NonFiniteField where it is infinite. span: the length of the step."""
        system, t, u = self.system, self.t, self.u
        size = np.maximum(np.abs(system.rate(t, u)), np.abs(self.k))
        return rate_at(lambda t: system.time_derivative(t, u), t, span, size, "f")

    def push(
        self, u0_dot: Array, p_dot: Array, t_dot: Array | None, span: float
    ) -> tuple[Array, Array]:
        """(u̇, k̇), (n, j) each, from u̇₀ (n, j), ṗ (m, j) and ṫ (j,), None for zero; span: the length of the step."""
        try:
            return self._pushed(u0_dot, p_dot, t_dot, span)
        except NonFiniteField:
            raise
        except NonFinite as error:
            raise self._at_the_edge("The tangent sweep fails", error) from error

    def _pushed(
        self, u0_dot: Array, p_dot: Array, t_dot: Array | None, span: float
    ) -> tuple[Array, Array]:
        system, t, u = self.system, self.t, self.u
        moving: Array | float = 0.0
        if t_dot is not None and t_dot.any() and (self.derived or self.moved):
            moving = np.multiply.outer(self._time_rate(span), t_dot)
        u_dot, k_dot = u0_dot, np.zeros(u0_dot.shape, dtype=system.dtype)
        if not (self.derived or self.moved):
            return u_dot, k_dot
        J = system.jacobian(t, u)
        if self.moved:
            nulls = self._nulls
            rate = times(J, u_dot, "N") + parameter_tangents(system, t, u, None, p_dot) + moving
            change = self._constraints(J).solve(np.asarray(nulls.Z.conj().T @ rate), "N")
            u_dot = u_dot - nulls.N @ change
        if self.derived:
            rate = times(J, u_dot, "N") + parameter_tangents(system, t, u, self.k, p_dot) + moving
            k_dot = rate if self.inverse is None else self.inverse.solve(rate, "N")
        return u_dot, k_dot

    def _constraints(self, J: Array | sparse.csc_array) -> "Solver":
        """Solutions with Zᴴ J N."""
        if self.near is None:
            return self._factored
        nulls, scale = self._nulls, self.system.atol + self.system.rtol * np.abs(self.u)
        matrix = ConstraintMatrix(
            sparse.csc_array(nulls.Z.conj().T @ sparse.csc_array(J) @ nulls.N)
        )
        sizes = np.asarray(np.abs(nulls.N).T @ scale)
        return StageSolver(matrix, NearConstraints(nulls, *self.near), sizes, Recent(), [])

    @cached_property
    def _factored(self) -> Factorization:
        """The factors of Zᴴ ∂f/∂u N."""
        J = self.system.jacobian(self.t, self.u)
        return _algebraic(self.system, (self.t, 0), J, self._nulls)

    @property
    def _nulls(self) -> NullSpace:
        assert self.nulls is not None
        return self.nulls


class Solver(Protocol):
    """Solves with Zᴴ ∂f/∂u N, in either direction."""

    def solve(self, b: Array, trans: Trans) -> Array: ...


@dataclass(frozen=True, eq=False)
class ConstraintMatrix:
    """Zᴴ ∂f/∂u N, sparse (a, a): what the algebraic unknowns are determined by."""

    A: sparse.csc_array

    @property
    def dense(self) -> bool:
        """It is not."""
        return False

    def product(self, v: Array, trans: Trans) -> Array:
        """The matrix times v, or its conjugate transpose."""
        return times(self.A, v, trans)

    def inverse(self) -> Inverse:
        """Factors; raises SingularMatrix, NonFinite."""
        self.A.sum_duplicates()
        return SparseInverse(lu(self.A), False)


@dataclass(frozen=True, eq=False)
class NearConstraints:
    """−hγ Nᴴ (M − hγ J)⁻¹ Z, which is (Zᴴ J N)⁻¹ up to O(h): by the factors that a step has."""

    nulls: NullSpace
    inverse: Inverse
    hg: float

    @property
    def nbytes(self) -> int:
        """Those of the step."""
        return self.inverse.nbytes

    def solve(self, b: Array, trans: Trans) -> Array:
        """The solution for b, nearly."""
        into, out = (self.nulls.Z, self.nulls.N) if trans == "N" else (self.nulls.N, self.nulls.Z)
        return -self.hg * np.asarray(out.conj().T @ self.inverse.solve(np.asarray(into @ b), trans))


def begun(
    system: System,
    t: float,
    seen: float,
    u0: Array,
    nulls: NullSpace | None,
    consistent: bool,
    derived: bool,
) -> Beginning:
    """The beginning at (t, u₀); seen: t⁺; consistent: solve for algebraic unknowns; derived: whether K₁ is needed.

    Raises InconsistentStart, NonFiniteField, SingularMatrix for an M that is singular although it does not look so.
    """
    f = system.first_rate(t, seen, u0)
    if u0.dtype.kind == "c" and not system.perturbed:
        system.jacobian(
            seen, u0
        )  # Derived fields refuse complex states: here, not after the solve.
    if nulls is None:
        k = np.zeros(system.n, dtype=system.dtype)
        if derived:
            k = f if system.mass_inverse is None else system.mass_inverse.solve(f, "N")
        return Beginning(
            system, seen, u0, k, None, False, derived, system.mass_inverse if derived else None
        )
    u = consistent_unknowns(system, (t, 0), seen, u0, nulls) if consistent else u0
    if not consistent:
        _require_consistent(system, (t, 0), seen, u0, f, nulls)
    return Beginning(
        system, seen, u, np.zeros(system.n, dtype=system.dtype), nulls, consistent, False, None
    )


Reached: TypeAlias = tuple[float, int]
"""(t, number of steps) that an error names."""


def _algebraic(
    system: System, reached: Reached, J: Array | sparse.csc_array, nulls: NullSpace
) -> Factorization:
    """The factors of Zᴴ ∂f/∂u N; raises InconsistentStart where it is singular."""
    A = sparse.csc_array(nulls.Z.conj().T @ sparse.csc_array(J) @ nulls.N)
    A.sum_duplicates()
    try:
        factorization = lu(A)
        factorization.condition()
    except SingularMatrix:
        raise integration_failure(
            InconsistentStart,
            f"The algebraic equations do not determine the algebraic unknowns: the {A.shape[0]}x{A.shape[0]} matrix of "
            f"their derivatives is singular{_undetermined(A, nulls)}. Either the DAE is of higher index, and a "
            "derivative of an algebraic equation has to take its place; or its equations contradict each other, or say "
            "the same twice; or the state is a point at which a derivative vanishes.",
            *reached,
        ) from None  # Whose causes are those of a body that nothing holds.
    return factorization


def _undetermined(A: sparse.csc_array, nulls: NullSpace) -> str:
    """Which unknown or equation has no derivative at all, in words; nothing if each has."""
    sizes = np.abs(A.toarray()) if A.shape[0] <= 1000 else np.ones(A.shape)
    for found, basis, text in (
        (np.flatnonzero(~sizes.any(axis=0)), nulls.N, "no algebraic equation depends on unknown"),
        (np.flatnonzero(~sizes.any(axis=1)), nulls.Z, "no algebraic unknown occurs in equation"),
    ):
        if found.size:
            column = np.abs(basis[:, [found[0]]].toarray())[:, 0]
            return f" ({text} {int(np.argmax(column))} here)"
    return ""


def consistent_unknowns(
    system: System, reached: Reached, t: float, u: Array, nulls: NullSpace
) -> Array:
    """u + N z with Zᴴ f(t, u + N z, p) = 0: Newton's method, halving steps that do not reduce the corrections.

    Raises InconsistentStart with what was reached.
    """
    w = system.weights(u)
    for _ in range(ITERATIONS):
        inverse = _algebraic(system, reached, system.jacobian(t, u), nulls)
        d = _constraint_correction(system, t, u, nulls, inverse)
        size, factor = rms(d * w), 1.0
        if size <= 1e-3 * min(1.0, system.accuracy / system.rtol):
            break
        while factor > SHORTEST:
            later = rms(_constraint_correction(system, t, u + factor * d, nulls, inverse) * w)
            if later <= (1.0 - 0.25 * factor) * size:
                break
            factor *= 0.5
        else:
            if size <= 1e-3:  # Rounding.
                break
            raise integration_failure(
                InconsistentStart, f"{_UNSOLVED}: no step reduces the corrections.", *reached
            )
        u = u + factor * d
    else:
        raise integration_failure(
            InconsistentStart, f"{_UNSOLVED}: {ITERATIONS} steps did not suffice.", *reached
        )
    for _ in range(
        4 if system.perturbed else 1
    ):  # The imaginary part of a complex step converges linearly.
        u = u + _constraint_correction(system, t, u, nulls, inverse)
    return u


_UNSOLVED = "No consistent initial values found near u0"


def _constraint_correction(
    system: System, t: float, u: Array, nulls: NullSpace, inverse: Factorization
) -> Array:
    """−N (Zᴴ ∂f/∂u N)⁻¹ Zᴴ f, (n,); nan where f is."""
    f = np.asarray(nulls.Z.conj().T @ system.rate(t, u))
    return -(nulls.N @ inverse.solve(f)) if np.isfinite(f).all() else np.full(u.shape, np.nan)


def _require_consistent(
    system: System, reached: Reached, t: float, u: Array, f: Array, nulls: NullSpace
) -> None:
    inverse = _algebraic(system, reached, system.jacobian(t, u), nulls)
    d = -(nulls.N @ inverse.solve(np.asarray(nulls.Z.conj().T @ f)))
    size = rms(d * system.weights(u))
    if not size <= 1.0:
        worst = int(np.argmax(np.abs(d)))
        raise integration_failure(
            InconsistentStart,
            f"u0 does not satisfy the algebraic equations: unknown {worst} should change by {d[worst]:.3g} "
            f"({size:.2g} times the tolerances). consistent=True solves for the algebraic unknowns.",
            *reached,
        )
