"""M(p) u' = f(t, u, p) for one p: checked and counted evaluations, and the mass matrix."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._numerics import BLAS
from .._validation import first_nonfinite, missing_methods
from ..errors import NonFiniteField, integration_failure
from ..factor.csc import as_csc, owned
from ..matrices.affine import Constant
from ..protocols import Field, Integrand, Matrix, TimeDerivative
from ..typing import Array, SparseMatrix
from .stages.stage_matrices import SMALL, Algebra, Inverse


@dataclass(frozen=True, eq=False)
class MassAt:
    """M(p) for one p, and the derivatives of M u with respect to p.

    matrix: M(p), None for the identity. vjp: (u, λ) ↦ (∂(M u)/∂p)ᴴ λ, (m,). jvp: (u, ṗ) ↦
    (∂M/∂p ṗ) u, (n,). matrix_of_p: the function p ↦ M(p). vjp, jvp and matrix_of_p are
    None for a constant M.
    """

    matrix: Array | sparse.csc_array | None
    vjp: Callable[[Array, Array], Array] | None
    jvp: Callable[[Array, Array], Array] | None
    matrix_of_p: Matrix | None = None


@dataclass(eq=False)
class Statistics:
    """Counters of the work so far: evaluations of f and ∂f/∂u, factorizations, corrections.

    The counters grow during the integration and all sweeps.
    """

    evaluations: int = 0
    jacobians: int = 0
    factorizations: int = 0
    corrections: int = 0


@dataclass(frozen=True, eq=False)
class System:
    """The equations M u' = f(t, u, p) at p (m,), for n unknowns.

    dtype: dtype of the state. algebra: matrices and their factors. rtol, atol:
    tolerances; atol is a number or (n,). accuracy: see `Method`. perturbed: True if p
    and u are complex for a complex step through the whole integration. steps_given:
    True if the steps are given by a grid or an earlier integration, so that a failing
    step is not shortened. statistics: counters of the work.
    """

    field: Field
    integrand: Integrand | None
    p: Array
    n: int
    dtype: np.dtype[Any]
    mass: MassAt
    algebra: Algebra
    rtol: float
    atol: Array
    accuracy: float
    perturbed: bool
    steps_given: bool
    statistics: Statistics = dataclasses.field(default_factory=Statistics)

    @cached_property
    def shape(self) -> tuple[int]:
        """The shape of a state, (n,)."""
        return (self.n,)

    def rate(self, t: float, u: Array) -> Array:
        """f(t, u, p), (n,), which may contain nan or inf."""
        self.statistics.evaluations += 1
        f = self.field(t, u, self.p)
        return (
            f
            if f.__class__ is np.ndarray and f.shape == self.shape and f.dtype == self.dtype
            else self.checked(f)
        )

    def checked(self, f: Array) -> Array:
        """The result of the field as an array (n,).

        Raises TypeError if the result is not numeric, or is complex for real u and p;
        ValueError if its shape is not (n,).
        """
        f = np.asarray(f)
        if f.dtype.kind not in "fciu":
            raise TypeError(f"the field returned dtype {f.dtype}, expected float64 (n,)")
        if f.shape != (self.n,):
            raise ValueError(
                f"the field returned shape {f.shape}, expected ({self.n},), as u0 has {self.n} "
                "entries"
            )
        if f.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError(
                f"the field returned {f.dtype} for real u and p, expected float64. Complex "
                "states: give a complex u0"
            )
        return f

    def first_rate(self, t: float, seen: float, u: Array) -> Array:
        """f at the start of the integration, (n,), with more checks than in `rate`.

        seen: t⁺, at which f is evaluated. t: the time in messages. Raises
        NonFiniteField if f is nan or inf, ValueError if the field writes into u, and
        the errors of `checked`.
        """
        shown = u.view()
        shown.flags.writeable = False
        try:
            f = self.field(seen, shown, self.p)
        except Exception as error:
            if not isinstance(error, ValueError) or "read-only" not in str(error):
                error.add_note(
                    f"Raised for field(t, u, p) at t = {t:.6g}, with u {u.shape} and p "
                    f"{self.p.shape}."
                )
                raise
            raise ValueError(
                f"the field writes into u ({error}). u belongs to the solver: begin with u = "
                "u.copy()"
            ) from error
        f = self.checked(f)
        bad = first_nonfinite(f)
        if bad is not None:
            raise integration_failure(
                NonFiniteField,
                f"The field is {bad[1]} in component {bad[0]} at the start of the integration.",
                t,
                0,
            )
        return np.array(f, dtype=self.dtype)

    def jacobian(self, t: float, u: Array) -> Array | sparse.csc_array:
        """∂f/∂u at (t, u), dense for small systems.

        If p is perturbed, ∂f/∂u is evaluated at the real parts of u and p. This
        approximation changes the convergence of Newton's method, but not the solution.
        """
        self.statistics.jacobians += 1
        if self.perturbed:
            return self.algebra.jacobian(self.field.jacobian(t, u.real, self.p.real))
        return self.algebra.jacobian(self.field.jacobian(t, u, self.p))

    def inverse(self, t: float, u: Array, hg: float) -> Inverse:
        """The factors of M − hγ ∂f/∂u, with ∂f/∂u at (t, u); hg: hγ."""
        self.statistics.factorizations += 1
        return self.algebra.inverse(self.jacobian(t, u), hg)

    @cached_property
    def mass_inverse(self) -> Inverse | None:
        """The factors of M; None for the identity. Raises SingularMatrix if M is singular."""
        return self.algebra.mass_inverse()

    @cached_property
    def newton_algebra(self) -> Algebra:
        """The matrices for Newton's method with coupled stages, which are real if p is perturbed.

        Newton's method transforms stages by the complex eigenvectors of A. With complex
        matrices, this transformation would mix the real and imaginary parts of a
        perturbed state.
        """
        if not self.perturbed:
            return self.algebra
        mass = self.algebra.mass
        return dataclasses.replace(
            self.algebra, mass=None if mass is None else mass.real, is_complex=False
        )

    def weights(self, u: Array) -> Array:
        """Weights of the error norm, 1 / (atol + rtol |u|), (n,)."""
        return 1.0 / (self.atol + self.rtol * np.abs(u))

    def combined(self, weights: Array, K: Array) -> Array:
        """Σ_i weights_i K_i, or one sum per row of the weights.

        weights: (s,) or (r, s). K: (s, n) or (s, n, j).
        """
        if K.ndim == 2 and self.n <= BLAS:
            return weights.dot(K)
        return np.asarray(
            np.einsum("...j,j...->...", weights, K) if weights.ndim == 1 else _products(weights, K)
        )

    def integrand_rate(self, t: float, u: Array, q: int | None, steps: int) -> Array:
        """ℓ(t, u, p), (q,); q: known number of integrals, None for the first evaluation.

        steps: number of steps so far, for messages. Raises TypeError if ℓ is complex,
        ValueError if its shape is wrong, NonFiniteField if ℓ contains nan or inf.
        """
        assert self.integrand is not None
        rate = np.array(self.integrand(t, u, self.p))  # A copy: ℓ of several stages is kept.
        if rate.ndim != 1 or rate.dtype.kind not in "fciu" or (q is not None and rate.size != q):
            expected = "a vector (q,)" if q is None else f"({q},), as before"
            raise ValueError(
                f"the integrand returned shape {rate.shape}, dtype {rate.dtype}; expected "
                f"{expected}"
            )
        if rate.dtype.kind == "c" and not self.perturbed:
            raise TypeError(
                f"the integrand returned {rate.dtype}, expected float64: integrals are real"
            )
        # For a few numbers, np.isfinite would take longer than the integrand.
        few = rate.size <= 8 and rate.dtype.kind != "c"
        if not (all(map(math.isfinite, rate.tolist())) if few else np.isfinite(rate).all()):
            raise integration_failure(
                NonFiniteField,
                f"The integrand is {rate[~np.isfinite(rate)][0]} at t = {t:.6g}.",
                t,
                steps,
            )
        return rate

    def integrand_cotangents(self, t: float, u: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᴴ q̄, (∂ℓ/∂p)ᴴ q̄), of shapes (n,) and (m,), for q̄ (q,).

        Raises TypeError if the user's vjp does not return a pair, ValueError if an
        array of the pair has the wrong shape.
        """
        assert self.integrand is not None
        pair = self.integrand.vjp(t, u, self.p, q_bar)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"the vjp of the integrand returned a {type(pair).__name__}, expected a pair "
                "(u_bar, p_bar)"
            )
        through_u, through_p = np.asarray(pair[0]), np.asarray(pair[1])
        if through_u.shape != u.shape or through_p.shape != self.p.shape:
            raise ValueError(
                f"the vjp of the integrand returned shapes {through_u.shape} and "
                f"{through_p.shape}, expected {u.shape} and {self.p.shape}; zeros if u or p has "
                "no influence"
            )
        return through_u, through_p

    def time_derivative(self, t: float, u: Array) -> Array:
        """∂f/∂t, (n,); raises TypeError if the field has no method `time_derivative`."""
        if not isinstance(self.field, TimeDerivative):
            raise TypeError(_without_time(self.field, "(n,)"))
        return np.asarray(self.field.time_derivative(t, u, self.p))

    def integrand_time_derivative(self, t: float, u: Array) -> Array:
        """∂ℓ/∂t, (q,); raises TypeError if the integrand has no method `time_derivative`."""
        if not isinstance(self.integrand, TimeDerivative):
            raise TypeError(_without_time(self.integrand, "(q,)"))
        return np.asarray(self.integrand.time_derivative(t, u, self.p))


def parameter_cotangents(system: System, t: float, Y: Array, K: Array | None, w: Array) -> Array:
    """(∂/∂p (f(t, Y, p) − M(p) K))ᴴ w, (m,) or (m, j), for w (n,) or (n, j).

    With K = None the term M(p) K is left out.
    """
    if w.ndim == 1:
        return _cotangent(system, t, Y, K, w)
    p_bar = np.empty((system.p.size, w.shape[1]), dtype=system.p.dtype)
    for j in range(w.shape[1]):
        p_bar[:, j] = _cotangent(system, t, Y, K, np.ascontiguousarray(w[:, j]))
    return p_bar


def _cotangent(system: System, t: float, Y: Array, K: Array | None, w: Array) -> Array:
    """`parameter_cotangents` for a single vector w, (n,); returns (m,)."""
    p, mass = system.p, system.mass
    g = np.asarray(system.field.vjp(t, Y, p, w))
    if g.shape != p.shape:
        raise ValueError(f"the vjp of the field returned shape {g.shape}, expected {p.shape}")
    if g.dtype.kind not in "fciu":
        raise TypeError(f"the vjp of the field returned dtype {g.dtype}, expected float64")
    if mass.vjp is not None and K is not None:
        through_mass = np.asarray(mass.vjp(K, w))
        if through_mass.shape != p.shape:
            raise ValueError(
                f"the vjp of M(p) returned shape {through_mass.shape}, expected {p.shape}"
            )
        g = g - through_mass
    return g if p.dtype.kind == "c" else g.real


def parameter_tangents(system: System, t: float, Y: Array, K: Array | None, p_dot: Array) -> Array:
    """∂/∂p (f(t, Y, p) − M(p) K) ṗ, (n, j), for ṗ (m, j).

    With K = None the term M(p) K is left out.
    """
    mass = system.mass
    rates = np.empty((Y.size, p_dot.shape[1]), dtype=np.result_type(Y, p_dot))
    for j in range(p_dot.shape[1]):
        column = np.ascontiguousarray(p_dot[:, j])
        rate = np.asarray(system.field.jvp(t, Y, system.p, column))
        if rate.shape != Y.shape:
            raise ValueError(
                f"the jvp of the field returned shape {rate.shape}, expected {Y.shape}"
            )
        if mass.jvp is not None and K is not None:
            through_mass = np.asarray(mass.jvp(K, column))
            if through_mass.shape != Y.shape:
                raise ValueError(
                    f"the jvp of M(p) returned shape {through_mass.shape}, expected {Y.shape}"
                )
            rate = rate - through_mass
        rates[:, j] = rate
    return rates


Mass: TypeAlias = SparseMatrix | Array | Matrix | None
"""Types of the argument `mass`: a matrix, or M(p); None for the identity."""


def as_mass(mass: Mass) -> Matrix | None:
    """The argument `mass` as a Matrix M(p), None for the identity.

    Raises TypeError unless the argument is a matrix, a Matrix or None; ValueError if
    the matrix is not square; NonFinite if the matrix contains nan or inf.
    """
    if mass is None:
        return None
    if isinstance(mass, np.ndarray) or sparse.issparse(mass):
        return Constant(as_csc(mass))
    if missing_methods(mass, ("__call__", "vjp", "jvp")) or isinstance(mass, type):
        raise TypeError(
            f"mass: got {mass!r}, expected a sparse matrix (n, n), or an object with "
            "__call__(p), vjp(p, u, lam) and jvp(p, u, p_dot)"
        )
    return mass


def mass_at(mass: Matrix | None, p: Array, n: int) -> MassAt:
    """M(p), dense for small systems; raises ValueError if M is not (n, n)."""
    if mass is None:
        return MassAt(None, None, None)
    M = as_csc(mass(p))
    if M.shape != (n, n):
        raise ValueError(
            f"mass: got a matrix of shape {M.shape}, expected ({n}, {n}), as u0 has {n} entries"
        )
    matrix = np.ascontiguousarray(M.toarray()) if n <= SMALL else owned(M)
    if isinstance(mass, Constant):
        return MassAt(matrix, None, None)
    return MassAt(
        matrix, lambda u, lam: mass.vjp(p, u, lam), lambda u, p_dot: mass.jvp(p, u, p_dot), mass
    )


def _products(weights: Array, K: Array) -> Array:
    """Σ_s weights_rs K_s, (r, n, j), for weights (r, s) and K (s, n, j), without BLAS.

    The reason is explained in `adjoint._numerics.dot`.
    """
    return np.stack([np.einsum("j,j...->...", row, K) for row in weights])


def _without_time(given: object, shape: str) -> str:
    """The text of the error for a missing method `time_derivative`."""
    return (
        f"{type(given).__name__}: time_derivative(t, u, p) -> {shape} is not provided, and "
        "derivatives with respect to times need it; return zeros if t does not occur"
    )
