"""The Poisson likelihood: counts with the mean e exp(η)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._dataclasses import Portable, short_repr
from ..._validation import as_array, first_nonfinite
from ...typing import Array
from .counts import as_counts, stirling_remainder
from .likelihood import require_predictor


@dataclass(frozen=True, eq=False)
class Poisson(Portable):
    """y_i | η ~ Poisson(e_i exp(η_i)): counts of events, with the logarithm as link.

    log π(y | η) includes −log y!. It is computed without cancellation of the large terms,
    so that counts of 10¹² keep their digits (docs/math/determinants.md, eq. 438).

    Parameters
    ----------
    counts : (k,) array
        y, whole numbers ≥ 0.
    exposure : float or (k,) array
        e > 0, in units of events: the number that is expected for η = 0, such as
        population times rate; default 1.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If a count is negative, nan or not a whole number, or an exposure is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.determinant import Poisson
    >>> likelihood = Poisson([0, 3], exposure=2.0)
    >>> round(likelihood.value(np.log([0.5, 1.5]), np.zeros(0)), 4)  # Means 1 and 3.
    -2.4959
    """

    counts: Array
    exposure: float | Array = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        y = as_counts("Poisson", "counts", self.counts)
        e = as_array("Poisson", "exposure", self.exposure)
        if e.dtype.kind not in "fiu":
            raise TypeError(f"Poisson: got exposure of dtype {e.dtype}, expected real numbers")
        if e.shape not in ((), y.shape):
            raise ValueError(
                f"Poisson: got exposure of shape {e.shape}, expected a number or {y.shape}"
            )
        bad = first_nonfinite(e) or first_nonfinite(np.where(e > 0.0, 0.0, np.nan))
        if bad:
            place = f"[{bad[0]}]" if e.ndim else ""
            number = e[bad[0]] if e.ndim else e
            raise ValueError(
                f"Poisson: exposure{place} is {number}, expected finite numbers > 0. "
                "An observation without exposure has no row in the observation matrix B"
            )
        object.__setattr__(self, "counts", y)
        object.__setattr__(self, "exposure", np.broadcast_to(e.astype(float), y.shape))

    def value(self, eta: Array, p: Array) -> float:
        """Return log π(y | η).

        Parameters
        ----------
        eta : (k,) array
            η, the logarithm of the rate.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        float
            Σ_i (y_i (η_i + log e_i) − e_i exp(η_i) − log y_i!).
        """
        z, y, some = self._distance(eta), self.counts, self._some
        none = -np.exp(z[~some])
        z, y = z[some], y[some]
        return float(none.sum() - (y * (np.expm1(z) - z)).sum() - self._constant)

    def derivatives(self, eta: Array, p: Array) -> tuple[Array, Array, Array]:
        """Return the first three derivatives with respect to η.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        first, second, third : (k,) array
            y − μ, −μ and −μ, with the mean μ.
        """
        z = self._distance(eta)
        mu = np.exp(z) * self._scale
        return np.where(self._some, -self.counts * np.expm1(z), -mu), -mu, -mu

    def vjp(self, eta: Array, p: Array, weights: tuple[Array, Array, Array]) -> Array:
        """Return zeros, (m,): the likelihood has no parameters."""
        return np.zeros_like(p)

    def guess(self, p: Array) -> Array:
        """Return log((y + ½) / e), (k,)."""
        return np.asarray(np.log(self.counts + 0.5) - self._log_exposure)

    def mean(self, eta: Array, p: Array) -> Array:
        """Return the mean of the counts for the predictor η.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        (k,) array
            e exp(η), events.
        """
        return np.asarray(np.exp(self._distance(eta)) * self._scale)

    @cached_property
    def _some(self) -> Array:
        """True where the count is not zero, (k,)."""
        return np.asarray(self.counts > 0.0)

    @cached_property
    def _scale(self) -> Array:
        """y, or 1 where y = 0, (k,)."""
        return np.where(self._some, self.counts, 1.0)

    @cached_property
    def _log_exposure(self) -> Array:
        return np.log(self.exposure)

    @cached_property
    def _constant(self) -> float:
        """−Σ log π for μ = y: log y! − y log y + y, over y > 0."""
        y = self.counts[self._some]
        return float((stirling_remainder(y) + 0.5 * np.log(2.0 * np.pi * y)).sum())

    def _distance(self, eta: Array) -> Array:
        """z = log(μ / y), or log μ where y = 0, (k,)."""
        require_predictor("Poisson", eta, self.counts.size)
        return np.asarray(eta + (self._log_exposure - np.log(self._scale)))
