"""The binomial likelihood: successes in trials with the probability 1 / (1 + exp(−η))."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from ..._dataclasses import Portable, short_repr
from ...typing import Array
from .counts import as_counts, stirling_remainder
from .likelihood import require_predictor


@dataclass(frozen=True, eq=False)
class Binomial(Portable):
    """y_i | η ~ Binomial(N_i, 1 / (1 + exp(−η_i))): successes, with the logit as link.

    log π(y | η) includes the binomial coefficient. It is computed without cancellation of
    large terms (docs/math/determinants.md, eq. 439). If all trials succeed, or none, the
    likelihood has no maximum; the mode of the latent field exists, because its prior is
    proper.

    Parameters
    ----------
    successes : (k,) array
        y, whole numbers, 0 ≤ y ≤ N.
    trials : int or (k,) array
        N, whole numbers ≥ 0; an entry 0 is an observation without information.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an entry is negative, nan or not a whole number, or if y > N.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.determinant import Binomial
    >>> round(Binomial([3], [4]).value(np.zeros(1), np.zeros(0)), 4)  # log(4 / 16)
    -1.3863
    """

    successes: Array
    trials: int | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        y = as_counts("Binomial", "successes", self.successes)
        trials = np.full(y.shape, self.trials) if np.ndim(self.trials) == 0 else self.trials
        n = as_counts("Binomial", "trials", trials)
        if n.shape != y.shape:
            raise ValueError(
                f"Binomial: got trials of shape {n.shape}, expected a number or {y.shape}"
            )
        wrong = np.flatnonzero(y > n)
        if wrong.size:
            i = wrong[0]
            raise ValueError(
                f"Binomial: successes[{i}] is {y[i]:.0f} of {n[i]:.0f} trials, expected at most "
                "the number of trials"
            )
        object.__setattr__(self, "successes", y)
        object.__setattr__(self, "trials", n)

    def value(self, eta: Array, p: Array) -> float:
        """Return log π(y | η).

        Parameters
        ----------
        eta : (k,) array
            η, the logit of the probability.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        float
            Σ_i (y_i η_i − N_i log(1 + exp(η_i)) + log C(N_i, y_i)).
        """
        t, share, sign, mixed = self._distance(eta)
        # For 0 < y < N: the divergence of the two distributions.
        inner = np.log1p(share * np.expm1(t)) - share * t
        outer = np.logaddexp(0.0, sign * eta)  # −log of the probability of what happened.
        return float(-(self.trials * np.where(mixed, inner, outer)).sum() + self._constant)

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
            y − Nq, −Nq(1 − q) and −Nq(1 − q)(1 − 2q), with the probability q.
        """
        t, share, sign, mixed = self._distance(eta)
        n, growth = self.trials, np.expm1(t)
        inner = -share * (1.0 - share) * growth / (1.0 + share * growth)
        first = n * np.where(mixed, np.where(self._above(eta), -inner, inner), 0.0)
        first = np.where(mixed, first, -sign * n * expit(sign * eta))
        variance = n * expit(eta) * expit(-eta)
        return first, -variance, variance * np.tanh(0.5 * eta)

    def vjp(self, eta: Array, p: Array, weights: tuple[Array, Array, Array]) -> Array:
        """Return zeros, (m,): the likelihood has no parameters."""
        return np.zeros_like(p)

    def guess(self, p: Array) -> Array:
        """Return log((y + ½) / (N − y + ½)), (k,)."""
        return np.asarray(np.log(self.successes + 0.5) - np.log(self._failures + 0.5))

    def mean(self, eta: Array, p: Array) -> Array:
        """Return the mean of the successes for the predictor η.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        (k,) array
            N / (1 + exp(−η)).
        """
        require_predictor("Binomial", eta, self.successes.size)
        return np.asarray(self.trials * expit(eta))

    @cached_property
    def _failures(self) -> Array:
        return np.asarray(self.trials - self.successes)

    @cached_property
    def _logit(self) -> Array:
        """The logit of y/N; 0 where y = 0 or y = N, (k,)."""
        y, rest = self.successes, self._failures
        mixed = (y > 0.0) & (rest > 0.0)
        return np.log(np.where(mixed, y, 1.0)) - np.log(np.where(mixed, rest, 1.0))

    @cached_property
    def _constant(self) -> float:
        """Σ log π for q = y/N, over 0 < y < N."""
        y, rest = self.successes, self._failures
        mixed = (y > 0.0) & (rest > 0.0)
        y, rest, n = y[mixed], rest[mixed], (y + rest)[mixed]
        spread = 0.5 * np.log(2.0 * np.pi * (y / n) * rest)
        remainder = stirling_remainder(n) - stirling_remainder(y) - stirling_remainder(rest)
        return float((remainder - spread).sum())

    def _above(self, eta: Array) -> Array:
        """True where η is above the logit of y/N, (k,)."""
        return np.asarray(eta > self._logit)

    def _distance(self, eta: Array) -> tuple[Array, Array, Array, Array]:
        """Return (t, share, sign, mixed), (k,) each.

        t ≤ 0: minus the distance of η from the logit of y/N. share: y/N, or 1 − y/N where
        η is above; sign: 1 where y = 0, −1 where y = N; mixed: 0 < y < N. With t ≤ 0
        nothing overflows.
        """
        require_predictor("Binomial", eta, self.successes.size)
        y, rest = self.successes, self._failures
        mixed = (y > 0.0) & (rest > 0.0)
        n = np.maximum(self.trials, 1.0)
        share = np.where(self._above(eta), rest, y) / n
        return -np.abs(eta - self._logit), share, np.where(y > 0.0, -1.0, 1.0), mixed
