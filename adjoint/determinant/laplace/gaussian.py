"""The Gaussian likelihood, with a precision that may be a parameter."""

from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import as_cotangent, as_reals, is_number, require_methods
from ...errors import NotPositiveDefinite
from ...matrices.vectors import ConstantVector
from ...protocols import Vector
from ...typing import Array
from .likelihood import require_predictor


@dataclass(frozen=True, eq=False)
class Gaussian:
    """y_i | η ~ N(η_i, 1/t_i(p)): data with Gaussian errors of the precision t.

    The precision is 1 / variance. With this likelihood Laplace's method is exact.

    Parameters
    ----------
    y : (k,) array
        The data, in units of η.
    precision : float, (k,) array or Vector
        t > 0, in units of 1/η². A number or an array is a constant. A `Vector` of p, such
        as `AffineVector` or `PartVector`, makes it a parameter: t(p) is (k,), or (1,) for
        one precision of all data.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If y or a constant precision is nan or inf, or has the wrong shape; if a constant
        precision is not positive.
    NotPositiveDefinite
        From the methods, if a precision t(p) is not positive.

    Examples
    --------
    >>> import numpy as np, adjoint
    >>> from adjoint.determinant import Gaussian
    >>> t = adjoint.matrices.AffineVector(np.zeros(1), np.ones((1, 1)))  # t(p) = p
    >>> likelihood = Gaussian(np.array([0.0, 2.0]), t)
    >>> round(likelihood.value(np.array([0.0, 1.0]), np.array([4.0])), 4)
    -2.4516
    """

    y: Array
    precision: float | Array | Vector

    __repr__ = short_repr

    def __post_init__(self) -> None:
        y = as_reals("Gaussian", "y", self.y, 1, "(k,)")
        y.setflags(write=False)
        object.__setattr__(self, "y", y)
        if callable(self.precision):
            require_methods(
                "Gaussian", "precision", self.precision, ("__call__", "vjp"), "a Vector"
            )
            return
        constant = np.atleast_1d(self.precision) if is_number(self.precision) else self.precision
        t = as_reals("Gaussian", "precision", constant, 1, "a number, (k,) or a Vector of p")
        if t.shape not in ((1,), y.shape):
            raise ValueError(
                f"Gaussian: got precision of shape {t.shape}, expected a number or {y.shape}"
            )
        if not (t > 0.0).all():
            raise ValueError(f"Gaussian: got a precision of {t.min()}, expected numbers > 0")
        object.__setattr__(self, "precision", ConstantVector(t))

    def value(self, eta: Array, p: Array) -> float:
        """Return log π(y | η, p).

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters.

        Returns
        -------
        float
            ½ Σ_i (log t_i − log 2π − t_i (y_i − η_i)²).
        """
        t, error = self._precision(p), self._error(eta)
        logs = np.broadcast_to(np.log(t) - np.log(2.0 * np.pi), error.shape)
        return float(0.5 * (logs - t * error**2).sum())

    def derivatives(self, eta: Array, p: Array) -> tuple[Array, Array, Array]:
        """Return the first three derivatives with respect to η.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters.

        Returns
        -------
        first, second, third : (k,) array
            t (y − η), −t and 0.
        """
        t, error = self._precision(p), self._error(eta)
        return t * error, np.broadcast_to(-t, error.shape), np.zeros(error.shape)

    def vjp(self, eta: Array, p: Array, weights: tuple[Array, Array, Array]) -> Array:
        """Return the gradient with respect to p of the weighted sum of derivatives.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters.
        weights : tuple of three (k,) arrays
            The weights of ℓ, ∂ℓ/∂η and ∂²ℓ/∂η².

        Returns
        -------
        (m,) array
            The gradient.
        """
        t, error = self._precision(p), self._error(eta)
        a, b, c = weights
        t_bar = 0.5 * a * (1.0 / t - error**2) + b * error - c
        if t.shape != error.shape:
            t_bar = np.atleast_1d(t_bar.sum())
        assert callable(self.precision)
        return as_cotangent(self.precision.vjp(p, t_bar), p, "the vjp of the precision")

    def guess(self, p: Array) -> Array:
        """Return y, (k,)."""
        return self.y

    def mean(self, eta: Array, p: Array) -> Array:
        """Return the mean of the data for the predictor η: η itself.

        Parameters
        ----------
        eta : (k,) array
            η.
        p : (m,) array
            Parameters; not used.

        Returns
        -------
        (k,) array
            η.
        """
        return self._error(eta) * 0.0 + eta

    def _error(self, eta: Array) -> Array:
        """y − η, (k,)."""
        require_predictor("Gaussian", eta, self.y.size)
        return np.asarray(self.y - eta)

    def _precision(self, p: Array) -> Array:
        """t(p), (k,) or (1,); raise NotPositiveDefinite unless all are positive and finite."""
        assert callable(self.precision)
        t = as_reals("Gaussian", "precision(p)", self.precision(p), 1, "(k,) or (1,)")
        if t.shape not in ((1,), self.y.shape):
            raise ValueError(
                f"Gaussian: precision(p) has shape {t.shape}, expected (1,) or {self.y.shape}"
            )
        if not (t > 0.0).all():
            raise NotPositiveDefinite(
                f"Gaussian: the precision t(p) is {t.min()} at p, expected numbers > 0. Remedy: "
                "a design map with exp, so that the logarithm of the precision is the variable"
            )
        return t
