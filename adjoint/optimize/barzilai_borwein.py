"""Barzilai–Borwein steps: the curvature along the last step is the scale of the next one."""

from dataclasses import dataclass

import numpy as np

from ..arguments import require_settings
from ..arrays import Array

GROWTH = 2.0
"""Of α where the curvature along the last step is not positive, and tells no length."""

FAR = 1e5
"""Factor by which α may differ from the last one; on a quadratic it does so by as much as its condition."""

LONGEST = 1e100
"""Of a step: far beyond any that is meant, and still no overflow."""


@dataclass(frozen=True, eq=False)
class BarzilaiBorwein:
    """α₁ = ⟨s, Ms⟩/⟨s, y⟩, or the least recent α₂ = ⟨s, y⟩/⟨y, M⁻¹y⟩ if much shorter.

    s = x_k − x_{k−1}, y = g_k − g_{k−1}. 1/α₁ ≤ 1/α₂ are means of the Hessian's eigenvalues in the inner product M.
    Short steps remove what belongs to large eigenvalues, and leave a gradient for which long ones are right (ABBmin).

    See docs/math/optimization.md, eq. 75. threshold: α₂/α₁ below which the least α₂ is taken, 0 (never) to 1 (always);
    recent: from how many steps. Raises ValueError for others.

    Barzilai & Borwein (1988), IMA J. Numer. Anal. 8, 141; Frassoldati, Zanghirati & Zanni (2008), J. Ind. Manag. Optim.
    4, 299, section 3: the defaults are theirs.
    """

    threshold: float = 0.8
    recent: int = 9

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 <= self.threshold <= 1.0 and self.recent >= 1):
            raise ValueError(f"BarzilaiBorwein: got {self}, expected a threshold from 0 to 1 and recent ≥ 1")

    def __call__(self, ss: float, sy: float, yy: float, last: float, short: Array) -> tuple[float, Array]:
        """The next α, and the recent α₂ with that of this step.

        ss, sy, yy: ⟨s, Ms⟩, ⟨s, y⟩, ⟨y, M⁻¹y⟩ of a step of α = last; short: the α₂ before it, the latest last.
        """
        if not (sy > 0.0 and yy > 0.0):
            return min(GROWTH * last, LONGEST), short
        long, brief = ss / sy, sy / yy
        recent = np.append(short, brief)[-self.recent :]
        alpha = float(recent.min()) if brief < self.threshold * long else long
        return min(max(alpha, last / FAR), last * FAR, LONGEST), recent
