"""M u' = f(t, u, p) for one p: evaluations checked, counted, and in the form that steps need."""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from .algebra import Algebra, Inverse
from .errors import NonFiniteField, failure
from .field import Field, Integrand, TimeDerivative
from .mass import MassAt

BLAS = 512
"""Unknowns up to which sums over stages go through BLAS: beyond, its threads would stand in the solvers' way."""

SINGLE = 8192
"""Entries up to which the product of two vectors does: one thread takes it (OpenBLAS: up to 10 000)."""


@dataclass(eq=False)
class Tally:
    """What a sweep has cost: evaluations of f and ∂f/∂u, factorizations, Newton corrections."""

    evaluations: int = 0
    jacobians: int = 0
    factorizations: int = 0
    corrections: int = 0


@dataclass(frozen=True, eq=False)
class System:
    """The equations at p (m,) for n unknowns.

    atol: a number or (n,); accuracy: see `Method`. perturbed: whether p is complex, and u with it, for a complex step
    through all of the integration. given: whether steps are given, so that none can be shortened.
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
    given: bool
    tally: Tally = dataclasses.field(default_factory=Tally)

    @cached_property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.n,)

    def rate(self, t: float, u: Array) -> Array:
        """f(t, u, p), (n,), as the field has it, nan included."""
        self.tally.evaluations += 1
        f = self.field(t, u, self.p)
        return f if f.__class__ is np.ndarray and f.shape == self.shape and f.dtype == self.dtype else self.checked(f)

    def checked(self, f: Array) -> Array:
        """What the field returned, as an array (n,) of numbers; raises TypeError or ValueError if it is none."""
        f = np.asarray(f)
        if f.dtype.kind not in "fciu":
            raise TypeError(f"the field returned dtype {f.dtype}, expected float64 (n,)")
        if f.shape != (self.n,):
            raise ValueError(f"the field returned shape {f.shape}, expected ({self.n},), as u0 has {self.n} entries")
        if f.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError(
                f"the field returned {f.dtype} for real u and p, expected float64. Complex states: give a complex u0"
            )
        return f

    def first_rate(self, t: float, seen: float, u: Array) -> Array:
        """f where the integration begins, t⁺ being `seen`, looked at more closely.

        Raises TypeError, ValueError, NonFiniteField.
        """
        shown = u.view()
        shown.flags.writeable = False
        try:
            f = self.field(seen, shown, self.p)
        except Exception as error:
            if not isinstance(error, ValueError) or "read-only" not in str(error):
                error.add_note(f"Raised for field(t, u, p) at t = {t:.6g}, with u {u.shape} and p {self.p.shape}.")
                raise
            raise ValueError(f"the field writes into u ({error}). It belongs to the solver: u = u.copy()") from error
        f = self.checked(f)
        if not np.isfinite(f).all():
            bad = int(np.flatnonzero(~np.isfinite(f))[0])
            raise failure(NonFiniteField, f"The field is {f[bad]} in component {bad} where it starts.", t, 0)
        return np.array(f, dtype=self.dtype)

    def jacobian(self, t: float, u: Array) -> Array | sparse.csc_array:
        """∂f/∂u at (t, u), dense for small systems; at the real part where p is perturbed: Newton's convergence alone
        depends on it then."""
        self.tally.jacobians += 1
        if self.perturbed:
            return self.algebra.jacobian(self.field.jacobian(t, u.real, self.p.real))
        return self.algebra.jacobian(self.field.jacobian(t, u, self.p))

    def inverse(self, t: float, u: Array, hg: float) -> Inverse:
        """The factors of M − hγ ∂f/∂u."""
        self.tally.factorizations += 1
        return self.algebra.inverse(self.jacobian(t, u), hg)

    @cached_property
    def mass_inverse(self) -> Inverse | None:
        """The factors of M; None for the identity. Raises SingularMatrix."""
        return self.algebra.mass_inverse()

    @cached_property
    def nearby(self) -> Algebra:
        """What coupled stages are solved for by: real matrices where p is perturbed.

        The eigenvectors of A would mix real parts into the imaginary ones.
        """
        if not self.perturbed:
            return self.algebra
        mass = self.algebra.mass
        return dataclasses.replace(self.algebra, mass=None if mass is None else mass.real, is_complex=False, _unions=[])

    def weights(self, u: Array) -> Array:
        """1 / (atol + rtol |u|), (n,)."""
        return 1.0 / (self.atol + self.rtol * np.abs(u))

    def combined(self, weights: Array, K: Array) -> Array:
        """Σ_j weights_j K_j; weights: (s,) or (r, s); K: (s, n) or (s, n, j)."""
        if K.ndim == 2 and self.n <= BLAS:
            return weights.dot(K)
        return np.asarray(np.einsum("...j,j...->...", weights, K) if weights.ndim == 1 else _products(weights, K))

    def integrand_rate(self, t: float, u: Array, q: int | None, steps: int) -> Array:
        """ℓ(t, u, p), (q,); q: as before, None the first time. Raises TypeError, ValueError, NonFiniteField."""
        assert self.integrand is not None
        rate = np.array(self.integrand(t, u, self.p))  # A copy: those of several stages are kept.
        if rate.ndim != 1 or rate.dtype.kind not in "fciu" or (q is not None and rate.size != q):
            expected = "a vector (q,)" if q is None else f"({q},), as before"
            raise ValueError(f"the integrand returned shape {rate.shape}, dtype {rate.dtype}; expected {expected}")
        if rate.dtype.kind == "c" and not self.perturbed:
            raise TypeError(f"the integrand returned {rate.dtype}, expected float64: integrals are real")
        # For the few numbers that it mostly is, NumPy's question takes longer than the integrand.
        few = rate.size <= 8 and rate.dtype.kind != "c"
        if not (all(map(math.isfinite, rate.tolist())) if few else np.isfinite(rate).all()):
            raise failure(NonFiniteField, f"The integrand is {rate[~np.isfinite(rate)][0]} at t = {t:.6g}.", t, steps)
        return rate

    def integrand_cotangents(self, t: float, u: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᴴ q̄, (∂ℓ/∂p)ᴴ q̄), (n,) and (m,); raises TypeError, ValueError."""
        assert self.integrand is not None
        pair = self.integrand.vjp(t, u, self.p, q_bar)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"the vjp of the integrand returned a {type(pair).__name__}, expected a pair (u_bar, p_bar)"
            )
        through_u, through_p = np.asarray(pair[0]), np.asarray(pair[1])
        if through_u.shape != u.shape or through_p.shape != self.p.shape:
            raise ValueError(
                f"the vjp of the integrand returned shapes {through_u.shape} and {through_p.shape}, expected {u.shape} "
                f"and {self.p.shape}; zeros where u or p plays no part"
            )
        return through_u, through_p

    def time_derivative(self, t: float, u: Array) -> Array:
        """∂f/∂t, (n,); raises TypeError for a field that does not have it."""
        if not isinstance(self.field, TimeDerivative):
            raise TypeError(_without_time(self.field, "(n,)"))
        return np.asarray(self.field.time_derivative(t, u, self.p))

    def integrand_time_derivative(self, t: float, u: Array) -> Array:
        """∂ℓ/∂t, (q,); raises TypeError for an integrand that does not have it."""
        if not isinstance(self.integrand, TimeDerivative):
            raise TypeError(_without_time(self.integrand, "(q,)"))
        return np.asarray(self.integrand.time_derivative(t, u, self.p))


def _products(weights: Array, K: Array) -> Array:
    return np.stack([np.einsum("j,j...->...", row, K) for row in weights])


def _without_time(given: object, shape: str) -> str:
    return (
        f"{type(given).__name__} has no method time_derivative(t, u, p) -> {shape}, which derivatives with respect to "
        "times need; it returns zeros where t does not occur"
    )


def rms(v: Array) -> float:
    """√(Σ |v_i|² / n), nan for nan; without BLAS for long v."""
    if v.dtype.kind == "c":
        v = np.abs(v)
    square = v.dot(v) if v.size <= SINGLE else np.einsum("i,i->", v, v)
    return float(square / v.size) ** 0.5
