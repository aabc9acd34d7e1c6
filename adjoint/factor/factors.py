"""What a backend hands over, and how well its solutions must satisfy their systems."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..arrays import Array, Trans


class Factors(Protocol):
    """What a backend makes: unverified triangular solves."""

    @property
    def backend(self) -> str:
        """The package, its version and the variant, as evidence prints it."""

    def solve(self, b: Array, trans: Trans) -> Array:
        """u with A u = b (or Aᵀ, Aᴴ); b: (n, k) of A's dtype, in Fortran order."""

    def log_abs_det(self) -> float:
        """log |det A|."""


@runtime_checkable
class Eliminating(Protocol):
    """Factors whose substitutions can be had apart, for backends in which a further column of a solve is dear."""

    def growth(self, s: Array, r: Array, trans: Trans) -> float:
        """About a lower bound of the condition of D⁻¹A, by a part of a solve; r: random, (n, 1), s = D r.

        Of L U: max |U⁻¹s|, for pivoting keeps L well-conditioned; of L D Lᴴ: from rᴴA⁻¹r.
        """


@runtime_checkable
class Static(Protocol):
    """Factors with pivots that were chosen in advance."""

    @property
    def doubt(self) -> float:
        """The largest pivot over the largest entry of A, where pivots were replaced or have grown too much; else 0."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Backward errors: above `refine` a solution is refined once, above `accept` it is refused.

    rows: whether each row is looked at as well: not where an iteration stops by a norm. probe: whether the first
    solve is followed by one with a random right-hand side, which finds matrices that are singular to working
    precision, or not symmetric, even where b alone would not show it.
    """

    refine: float
    accept: float
    rows: bool
    probe: bool
