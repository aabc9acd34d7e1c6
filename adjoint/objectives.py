"""Objectives J(u, p): compliance, linear functionals and least squares."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .arguments import as_array, require_methods
from .arrays import Array, Portable, dot
from .factor.matrix import SparseMatrix
from .matrices.vectors import ConstantVector
from .parameters import as_cotangent
from .residual import Vector
from .second import of_vector


class Objective(Protocol):
    """A real J(u, p), with dJ = Re(ūᴴ du) + Re(p̄ᴴ dp) (docs/math/steady.md, eq. 6)."""

    def value(self, u: Array, p: Array) -> float:
        """J(u, p); u: (n,) or (n, k), p: (m,)."""

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(ū, p̄): ∂J/∂u of u's shape, ∂J/∂p (m,)."""


def require_objective(who: str, name: str, objective: object) -> None:
    """Raise TypeError unless the value is an objective J(u, p)."""
    expected = "an objective J(u, p), such as adjoint.LeastSquares(data)"
    require_methods(who, name, objective, ("value", "gradients"), expected)


def checked_gradients(objective: Objective, u: Array, p: Array) -> tuple[Array, Array]:
    """(ū, p̄) of any objective as arrays of the shapes of u and p, copies: an objective may fill its own ones again.

    Raises ValueError or TypeError for other shapes and types.
    """
    u_bar, p_bar = objective.gradients(u, p)
    name = type(objective).__name__
    if np.shape(u_bar) != u.shape:
        raise ValueError(f"{name}: gradients returned u_bar of shape {np.shape(u_bar)}, expected {u.shape}")
    return np.array(u_bar), as_cotangent(p_bar, p, f"{name}: gradients returned p_bar, which")


def _require_finite(who: str, name: str, values: Array) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{who}: {name} holds {values[~np.isfinite(values)][0]}, expected finite numbers")


def _require_shape(what: str, got: tuple[int, ...], u: Array) -> None:
    if got != u.shape:
        raise ValueError(f"{what}: got shape {got}, but the state has shape {u.shape}")


@dataclass(frozen=True, eq=False)
class LinearFunctional:
    """J = Re(cᴴ u). c: of the state's shape, (n,) or (n, k)."""

    c: Array

    def __post_init__(self) -> None:
        _require_finite("LinearFunctional", "c", as_array("LinearFunctional", "c", self.c))

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        _require_shape("LinearFunctional", np.shape(self.c), u)
        return dot(np.asarray(self.c), u)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(c, 0)."""
        return np.asarray(self.c), np.zeros_like(p)

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Zeros."""
        return np.zeros_like(u), np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class Compliance(Portable):
    """J = Re(bᴴ u), the work of the load b on the displacements it causes, summed over the load cases.

    load: an array of the state's shape, or the Vector b(p) of the problem, whose derivative is then included.
    """

    load: Array | Vector

    def __post_init__(self) -> None:
        if isinstance(self.load, np.ndarray | list):
            _require_finite("Compliance", "load", as_array("Compliance", "load", self.load))
            return
        require_methods("Compliance", "load", self.load, ("__call__", "vjp"), "an array, or the Vector b(p)")

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

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """(ḃ, (∂b/∂p)ᴴ u̇ + the rate of (∂b/∂p)ᴴ u along ṗ); raises TypeError for a load without `second`."""
        return self._load.jvp(p, p_dot), self._load.vjp(p, u_dot) + of_vector(self._load, p, u, p_dot)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """J = ½ Σ_i w_i |(C u − d)_i|² (docs/math/matrices_and_objectives.md, eq. 13).

    data: d, (q,) or (q, k). observe: C, (q, n), sparse or dense; None observes the state itself.
    weights: w ≥ 0, for example 1/σ² of each measurement; None for ones. Of data (q, k), which are load cases, or times
    and unknowns of a trajectory, weights are (q,) for rows, (k,) for columns (the unknowns of a trajectory), or one for
    each, (q, k); where q = k, say which by (q, 1) or (1, k). Raises ValueError for data that are not finite, and for
    weights of another shape or sign.
    """

    data: Array
    observe: SparseMatrix | Array | None = None
    weights: Array | None = None

    def __post_init__(self) -> None:
        data = as_array("LeastSquares", "data", self.data)
        if self.observe is not None and not sparse.issparse(self.observe):
            C = as_array("LeastSquares", "observe", self.observe)
            if C.ndim != 2 or data.ndim == 0 or C.shape[0] != data.shape[0]:
                raise ValueError(f"LeastSquares: got observe of shape {C.shape}, expected (q, n), data {data.shape}")
            _require_finite("LeastSquares", "observe", C)
        if not np.isfinite(data).all():
            raise ValueError("LeastSquares: data hold nan or inf; leave missing measurements out of `observe`")
        if self.weights is not None:
            weights = as_array("LeastSquares", "weights", self.weights)
            if weights.ndim == 1 and data.ndim == 2 and data.shape[0] == data.shape[1] == weights.size:
                raise ValueError(
                    f"LeastSquares: weights of shape {weights.shape} may belong to the rows or to the columns of data "
                    f"of shape {data.shape}: expected weights[:, None] for rows, weights[None, :] for columns"
                )
            fits = weights.shape == data.shape[:1] or (
                0 < weights.ndim <= data.ndim
                and all(a in (1, b) for a, b in zip(weights.shape[::-1], data.shape[::-1], strict=False))
            )
            if weights.dtype.kind not in "fiu" or not fits or not np.all((weights >= 0.0) & (weights < np.inf)):
                shapes = f"{data.shape[:1]}" if data.ndim < 2 else f"{data.shape[:1]}, {data.shape[1:]} or {data.shape}"
                raise ValueError(f"LeastSquares: got weights of shape {weights.shape}, expected {shapes}, all ≥ 0")

    @cached_property
    def _scale(self) -> Array:
        """w, such that it broadcasts against the data."""
        weights, data = np.asarray(self.weights), np.asarray(self.data)
        rows = weights.ndim == 1 and data.ndim == 2 and weights.size == data.shape[0]
        return weights[:, None] if rows else weights

    def _misfit(self, u: Array) -> Array:
        """C u − d."""
        return np.asarray(self._seen(u) - self.data)

    def _seen(self, u: Array) -> Array:
        seen = u if self.observe is None else np.asarray(self.observe @ u)
        if seen.shape != np.shape(self.data):
            raise ValueError(f"LeastSquares: C u has shape {seen.shape}, the data {np.shape(self.data)}")
        return seen

    def _weighted(self, seen: Array, power: float) -> Array:
        """w, or √w for the power ½, times it."""
        return seen if self.weights is None else self._scale**power * seen

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        misfit = self._misfit(u)
        return 0.5 * dot(misfit, self._weighted(misfit, 1.0))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Cᴴ w (C u − d), 0)."""
        return self._pulled_back(self._weighted(self._misfit(u), 1.0)), np.zeros_like(p)

    def _pulled_back(self, weighted: Array) -> Array:
        return weighted if self.observe is None else np.asarray(self.observe.T.conj() @ weighted)

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """(Cᴴ w C u̇, 0)."""
        return self._pulled_back(self._weighted(self._seen(u_dot), 1.0)), np.zeros_like(p)

    def residual(self, u: Array, p: Array) -> Array:
        """r with J = ½‖r‖²: √w (C u − d), its imaginary part after the real one, (k,)."""
        return self._parts(self._misfit(u), u)

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """√w C u̇, in two parts likewise, (k,)."""
        return self._parts(self._seen(u_dot), u)

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """(Cᴴ √w w, 0), w (k,) one complex number of its two parts."""
        parts = w.reshape((-1, *np.shape(self.data)))
        whole = parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]
        return self._pulled_back(self._weighted(whole, 0.5)), np.zeros_like(p)

    def _parts(self, seen: Array, u: Array) -> Array:
        """√w times it, as real numbers: as many whether a rate happens to be real or not."""
        rooted = self._weighted(seen, 0.5).ravel()
        kinds = [a.dtype.kind for a in (u, np.asarray(self.data), u if self.observe is None else self.observe)]
        return np.concatenate([rooted.real, rooted.imag]) if "c" in kinds else rooted
