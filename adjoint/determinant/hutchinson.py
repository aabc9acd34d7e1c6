"""Stochastic estimates of Hessian-vector products, with their standard errors."""

from dataclasses import dataclass

import numpy as np

from .._dataclasses import short_repr
from .._validation import require_integer
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Hutchinson:
    """Setting of `LogDeterminant`: estimate Hessian-vector products by random vectors.

    The trace in the second derivative is the mean of zᵀ M z over random vectors z with
    entries ±1. Each point uses the same vectors, so that the estimate is a smooth
    function of x. The standard error falls as 1 / √samples.

    Parameters
    ----------
    samples : int
        Number of random vectors, at least 2. A product costs two right-hand sides each.
    seed : int
        Seed of the random vectors, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or too small.

    References
    ----------
    Hutchinson (1990), A stochastic estimator of the trace of the influence matrix for
    Laplacian smoothing splines, Commun. Stat. Simul. Comput. 19, 433.
    """

    samples: int = 64
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("Hutchinson", "samples", self.samples, 2)
        require_integer("Hutchinson", "seed", self.seed, 0)

    def vectors(self, n: int) -> Array:
        """Return the random vectors.

        Parameters
        ----------
        n : int
            Number of unknowns.

        Returns
        -------
        (n, samples) array
            Independent entries +1 and −1.
        """
        signs = np.random.default_rng(self.seed).integers(0, 2, (n, self.samples))
        return 2.0 * signs - 1.0
