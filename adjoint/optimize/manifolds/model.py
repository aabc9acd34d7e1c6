"""The trust-region model in a tangent space, with steps that end on the manifold."""

import math
from dataclasses import dataclass

from ..._numerics import dot
from ...typing import Array
from ..algorithms.trust_region import Step
from ..algorithms.trust_region_cg import FIRST, Model
from .manifold import Manifold


@dataclass(frozen=True, eq=False)
class RetractedModel:
    """q(s) over tangent vectors s at x; a step leads to R_x(s).

    model: q, in the metric at x; its gradient and Hessian products are derivatives projected
    onto the tangent space, so that all steps of CG are tangent. Absil, Baker & Gallivan (2007),
    Found. Comput. Math. 7, 303.
    """

    model: Model
    manifold: Manifold

    def first_radius(self) -> tuple[float, int]:
        """As of the model; but ‖x‖₂ if q has no minimum along its gradient.

        ‖x‖₂ is 1 on a sphere and √k on a Stiefel manifold, whose points x are normal vectors.
        """
        model, x = self.model, self.model.x
        d = -model.inner.direction(model.gradient)
        curvature, slope = model.inner.pairing(model.times(d), d), dot(model.gradient, d)
        if curvature > 0.0:
            return FIRST * (-slope / curvature) * model.inner.norm(d), 1
        return math.sqrt(dot(x, x)), 1

    def step(self, radius: float, tolerance: float) -> Step:
        """The tangent step s of the model, and the point R_x(s)."""
        step = self.model.step(radius, tolerance)
        return Step(self.manifold.retract(self.model.x, step.s).y, step.s, step.Hs, step.products)

    def predicted(self, step: Step) -> float:
        """−q(s)."""
        return self.model.predicted(step)

    def length(self, s: Array) -> float:
        """‖s‖ in the metric at x."""
        return self.model.length(s)
