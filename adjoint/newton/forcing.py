"""How accurately an inexact Newton method solves for its corrections."""

from dataclasses import dataclass

from ..arguments import require_settings


@dataclass(frozen=True, eq=False)
class EisenstatWalker:
    """η_k = γ (‖R_k‖ / ‖R_{k−1}‖)^α: Krylov solves are as accurate as the last step was successful.

    gamma, alpha: γ ≤ 1 and 1 < α ≤ 2; largest: of η, and the first one. Superlinear convergence of order α.
    Raises ValueError for others. Eisenstat & Walker (1996), SIAM J. Sci. Comput. 17, 16, choice 2.
    """

    gamma: float = 0.9
    alpha: float = 2.0
    largest: float = 0.5

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.gamma <= 1.0 < self.alpha <= 2.0 and 0.0 < self.largest < 1.0):
            raise ValueError(
                f"EisenstatWalker: got gamma={self.gamma}, alpha={self.alpha}, largest={self.largest}; expected "
                "0 < gamma ≤ 1, 1 < alpha ≤ 2, 0 < largest < 1"
            )

    def tolerance(self, norms: tuple[float, ...], last: float) -> float:
        """η for the next correction; norms: ‖R‖ so far; last: η of the one before, 1 if there was none."""
        if len(norms) < 2 or not norms[-2] > 0.0:
            return self.largest
        eta = self.gamma * min(norms[-1] / norms[-2], 1.0) ** self.alpha
        kept = self.gamma * last**self.alpha
        if kept > 0.1:  # One lucky step is no reason to solve to rounding.
            eta = max(eta, kept)
        return min(eta, self.largest)
