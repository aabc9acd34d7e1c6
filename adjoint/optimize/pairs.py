"""Curvature pairs (s, y) of the last steps, and the inverse Hessian they stand for, applied to a derivative."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .inner import InnerProduct

FLAT = 1e-14
"""A pair with ⟨y, s⟩ below this times ‖y‖‖s‖ has no curvature above rounding."""


def curved(s: Array, y: Array, inner: InnerProduct) -> bool:
    """Whether ⟨y, s⟩ is positive, by more than rounding."""
    return 0.0 < FLAT * inner.norm(s) * inner.dual_norm(y) < inner.pairing(y, s)


@dataclass(frozen=True, eq=False)
class Pairs:
    """S: (k, m) design changes, Y: (k, m) the gradients' changes, the oldest first; products: (k,) ⟨y, s⟩ > 0."""

    S: Array
    Y: Array
    products: Array

    @classmethod
    def none(cls, m: int) -> "Pairs":
        """No pairs, of m variables."""
        return cls(np.zeros((0, m)), np.zeros((0, m)), np.zeros(0))

    @property
    def arrays(self) -> dict[str, Array]:
        """As a state remembers them."""
        return {"S": self.S, "Y": self.Y, "products": self.products}

    @property
    def count(self) -> int:
        """k."""
        return len(self.products)

    def with_pair(self, s: Array, y: Array, memory: int, inner: InnerProduct) -> "Pairs":
        """With one more, `memory` at most; the same where the pair has no curvature."""
        if not curved(s, y, inner):
            return self
        last = slice(max(self.count + 1 - memory, 0), None)
        products = np.append(self.products[last], inner.pairing(y, s))
        return Pairs(np.vstack([self.S[last], s]), np.vstack([self.Y[last], y]), products)

    def of_free(self, free: Array, inner: InnerProduct) -> "Pairs":
        """The pairs' parts on the free variables, (m,) booleans, zero elsewhere, without those of no curvature."""
        S, Y = np.where(free, self.S, 0.0), np.where(free, self.Y, 0.0)
        products = inner.total(Y * S)
        kept = products > FLAT * np.sqrt(inner.total(S * S) * inner.total(Y * Y))
        return Pairs(S[kept], Y[kept], products[kept])

    def scale(self, inner: InnerProduct) -> float:
        """γ = ⟨y, s⟩ / ⟨y, M⁻¹ y⟩ of the last pair: γ M⁻¹ is the inverse Hessian's size along it. 1 without pairs."""
        if not self.count:
            return 1.0
        y = self.Y[-1]
        return float(self.products[-1]) / inner.pairing(y, inner.direction(y))

    def inverse_times(self, g: Array, gamma: float, inner: InnerProduct) -> Array:
        """H g, (m,), by the two-loop recursion from the initial matrix γ M⁻¹, the only place that M is in.

        Nocedal & Wright (2006), algorithm 7.4.
        """
        q, weights = g.copy(), np.zeros(self.count)
        for k in reversed(range(self.count)):
            weights[k] = inner.pairing(q, self.S[k]) / self.products[k]
            q -= weights[k] * self.Y[k]
        r = gamma * inner.direction(q)
        for k in range(self.count):
            r += (weights[k] - inner.pairing(self.Y[k], r) / self.products[k]) * self.S[k]
        return r
