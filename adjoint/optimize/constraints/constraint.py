"""The protocol of a constraint, and a constraint on any function of the design."""

from dataclasses import dataclass
from typing import Protocol

from ..._dataclasses import short_repr
from ...factor.counts import phase
from ...reduced import Function, Point, Reduced
from ...typing import Array
from ..settings import require_function
from ..trial import require_point


class Valued(Protocol):
    """A number c that depends on the design, with its gradient; for instance a `Point`."""

    @property
    def value(self) -> float:
        """c."""

    @property
    def gradient(self) -> Array:
        """dc/dx, (m,)."""


class Constraint(Protocol):
    """c ≤ bound (or c = bound, among equalities), where c is a function of an evaluated point."""

    @property
    def bound(self) -> float:
        """The largest value allowed, in the units of c."""

    def at(self, point: Point) -> Valued:
        """c at a point.

        Parameters
        ----------
        point : Point
            The objective at a design, with its solution if the objective has one.

        Returns
        -------
        Valued
            An object with `value`, c, and `gradient`, dc/dx, (m,).
        """


@dataclass(frozen=True, eq=False)
class FunctionConstraint:
    """c(x) ≤ bound, with any function c, such as a `Reduced` of another problem.

    Parameters
    ----------
    function : callable
        c: x, (m,) ↦ a point with x, value and gradient, as f of `minimize`; called once per
        point.
    bound : float
        The largest value allowed, in the units of c.

    Raises
    ------
    TypeError
        If `function` is not a function; when evaluated, if it does not return a point.
    """

    function: Function
    bound: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("FunctionConstraint", "function", self.function)
        if isinstance(self.function, type) and issubclass(self.function, Reduced):
            raise TypeError(
                "FunctionConstraint: got function=Reduced, the class itself, expected Reduced(…)"
            )

    def at(self, point: Point) -> Point:
        """c at the point's design."""
        with phase("model"):
            return require_point(self.function(point.x), "the function of a FunctionConstraint")
