"""Objectives J(u, p): compliance, linear functionals, least squares, and sums and products of any."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from .arrays import Array, dot
from .factor.matrix import SparseMatrix
from .matrices.vectors import ConstantVector
from .parameters import as_cotangent
from .residual import Vector


class Objective(Protocol):
    """A real J(u, p), with dJ = Re(ūᴴ du) + Re(p̄ᴴ dp) (docs/math.md, eq. 6)."""

    def value(self, u: Array, p: Array) -> float:
        """J(u, p); u: (n,) or (n, k), p: (m,)."""

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(ū, p̄): ∂J/∂u of u's shape, ∂J/∂p (m,)."""


def checked_gradients(objective: Objective, u: Array, p: Array) -> tuple[Array, Array]:
    """(ū, p̄) of any objective as arrays of the shapes of u and p; raises ValueError or TypeError for others."""
    u_bar, p_bar = objective.gradients(u, p)
    name = type(objective).__name__
    if np.shape(u_bar) != u.shape:
        raise ValueError(f"{name}: gradients returned u_bar of shape {np.shape(u_bar)}, expected {u.shape}")
    return np.asarray(u_bar), as_cotangent(p_bar, p, f"{name}: gradients returned p_bar, which")


def _require_shape(what: str, got: tuple[int, ...], u: Array) -> None:
    if got != u.shape:
        raise ValueError(f"{what}: got shape {got}, but the state has shape {u.shape}")


@dataclass(frozen=True, eq=False)
class LinearFunctional:
    """J = Re(cᴴ u). c: of the state's shape, (n,) or (n, k)."""

    c: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        _require_shape("LinearFunctional", np.shape(self.c), u)
        return dot(np.asarray(self.c), u)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(c, 0)."""
        return np.asarray(self.c), np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class Compliance:
    """J = Re(bᴴ u), the work of the load b on the displacements it causes, summed over the load cases.

    load: an array of the state's shape, or the Vector b(p) of the problem, whose derivative is then included.
    """

    load: Array | Vector

    @cached_property
    def _load(self) -> Vector:
        return ConstantVector(np.asarray(self.load)) if isinstance(self.load, np.ndarray | list) else self.load

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        b = np.asarray(self._load(p))
        _require_shape("Compliance", b.shape, u)
        return dot(b, u)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(b, (∂b/∂p)ᴴ u)."""
        return self._load(p), self._load.vjp(p, u)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """J = ½ Σ_i w_i |(C u − d)_i|² (docs/math.md, eq. 13).

    data: d, (q,) or (q, k). observe: C, (q, n), sparse or dense; None observes the state itself.
    weights: w, (q,), ≥ 0, for example 1/σ² of each measurement; None for ones. Raises ValueError for data that are
    not finite, and for weights of another shape or sign.
    """

    data: Array
    observe: SparseMatrix | Array | None = None
    weights: Array | None = None

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if not np.isfinite(data).all():
            raise ValueError("LeastSquares: data hold nan or inf; leave missing measurements out of `observe`")
        if self.weights is not None:
            weights = np.asarray(self.weights)
            if weights.shape != data.shape[:1] or not np.all(weights >= 0.0):
                raise ValueError(
                    f"LeastSquares: got weights of shape {weights.shape}, expected {data.shape[:1]}, all ≥ 0"
                )

    def _misfit(self, u: Array) -> tuple[Array, Array]:
        """C u − d, and w (C u − d)."""
        seen = u if self.observe is None else self.observe @ u
        if seen.shape != np.shape(self.data):
            raise ValueError(f"LeastSquares: C u has shape {seen.shape}, the data {np.shape(self.data)}")
        misfit = np.asarray(seen - self.data)
        if self.weights is None:
            return misfit, misfit
        return misfit, (np.asarray(self.weights) * misfit.T).T

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        misfit, weighted = self._misfit(u)
        return 0.5 * dot(misfit, weighted)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Cᴴ w (C u − d), 0)."""
        _, weighted = self._misfit(u)
        u_bar = weighted if self.observe is None else np.asarray(self.observe.T.conj() @ weighted)
        return u_bar, np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class Sum:
    """J = Σ_i w_i J_i: one adjoint solve for all of them. weights: w, None for ones.

    Raises ValueError without terms, or with another number of weights.
    """

    terms: Sequence[Objective]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        weights = len(self.terms) if self.weights is None else len(self.weights)
        if weights != len(self.terms) or not self.terms:
            raise ValueError(f"Sum: got {len(self.terms)} terms and {weights} weights, expected as many, at least one")

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


@dataclass(frozen=True, eq=False)
class Product:
    """J = J₁ J₂: one adjoint solve for both."""

    first: Objective
    second: Objective

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return self.first.value(u, p) * self.second.value(u, p)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """J₂ (ū₁, p̄₁) + J₁ (ū₂, p̄₂)."""
        weights = (self.second.value(u, p), self.first.value(u, p))
        return Sum((self.first, self.second), weights).gradients(u, p)
