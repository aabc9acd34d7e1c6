"""Bounds on the variables of an optimizer, or on the state of a Newton iteration."""

from dataclasses import dataclass

import numpy as np

from ._dataclasses import short_repr
from ._validation import as_array
from .typing import Array


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds lower ≤ x ≤ upper on a vector x.

    Parameters
    ----------
    lower, upper : float or (m,) array
        The bounds, in the units of x; -inf and inf (the defaults) where x is not
        bounded. A design may have equal bounds, which hold a variable fixed; a Newton
        iteration needs lower < upper.

    Raises
    ------
    TypeError
        If the bounds are not real numbers.
    ValueError
        If a lower bound exceeds its upper bound, if a bound is nan, or if the shapes
        differ.
    """

    lower: float | Array = -np.inf
    upper: float | Array = np.inf

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            if isinstance(getattr(self, name), list | tuple):  # Ragged ones make no array.
                as_array("Bounds", name, getattr(self, name))
        shapes = {np.shape(side) for side in (self.lower, self.upper)} - {()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(
                f"Bounds: got bounds of shapes {np.shape(self.lower)} and {np.shape(self.upper)}, "
                "expected numbers or arrays (m,): Bounds(lower, upper)"
            )
        if any(np.asarray(side).dtype.kind not in "fiu" for side in (self.lower, self.upper)):
            raise TypeError(
                f"Bounds: got {self.lower!r} and {self.upper!r}, expected real numbers; -np.inf "
                "and np.inf where there is no bound"
            )
        if np.any(np.isposinf(self.lower)) or np.any(np.isneginf(self.upper)):
            raise ValueError(
                f"Bounds: got lower={self.lower}, upper={self.upper}: nothing is between them"
            )
        if not np.all(np.asarray(self.lower) <= np.asarray(self.upper)):
            raise ValueError(
                f"Bounds: a lower bound exceeds its upper bound, or is nan: got {self.lower}, "
                f"{self.upper}"
            )

    @property
    def everywhere(self) -> bool:
        """True if no bound is finite."""
        return bool(np.all(np.isneginf(self.lower)) and np.all(np.isposinf(self.upper)))

    def clip(self, x: Array) -> Array:
        """Return the point within the bounds that is nearest to x in any diagonal inner product.

        Parameters
        ----------
        x : (m,) array
            Any point.

        Returns
        -------
        (m,) array
            min(max(x, lower), upper).

        Raises
        ------
        ValueError
            If x has another shape than the bounds.
        """
        self._require_shape(x)
        return np.clip(x, self.lower, self.upper)

    def holds(self, x: Array) -> bool:
        """True if x is within the bounds.

        Parameters
        ----------
        x : (m,) array
            The variables.

        Returns
        -------
        bool
            Whether lower ≤ x ≤ upper everywhere.

        Raises
        ------
        ValueError
            If x has another shape than the bounds.
        """
        self._require_shape(x)
        return bool(np.all((x >= self.lower) & (x <= self.upper)))

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless a start is within the bounds.

        Parameters
        ----------
        x : (m,) array
            The start.
        name : str
            The algorithm, for the message.

        Raises
        ------
        ValueError
            If x is outside of the bounds.
        """
        if self.holds(x):
            return
        i = int(np.flatnonzero(~((x >= self.lower) & (x <= self.upper)))[0])
        lower, upper = (np.broadcast_to(side, x.shape)[i] for side in (self.lower, self.upper))
        raise ValueError(
            f"{name}: the start is outside of the bounds: x[{i}] is {x[i]}, expected {lower} ≤ "
            f"x[{i}] ≤ {upper}; clip it first: bounds.clip(x)"
        )

    def _require_shape(self, x: Array) -> None:
        for side in (self.lower, self.upper):
            if np.shape(side) not in ((), np.shape(x)):
                raise ValueError(
                    f"Bounds: got bounds of shape {np.shape(side)}, expected {np.shape(x)}, x's, "
                    "or numbers"
                )

    def blocked(self, x: Array, g: Array) -> Array:
        """Mark the variables that are at a bound and would leave the bounds along −g.

        Parameters
        ----------
        x, g : (m,) array
            Variables within the bounds, and a gradient.

        Returns
        -------
        (m,) array of bool
            True for x_j at its bound with −g_j pointing outwards.
        """
        return np.asarray(((x <= self.lower) & (g > 0.0)) | ((x >= self.upper) & (g < 0.0)))

    def held(self, x: Array, g: Array) -> Array:
        """Return the projected gradient, which is zero at a stationary point.

        Parameters
        ----------
        x, g : (m,) array
            Variables within the bounds, and a gradient.

        Returns
        -------
        (m,) array
            g, with zeros for the variables that `blocked` marks.
        """
        return np.where(self.blocked(x, g), 0.0, g)
