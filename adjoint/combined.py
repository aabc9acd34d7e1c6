"""Objectives made of others: sums, one adjoint solve for all of them, and products."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arguments import as_array, has, named
from .arrays import Array, dot
from .objectives import Objective, checked_gradients, require_objective
from .second import of_objective
from .squares import Squares, as_squares, residual_back, residual_of


@dataclass(frozen=True, eq=False)
class Sum:
    """J = Σ_i w_i J_i: one adjoint solve for all of them. weights: w, None for ones.

    Raises ValueError without terms, or with another number of weights; TypeError for terms that are no objectives.
    """

    terms: Sequence[Objective]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.terms, list | tuple):
            raise TypeError(
                f"Sum: got terms={named(self.terms)}, expected a list of objectives: Sum((J1, J2), (1.0, 2.0))"
            )
        weights = [1.0] * len(self.terms) if self.weights is None else as_array("Sum", "weights", self.weights)
        if np.ndim(weights) != 1:
            raise ValueError(f"Sum: got weights of shape {np.shape(weights)}, expected as many as terms")
        if len(weights) != len(self.terms) or not self.terms:
            raise ValueError(
                f"Sum: got {len(self.terms)} terms and {len(weights)} weights, expected as many, at least one"
            )
        if wrong := [term for term in self.terms if not has(term, "value")]:
            raise TypeError(
                f"Sum: got {named(wrong[0])} as a term, expected objectives, their weights apart: "
                "Sum((J1, J2), (1.0, 2.0))"
            )
        if np.asarray(weights).dtype.kind not in "fiu" or not np.isfinite(weights).all():
            raise ValueError(f"Sum: got weights {self.weights}, expected real and finite numbers")

    @property
    def _weighted(self) -> list[tuple[float, Objective]]:
        weights = [1.0] * len(self.terms) if self.weights is None else self.weights
        return list(zip(weights, self.terms, strict=True))

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return sum(w * J.value(u, p) for w, J in self._weighted)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """The weighted sums of the terms' (ū, p̄)."""
        parts = [(w, *checked_gradients(J, u, p)) for w, J in self._weighted]
        u_bar = sum(w * part for w, part, _ in parts)
        return np.asarray(u_bar), np.asarray(sum(w * part for w, _, part in parts))

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The weighted sums of the terms' second derivatives; raises TypeError for a term without them."""
        parts = [(w, *of_objective(J, u, p, u_dot, p_dot)) for w, J in self._weighted]
        u_part = sum(w * part for w, part, _ in parts)
        return np.asarray(u_part), np.asarray(sum(w * part for w, _, part in parts))

    @property
    def _squares(self) -> list[tuple[float, Squares]]:
        """(√w_i, J_i); raises TypeError where a term is no sum of squares, ValueError for w_i < 0."""
        if not all(w >= 0.0 for w, _ in self._weighted):
            raise ValueError(f"Sum: got weights {self.weights}, expected weights ≥ 0 of a sum of squares")
        return [(math.sqrt(w), as_squares(J)) for w, J in self._weighted]

    def residual(self, u: Array, p: Array) -> Array:
        """The residuals of the terms, √w_i r_i, one after the other, (k,); raises TypeError where one has none."""
        return np.concatenate([root * residual_of(J, u, p) for root, J in self._squares])

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """The derivative of that along (u̇, ṗ), (k,)."""
        return np.concatenate([root * np.asarray(J.residual_jvp(u, p, u_dot, p_dot)) for root, J in self._squares])

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """The sums of the terms' (ū, p̄) for their parts of w (k,)."""
        ends = np.cumsum([residual_of(J, u, p).size for _, J in self._squares])
        shares = zip(self._squares, np.split(w, ends[:-1]), strict=True)
        parts = [residual_back(J, u, p, root * share) for (root, J), share in shares]
        return np.asarray(sum(u_bar for u_bar, _ in parts)), np.asarray(sum(p_bar for _, p_bar in parts))


@dataclass(frozen=True, eq=False)
class Product:
    """J = J₁ J₂: one adjoint solve for both."""

    first: Objective
    other: Objective

    def __post_init__(self) -> None:
        for name, objective in (("first", self.first), ("other", self.other)):
            require_objective("Product", name, objective)

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return self.first.value(u, p) * self.other.value(u, p)

    def _sum(self, u: Array, p: Array) -> Sum:
        """J₂ · first + J₁ · other, with the values at (u, p) for weights: of the same gradients."""
        return Sum((self.first, self.other), (self.other.value(u, p), self.first.value(u, p)))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """J₂ (ū₁, p̄₁) + J₁ (ū₂, p̄₂)."""
        return self._sum(u, p).gradients(u, p)

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """J₂ times the rates of (ū₁, p̄₁), J̇₂ (ū₁, p̄₁), and the same with 1 and 2 exchanged."""
        gradients = [checked_gradients(J, u, p) for J in (self.other, self.first)]
        rates = [dot(u_bar, u_dot) + dot(p_bar, p_dot) for u_bar, p_bar in gradients]
        u_part, p_part = self._sum(u, p).second(u, p, u_dot, p_dot)
        u_more, p_more = Sum((self.first, self.other), rates).gradients(u, p)
        return u_part + u_more, p_part + p_more
