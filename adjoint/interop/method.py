"""What an optimizer of another package is: its settings, and how it is called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..optimize import Box, Constraint, InnerProduct

if TYPE_CHECKING:
    from .run import Run


class Method(Protocol):
    """An optimizer of another package: a frozen dataclass of its settings."""

    @property
    def bounds(self) -> Box:
        """Of the design."""

    @property
    def inner(self) -> InnerProduct:
        """The one that is Euclidean in the variables z; diagonal where there are bounds."""

    @property
    def constraints(self) -> Sequence[Constraint]:
        """c ≤ bound."""

    @property
    def equalities(self) -> Sequence[Constraint]:
        """c = bound."""

    def optimize(self, run: "Run") -> bool:
        """Run from `run.start`, calling `run.accept` with each iterate; whether the package claims success."""
