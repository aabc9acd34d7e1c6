"""The trust-region subproblem by CG: min q(s) = g·s + ½ s·Hs within ‖s‖_M ≤ Δ."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._validation import first_nonfinite
from ...bounds import Bounds
from ...errors import NonFinite
from ...typing import Array
from ..inner_products import InnerProduct
from .trust_region import Step

SUFFICIENT = 1e-2
"""Part of the decrease promised by the slope that a projected step must achieve: μ₀ of Lin
& Moré (1999)."""


FACES = 20
"""Largest number of faces of the box that are searched in one step."""


FIRST = 10.0
"""The first radius, divided by the length of the step to the model's minimum along its
gradient."""


HALVINGS = 30
"""Largest number of halvings of a projected step."""


@dataclass(frozen=True, eq=False)
class Model:
    """q(s) = g·s + ½ s·Hs at the design x.

    gradient: g, (m,); hessian: v ↦ Hv, (m,); most: largest number of products in one run of
    CG.
    """

    inner: InnerProduct
    bounds: Bounds
    x: Array
    gradient: Array
    hessian: Callable[[Array], Array]
    most: int

    def times(self, v: Array) -> Array:
        """Hv, (m,); raise ValueError if the shape is not that of v, NonFinite for nan or inf."""
        Hv = np.asarray(self.hessian(v))
        if Hv.shape != v.shape:
            raise ValueError(f"the hvp of the objective has shape {Hv.shape}, the design {v.shape}")
        if (bad := first_nonfinite(Hv)) is not None:
            index, entry, count = bad
            raise NonFinite(
                f"the hvp of the objective is {entry} at component {index} ({count} such)"
            )
        return Hv

    def predicted(self, step: Step) -> float:
        """−q(s): positive if the step promises a decrease."""
        return -self.inner.pairing(self.gradient + 0.5 * step.Hs, step.s)

    def length(self, s: Array) -> float:
        """‖s‖_M."""
        return self.inner.norm(s)

    def first_radius(self) -> tuple[float, int]:
        """The first Δ, and 1, the number of products with H.

        Δ is ten times the distance to the minimum of q along −M⁻¹g, without the
        components held by bounds. If q has no minimum along this direction, Δ is ‖x‖_M.
        """
        d = -self.inner.direction(self.bounds.held(self.x, self.gradient))
        curvature, slope = (
            self.inner.pairing(self.times(d), d),
            self.inner.pairing(self.gradient, d),
        )
        if curvature > 0.0:
            return FIRST * (-slope / curvature) * self.inner.norm(d), 1
        return self.inner.norm(self.x) or self.inner.norm(d), 1

    def step(self, radius: float, tolerance: float) -> Step:
        """s with ‖s‖_M ≤ Δ and a small q; iterations end at ‖∇q‖ ≤ tolerance in the dual norm."""
        if self.bounds.everywhere:
            zero, free = np.zeros_like(self.x), np.ones(self.x.shape, dtype=bool)
            start = Step(self.x, zero, zero, 0)
            d, Hd, products = self._conjugate_gradients(start, free, radius, tolerance)
            return Step(self.x + d, d, Hd, products)
        return self._within_faces(radius, tolerance)

    def _conjugate_gradients(
        self, start: Step, free: Array, radius: float, tolerance: float
    ) -> tuple[Array, Array, int]:
        """d, Hd and the number of products, by CG from s over the free variables.

        CG ends when ‖s + d‖_M = Δ at the latest. Steihaug (1983), SIAM J. Numer. Anal.
        20, 626; Nocedal & Wright (2006), algorithm 7.2, preconditioned by M⁻¹.
        """
        inner, d, Hd = self.inner, np.zeros_like(self.x), np.zeros_like(self.x)
        r = np.where(free, self.gradient + start.Hs, 0.0)
        z = inner.direction(r)
        p, rz = -z, inner.pairing(r, z)
        for product in range(self.most):
            if not math.sqrt(max(rz, 0.0)) > tolerance:
                return d, Hd, product
            Hp = self.times(p)
            curvature = inner.pairing(Hp, p)
            alpha = rz / curvature if curvature > 0.0 else np.inf
            if not alpha < (longest := _to_boundary(inner, start.s + d, p, radius)):
                return d + longest * p, Hd + longest * Hp, product + 1
            d, Hd = d + alpha * p, Hd + alpha * Hp
            r = r + alpha * np.where(free, Hp, 0.0)
            z, before = inner.direction(r), rz
            rz = inner.pairing(r, z)
            p = rz / before * p - z
        return d, Hd, self.most

    def _within_faces(self, radius: float, tolerance: float) -> Step:
        """The step that begins with the Cauchy point and goes on by CG between the bounds.

        After each run of CG, variables that met a bound are fixed. Lin & Moré (1999),
        SIAM J. Optim. 9, 1100, algorithm 5.1; M is diagonal.
        """
        step = self._cauchy_point(radius)
        for _ in range(FACES):
            free = (step.y > self.bounds.lower) & (step.y < self.bounds.upper)
            left = np.where(free, self.gradient + step.Hs, 0.0)
            if (
                not self.inner.dual_norm(left) > tolerance
                or self.inner.norm(step.s) > 0.99 * radius
            ):
                break
            d, Hd, products = self._conjugate_gradients(step, free, radius, tolerance)
            before, step = step, self._projected(step, d, Hd)
            step = Step(step.y, step.s, step.Hs, step.products + products)
            if np.array_equal(before.y + d, step.y):  # No further bound was met.
                break
        return step

    def _cauchy_point(self, radius: float) -> Step:
        """The step to P(x − t M⁻¹g); t minimizes q approximately, within Δ."""
        zero = np.zeros_like(self.x)
        d = -self.inner.direction(self.bounds.held(self.x, self.gradient))
        if not (length := self.inner.norm(d)) > 0.0:
            return Step(self.x, zero, zero, 0)
        Hd = self.times(d)
        curvature, slope = self.inner.pairing(Hd, d), self.inner.pairing(self.gradient, d)
        t = min(-slope / curvature if curvature > 0.0 else np.inf, radius / length)
        step = self._projected(Step(self.x, zero, zero, 0), t * d, t * Hd)
        return Step(step.y, step.s, step.Hs, step.products + 1)

    def _projected(self, step: Step, d: Array, Hd: Array) -> Step:
        """The step to P(y + αd) with the first α = 1, ½, … that decreases q enough.

        α is not shortened below its value at the first bound.
        """
        slope, alpha, products = self.gradient + step.Hs, 1.0, step.products
        first = self._first_bound(step.y, d)
        for _ in range(HALVINGS):
            if alpha <= first:
                break
            y = self.bounds.clip(step.y + alpha * d)
            w = y - step.y
            Hw, products = self.times(w), products + 1
            promised = self.inner.pairing(slope, w)
            if (
                promised + 0.5 * self.inner.pairing(Hw, w) <= SUFFICIENT * min(promised, 0.0)
                and promised < 0.0
            ):
                return Step(y, y - self.x, step.Hs + Hw, products)
            alpha = max(0.5 * alpha, first)
        alpha = min(1.0, first)
        y = self.bounds.clip(step.y + alpha * d)
        return Step(y, y - self.x, step.Hs + alpha * Hd, products)

    def _first_bound(self, y: Array, d: Array) -> float:
        """The least α at which a variable of y + αd meets a bound; inf if none does."""
        room = np.where(d > 0.0, self.bounds.upper - y, y - self.bounds.lower)
        with np.errstate(over="ignore"):
            reach = np.divide(room, np.abs(d), out=np.full_like(y, np.inf), where=d != 0.0)
        return -self.inner.largest(-reach)


def _to_boundary(inner: InnerProduct, s: Array, p: Array, radius: float) -> float:
    """τ ≥ 0 with ‖s + τp‖_M = Δ, for ‖s‖_M ≤ Δ."""
    a, b = inner.norm(p) ** 2, inner.pairing(inner.covector(p), s)
    c = max(radius**2 - inner.norm(s) ** 2, 0.0)
    root = math.sqrt(b * b + a * c)
    return c / (b + root) if b > 0.0 else (root - b) / a
