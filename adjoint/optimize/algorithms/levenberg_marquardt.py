"""The Levenberg–Marquardt step of few parameters: min ½‖r + Js‖² within ‖Ds‖ ≤ Δ."""

from dataclasses import dataclass

import numpy as np

from ..._numerics import dot
from ...bounds import Bounds
from ...typing import Array
from .trust_region import Step

CLOSE = 0.1
"""Largest relative difference of the length of a step and Δ: Moré (1978), section 5."""


HEBDEN = 30
"""Largest number of iterations for μ; two or three are usual."""


SHORTER = 40
"""Largest number of halvings of a projected gradient step."""


@dataclass(frozen=True, eq=False)
class FewParameters:
    """q(s) = r·Js + ½‖Js‖² within bounds.

    residual: r, (k,); J: dr/dx, (k, m); scale: the diagonal of D, (m,), positive.
    """

    bounds: Bounds
    x: Array
    residual: Array
    J: Array
    scale: Array

    def length(self, s: Array) -> float:
        """‖Ds‖."""
        return float(np.linalg.norm(self.scale * s))

    def first_radius(self) -> tuple[float, int]:
        """The first Δ, and 0, the number of products with H.

        Δ is ‖Dx‖, or the length of a step along the negative gradient if x = 0.
        """
        g = self.J.T @ self.residual / self.scale
        Jg = self.J @ (g / self.scale)
        down = float(np.linalg.norm(g)) ** 3 / (dot(Jg, Jg) or 1.0)
        return self.length(self.x) or down or 1.0, 0

    def predicted(self, step: Step) -> float:
        """−q(s): the decrease of f that the model promises."""
        return -self._q(step.s)

    def step(self, radius: float, tolerance: float) -> Step:
        """The step s with the least q(s) within ‖Ds‖ ≤ Δ and the bounds.

        If no bound is met, ‖Ds‖ exceeds Δ by at most a tenth before s is shortened to
        Δ. Variables that would leave the bounds stop there, and the step of the other
        variables is computed again. If a projected gradient step lowers q more, this
        step is returned. tolerance: not used.
        """
        y = self._within_faces(radius)
        if not self.bounds.everywhere:
            y = min((y, self._downhill(radius)), key=lambda at: self._q(at - self.x))
        s = y - self.x
        return Step(y, s, self.J.T @ (self.J @ s), 0)

    def _q(self, s: Array) -> float:
        Js = self.J @ s
        return dot(self.residual, Js) + 0.5 * dot(Js, Js)

    def _within_faces(self, radius: float) -> Array:
        free = ~self.bounds.blocked(self.x, self.J.T @ self.residual)
        y = self.x
        for _ in range(self.x.size):
            s = np.where(free, 0.0, y - self.x)
            left = np.sqrt(max(radius**2 - self.length(s) ** 2, 0.0))
            s[free] = self._solved(free, self.residual + self.J @ s, left)
            y = self.bounds.clip(self.x + s)
            met = free & (y != self.x + s)
            if not met.any():
                break
            free = free & ~met
        return y

    def _solved(self, free: Array, r: Array, radius: float) -> Array:
        """argmin ½‖r + J s‖² over the free variables with ‖Ds‖ ≤ Δ.

        By the singular values of J D⁻¹: Hebden (1973), AERE report TP 515; Moré (1978),
        Lecture Notes in Mathematics 630, 105, section 5.
        """
        if not (free.any() and radius > 0.0):
            return np.zeros(int(free.sum()))
        U, sigma, Vt = np.linalg.svd(self.J[:, free] / self.scale[free], full_matrices=False)
        kept = sigma > np.finfo(float).eps * max(self.J.shape) * sigma.max(initial=0.0)
        U, sigma, Vt = U[:, kept], sigma[kept], Vt[kept]
        b = U.T @ r
        mu = 0.0
        for _ in range(HEBDEN):
            damped = sigma**2 + mu
            z = sigma * b / damped
            length = float(np.linalg.norm(z))
            if length <= (1.0 + CLOSE) * radius:
                break
            mu += (length - radius) / radius * length**2 / float(np.sum(z**2 / damped))
        return -(Vt.T @ z) * min(1.0, radius / length if length > 0.0 else 1.0) / self.scale[free]

    def _downhill(self, radius: float) -> Array:
        """P(x − t D⁻²g): the first t minimizes q within Δ.

        T is halved until q has fallen enough.
        """
        g = self.J.T @ self.residual
        d = -self.bounds.held(self.x, g) / self.scale**2
        if not (length := self.length(d)) > 0.0:
            return self.x
        Jd = self.J @ d
        t = min(-dot(g, d) / (dot(Jd, Jd) or np.finfo(float).tiny), radius / length)
        for _ in range(SHORTER):
            y = self.bounds.clip(self.x + t * d)
            if self._q(y - self.x) <= 1e-2 * dot(g, y - self.x):
                break
            t *= 0.5
        return y
