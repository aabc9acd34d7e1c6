"""Pointwise maps of densities: SIMP and RAMP, and the smoothed Heaviside projection."""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from .._dataclasses import short_repr
from .._validation import require_settings
from ..protocols import DesignMap
from ..typing import Array
from .maps import Composed, guarded


@guarded
@dataclass(frozen=True, eq=False)
class SIMP:
    """E(x) = E_min + xᵖ (E₀ − E_min) (docs/math/matrices_and_objectives.md, eq. 17).

    Parameters
    ----------
    penalty : float
        p ≥ 1.
    minimum : float
        E_min ≥ 0, in Pa. A value above 0 keeps the stiffness matrix regular.
    maximum : float
        E₀ > E_min, in Pa; 1 if the element matrices contain the modulus.

    Raises
    ------
    ValueError
        If a parameter is out of range; from a call, if x < 0 and the penalty is not an
        integer.

    References
    ----------
    Sigmund (2007), Struct. Multidiscip. Optim. 33, 401, eq. 2.
    """

    penalty: float = 3.0
    minimum: float = 1e-9
    maximum: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (1.0 <= self.penalty < np.inf and 0.0 <= self.minimum < self.maximum):
            raise ValueError(
                f"SIMP: got penalty={self.penalty}, minimum={self.minimum}, "
                f"maximum={self.maximum}; expected penalty ≥ 1 and 0 ≤ minimum < maximum"
            )

    def _require_base(self, x: Array) -> None:
        if self.penalty != int(self.penalty) and not np.all(x.real >= 0.0):
            raise ValueError(
                f"SIMP: a density is {x.real.min()}, expected x ≥ 0 for the penalty {self.penalty}"
            )

    def __call__(self, x: Array) -> Array:
        """Return E(x), (m,)."""
        self._require_base(x)
        return self.minimum + (self.maximum - self.minimum) * _power(x, self.penalty)

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return E'(x) p̄, (m,); with the conjugate of E'(x) if x is complex."""
        return self.jvp(x.conj(), p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return E'(x) ẋ, (m,)."""
        self._require_base(x)
        return (self.maximum - self.minimum) * self.penalty * _power(x, self.penalty - 1.0) * x_dot

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return E''(x) ẋ p̄, (m,); infinite at x = 0 if 1 < penalty < 2."""
        self._require_base(x)
        q = self.penalty
        if q == 1.0:
            return np.zeros_like(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(
                (self.maximum - self.minimum)
                * q
                * (q - 1.0)
                * np.conj(_power(x, q - 2.0) * x_dot)
                * p_bar
            )

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class Ramp:
    """E(x) = E_min + x / (1 + q (1 − x)) (E₀ − E_min); unlike SIMP, of nonzero slope at x = 0.

    See docs/math/matrices_and_objectives.md, eq. 17.

    Parameters
    ----------
    curvature : float
        q ≥ 0.
    minimum : float
        E_min ≥ 0, in Pa.
    maximum : float
        E₀ > E_min, in Pa.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Stolpe & Svanberg (2001), Struct. Multidiscip. Optim. 22, 116.
    docs/math/matrices_and_objectives.md, eq. 17.
    """

    curvature: float = 8.0
    minimum: float = 1e-9
    maximum: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (self.curvature >= 0.0 and 0.0 <= self.minimum < self.maximum):
            raise ValueError(
                f"Ramp: got curvature={self.curvature}, minimum={self.minimum}, "
                f"maximum={self.maximum}; expected curvature ≥ 0 and 0 ≤ minimum < maximum"
            )

    def __call__(self, x: Array) -> Array:
        """Return E(x), (m,)."""
        return self.minimum + (self.maximum - self.minimum) * x / (1.0 + self.curvature * (1.0 - x))

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return E'(x) p̄, (m,); with the conjugate of E'(x) if x is complex."""
        return self.jvp(x.conj(), p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return E'(x) ẋ, (m,)."""
        q = self.curvature
        return (self.maximum - self.minimum) * (1.0 + q) / (1.0 + q * (1.0 - x)) ** 2 * x_dot

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return E''(x) ẋ p̄, (m,)."""
        q = self.curvature
        bend = 2.0 * q * (1.0 + q) / (1.0 + q * (1.0 - x)) ** 3
        return np.asarray((self.maximum - self.minimum) * np.conj(bend * x_dot) * p_bar)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class HeavisideProjection:
    """x ↦ (tanh βη + tanh β(x − η)) / (tanh βη + tanh β(1 − η)).

    Parameters
    ----------
    beta : float
        Steepness β > 0; for β → 0 the projection is the identity.
    eta : float
        Threshold 0 ≤ η ≤ 1: densities below η are projected towards 0, densities above
        towards 1.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Wang, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43, 767, eq. 9.
    docs/math/matrices_and_objectives.md, eq. 18.
    """

    beta: float
    eta: float = 0.5

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.beta < np.inf and 0.0 <= self.eta <= 1.0):
            raise ValueError(
                f"HeavisideProjection: got beta={self.beta}, eta={self.eta}; expected beta > 0, 0 "
                "≤ eta ≤ 1"
            )

    @property
    def _range(self) -> float:
        return float(np.tanh(self.beta * self.eta) + np.tanh(self.beta * (1.0 - self.eta)))

    def __call__(self, x: Array) -> Array:
        """Return the projected densities, (m,)."""
        return np.asarray(
            (np.tanh(self.beta * self.eta) + np.tanh(self.beta * (x - self.eta))) / self._range
        )

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return β sech² β(x − η) p̄ / range, (m,)."""
        return self.jvp(x.conj(), p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return β sech² β(x − η) ẋ / range, (m,)."""
        # Not 1 − tanh², which is exactly 0 for β |x − η| > 19: optimality criteria divide
        # two such slopes.
        z = self.beta * (x - self.eta)
        decay = np.exp(2.0 * np.where(z.real < 0.0, z, -z))
        return np.asarray(4.0 * self.beta * decay / (1.0 + decay) ** 2 / self._range * x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return −2β tanh β(x − η) times the first derivative times ẋ p̄, (m,)."""
        bend = -2.0 * self.beta * np.tanh(self.beta * (x - self.eta)) * self.jvp(x, x_dot)
        return np.asarray(np.conj(bend) * p_bar)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


def _power(x: Array, exponent: float) -> Array:
    """Return x to the power `exponent`.

    For exponents 1 to 4 by multiplications, which are 20 times as fast.
    """
    if exponent in (1.0, 2.0, 3.0, 4.0):
        return reduce(np.multiply, [x] * int(exponent))
    return x**exponent
