"""Forcing terms: how accurately an inexact Newton method solves for its corrections."""

from dataclasses import dataclass

from .._dataclasses import short_repr
from .._validation import require_settings

SAFEGUARD = 0.1
"""γ η_{k−1}^α above which η_k ≥ γ η_{k−1}^α (Eisenstat & Walker, 1996, section 2.1).
Without this safeguard, one successful step would make the next solve needlessly
accurate."""


@dataclass(frozen=True, eq=False)
class EisenstatWalker:
    """η_k = γ (‖R_k‖ / ‖R_{k−1}‖)^α, the relative tolerance of the k-th Krylov solve.

    The more a step reduces ‖R‖, the more accurate the next solve is. The iteration
    converges superlinearly, of order α.

    Parameters
    ----------
    gamma : float
        γ, 0 < γ ≤ 1. Dimensionless, as are all parameters here.
    alpha : float
        α, 1 < α ≤ 2.
    largest : float
        The largest η, between 0 and 1, and the η of the first solve.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is outside of its range.

    References
    ----------
    Eisenstat & Walker (1996), SIAM J. Sci. Comput. 17, 16, choice 2.
    """

    gamma: float = 0.9
    alpha: float = 2.0
    largest: float = 0.5

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.gamma <= 1.0 < self.alpha <= 2.0 and 0.0 < self.largest < 1.0):
            raise ValueError(
                f"EisenstatWalker: got gamma={self.gamma}, alpha={self.alpha}, "
                f"largest={self.largest}; expected 0 < gamma ≤ 1, 1 < alpha ≤ 2, 0 < largest < 1"
            )

    def tolerance(self, norms: tuple[float, ...], last: float) -> float:
        """η_k, the relative tolerance of the next Krylov solve.

        Parameters
        ----------
        norms : tuple of float
            ‖R‖ of the iterates so far.
        last : float
            η_{k−1}, the tolerance of the previous solve; 1 before the first solve.

        Returns
        -------
        float
            η_k ≤ largest.
        """
        if len(norms) < 2 or not norms[-2] > 0.0:
            return self.largest
        eta = self.gamma * min(norms[-1] / norms[-2], 1.0) ** self.alpha
        kept = self.gamma * last**self.alpha
        if kept > SAFEGUARD:
            eta = max(eta, kept)
        return min(eta, self.largest)
