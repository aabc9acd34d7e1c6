"""Objectives of eigenvalues: one eigenvalue, sums, and smooth minima and maxima."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import is_number, named, require_methods, require_positive
from ...errors import NonFinite
from ...typing import Array
from .packed import require_index, require_modes, values_of


@dataclass(frozen=True, eq=False)
class Eigenvalue:
    """J = Re(w̄ μ_i): one eigenvalue; its real part by default, its imaginary part with w = 1j.

    Parameters
    ----------
    index : int
        i, counted from 0 in the order of `EigenSolution.values`.
    weight : complex
        w, 1 by default. J has the units of w times μ.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range; from `value`, if the
        problem computes i or fewer eigenvalues.

    Notes
    -----
    If μ_i is a multiple eigenvalue, J has no gradient: the gradient raises
    `RepeatedEigenvalue`. `EigenvalueSum` and `EigenvalueSmoothMin` have a gradient, and
    `EigenSolution.directional` gives the derivative along a direction.
    """

    index: int
    weight: complex = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_index("Eigenvalue", "index", self.index)
        if not (is_number(self.weight) or isinstance(self.weight, complex | np.complexfloating)):
            raise TypeError(f"Eigenvalue: got weight={named(self.weight)}, expected a number")
        if not np.isfinite(self.weight):
            raise ValueError(f"Eigenvalue: got weight={self.weight}, expected a finite number")

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        require_modes("Eigenvalue", u, self.index + 1)
        return float((np.conj(self.weight) * values_of(u)[self.index]).real)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0)."""
        u_bar = np.zeros_like(u)
        u_bar[0, self.index] = self.weight if u.dtype.kind == "c" else np.real(self.weight)
        return u_bar, np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return zeros: J is linear in u."""
        return np.zeros_like(u), np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class EigenvalueSum:
    """J = Re Σ_i μ_i over the first k eigenvalues, finite and smooth at crossings among them.

    Parameters
    ----------
    k : int or None
        The number of eigenvalues; None for all that the problem computes.

    Raises
    ------
    TypeError, ValueError
        If k is not an integer ≥ 1; from `value`, if the problem computes fewer than k
        eigenvalues.

    Notes
    -----
    J has no gradient if the k-th and the next eigenvalue are equal: the gradient then
    raises `RepeatedEigenvalue`.
    """

    k: int | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.k is not None:
            require_index("EigenvalueSum", "k", self.k)
            if self.k < 1:
                raise ValueError("EigenvalueSum: got k=0, expected at least one eigenvalue")

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        require_modes("EigenvalueSum", u, self.k or 1)
        return float(values_of(u)[: self.k].real.sum())

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0): ones for the first k eigenvalues."""
        u_bar = np.zeros_like(u)
        u_bar[0, : self.k] = 1.0
        return u_bar, np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return zeros: J is linear in u."""
        return np.zeros_like(u), np.zeros_like(p)


class Smoothing(Protocol):
    """A smooth approximation of max y_i (sign = 1) or of min y_i (sign = −1)."""

    def value(self, y: Array, sign: float) -> float:
        """Return the approximation f(y) of the maximum or minimum of y (k,)."""

    def gradient(self, y: Array, sign: float) -> Array:
        """Return ∂f/∂y, (k,): positive numbers."""

    def hvp(self, y: Array, y_dot: Array, sign: float) -> Array:
        """Return the derivative of `gradient` along ẏ, (k,)."""


@dataclass(frozen=True, eq=False)
class PNorm:
    """f = (Σ_i y_i^s)^(1/s), s = ±power: the p-norm, ≥ max y_i (s > 0) or ≤ min y_i (s < 0).

    See docs/math/spectra.md, eq. 214.

    Parameters
    ----------
    power : float
        Exponent, > 1, without unit. A larger power is closer to the maximum and has a
        larger curvature. f differs from the maximum by a factor of at most k^(1/power).

    Raises
    ------
    TypeError, ValueError
        If the power is not a finite number > 1.
    NonFinite
        When evaluated, if an eigenvalue is not positive.
    """

    power: float = 8.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_positive("PNorm", "power", self.power)
        if not 1.0 < self.power < np.inf:
            raise ValueError(f"PNorm: got power={self.power}, expected a finite number > 1")

    def value(self, y: Array, sign: float) -> float:
        """Return f(y)."""
        s, pivot = sign * self.power, self._pivot(y, sign)
        return pivot * float(((y / pivot) ** s).sum() ** (1.0 / s))

    def gradient(self, y: Array, sign: float) -> Array:
        """Return ∂f/∂y_i = (y_i / f)^(s − 1), (k,)."""
        s = sign * self.power
        return np.asarray((y / self.value(y, sign)) ** (s - 1.0))

    def hvp(self, y: Array, y_dot: Array, sign: float) -> Array:
        """Return (s − 1) g_i (ẏ_i / y_i − ḟ / f), (k,)."""
        s, f, g = sign * self.power, self.value(y, sign), self.gradient(y, sign)
        return np.asarray((s - 1.0) * g * (y_dot / y - (g * y_dot).sum() / f))

    def _pivot(self, y: Array, sign: float) -> float:
        """Return the extreme y_i, which scales powers; raise NonFinite unless all y_i > 0."""
        if not (y > 0.0).all():
            raise NonFinite(
                f"PNorm: an eigenvalue is {y.min()}, expected positive eigenvalues. For "
                "eigenvalues of any sign: LogSumExp(sharpness)"
            )
        return float(y.max() if sign > 0.0 else y.min())


@dataclass(frozen=True, eq=False)
class LogSumExp:
    """f = (1/s) log Σ_i exp(s y_i), s = ±sharpness: ≥ max y_i (s > 0) or ≤ min y_i (s < 0).

    See docs/math/spectra.md, eq. 214.

    Parameters
    ----------
    sharpness : float
        |s| > 0, in units of 1/μ. f differs from the maximum by at most log(k)/sharpness.

    Raises
    ------
    TypeError, ValueError
        If the sharpness is not a finite positive number.
    """

    sharpness: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_positive("LogSumExp", "sharpness", self.sharpness)

    def value(self, y: Array, sign: float) -> float:
        """Return f(y)."""
        s, pivot = sign * self.sharpness, float(y.max() if sign > 0.0 else y.min())
        return pivot + float(np.log(np.exp(s * (y - pivot)).sum())) / s

    def gradient(self, y: Array, sign: float) -> Array:
        """Return ∂f/∂y_i = exp(s (y_i − f)), (k,); the sum of the entries is 1."""
        return np.asarray(np.exp(sign * self.sharpness * (y - self.value(y, sign))))

    def hvp(self, y: Array, y_dot: Array, sign: float) -> Array:
        """Return s g_i (ẏ_i − Σ_j g_j ẏ_j), (k,)."""
        g = self.gradient(y, sign)
        return np.asarray(sign * self.sharpness * g * (y_dot - (g * y_dot).sum()))


@dataclass(frozen=True, eq=False)
class EigenvalueSmoothMax:
    """J = a smooth approximation of max_i Re μ_i over all computed eigenvalues, from above.

    Parameters
    ----------
    smoothing : PNorm or LogSumExp
        The approximation; `PNorm()` by default, for positive eigenvalues.

    Raises
    ------
    TypeError
        If `smoothing` has the wrong type.
    NonFinite
        When evaluated, if an eigenvalue is not positive and `smoothing` is a `PNorm`.

    Notes
    -----
    J is smooth where computed eigenvalues cross. J depends on the number of computed
    eigenvalues, `count` of the problem.
    """

    smoothing: Smoothing = field(default_factory=PNorm)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require_smoothing("EigenvalueSmoothMax", self.smoothing)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        return self.smoothing.value(_reals("EigenvalueSmoothMax", u), 1.0)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0)."""
        return _in_row_0(u, self.smoothing.gradient(values_of(u).real, 1.0)), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivatives of `gradients` along (u̇, ṗ)."""
        y, y_dot = values_of(u).real, values_of(u_dot).real
        return _in_row_0(u, self.smoothing.hvp(y, y_dot, 1.0)), np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class EigenvalueSmoothMin:
    """J = a smooth approximation of min_i Re μ_i over all computed eigenvalues, from below.

    Parameters
    ----------
    smoothing : PNorm or LogSumExp
        The approximation; `PNorm()` by default, for positive eigenvalues.

    Raises
    ------
    TypeError
        If `smoothing` has the wrong type.
    NonFinite
        When evaluated, if an eigenvalue is not positive and `smoothing` is a `PNorm`.

    Notes
    -----
    J is smooth where computed eigenvalues cross. J depends on the number of computed
    eigenvalues, `count` of the problem.
    """

    smoothing: Smoothing = field(default_factory=PNorm)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require_smoothing("EigenvalueSmoothMin", self.smoothing)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        return self.smoothing.value(_reals("EigenvalueSmoothMin", u), -1.0)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0)."""
        return _in_row_0(u, self.smoothing.gradient(values_of(u).real, -1.0)), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivatives of `gradients` along (u̇, ṗ)."""
        y, y_dot = values_of(u).real, values_of(u_dot).real
        return _in_row_0(u, self.smoothing.hvp(y, y_dot, -1.0)), np.zeros_like(p)


def _require_smoothing(who: str, smoothing: object) -> None:
    expected = "PNorm(power) or LogSumExp(sharpness)"
    require_methods(who, "smoothing", smoothing, ("value", "gradient", "hvp"), expected)


def _reals(who: str, u: Array) -> Array:
    """Return the real parts of the eigenvalues, (k,)."""
    require_modes(who, u, 1)
    return values_of(u).real


def _in_row_0(u: Array, values_bar: Array) -> Array:
    """Return a packed cotangent with `values_bar` in row 0 and zeros for the vectors."""
    u_bar = np.zeros_like(u)
    u_bar[0] = values_bar
    return u_bar
