"""Objectives J(u, p): linear functionals, compliance, least squares, and their sums and products.

A sum or a product needs one adjoint solve, whatever the number of its terms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ._dataclasses import Portable, short_repr
from ._numerics import dot
from ._optional_methods import (
    as_squares,
    checked_objective_hvp,
    checked_residual_vjp,
    checked_vector_hvp,
    residual_of,
)
from ._validation import as_array, as_cotangent, first_nonfinite, has, named, require_methods
from .matrices.vectors import ConstantVector
from .protocols import Objective, Squares, Vector
from .typing import Array, SparseMatrix


def require_objective(who: str, name: str, objective: object) -> None:
    """Raise TypeError unless the value is an objective J(u, p)."""
    expected = "an objective J(u, p), such as adjoint.LeastSquares(data)"
    require_methods(who, name, objective, ("value", "gradients"), expected)


def checked_gradients(objective: Objective, u: Array, p: Array) -> tuple[Array, Array]:
    """Return copies of (ū, p̄), because an objective may return the same arrays each time.

    Raise ValueError unless the copies have the shapes of u and p, TypeError unless they
    hold numbers.
    """
    u_bar, p_bar = objective.gradients(u, p)
    name = type(objective).__name__
    if np.shape(u_bar) != u.shape:
        raise ValueError(
            f"{name}: gradients returned u_bar of shape {np.shape(u_bar)}, expected {u.shape}"
        )
    return np.array(u_bar), as_cotangent(p_bar, p, f"{name}: gradients returned p_bar, which")


def _require_finite(who: str, name: str, values: Array) -> None:
    if bad := first_nonfinite(values):
        raise ValueError(f"{who}: {name} holds {bad[1]}, expected finite numbers")


def _require_shape(what: str, got: tuple[int, ...], u: Array) -> None:
    if got != u.shape:
        raise ValueError(f"{what}: got shape {got}, but the state has shape {u.shape}")


@dataclass(frozen=True, eq=False)
class LinearFunctional:
    """J = Re(cᴴ u).

    Parameters
    ----------
    c : (n,) or (n, k) array
        The weights of the entries of the state, in units of J per unit of u.

    Raises
    ------
    ValueError
        If c is not finite; from `value`, if the shapes of c and u differ.
    """

    c: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require_finite("LinearFunctional", "c", as_array("LinearFunctional", "c", self.c))

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        _require_shape("LinearFunctional", np.shape(self.c), u)
        return dot(np.asarray(self.c), u)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (c, 0)."""
        return np.asarray(self.c), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return zeros: J is linear in u."""
        return np.zeros_like(u), np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class Compliance(Portable):
    """J = Re(bᴴ u): the work of the load b on the displacements u, summed over load cases.

    Parameters
    ----------
    load : (n,) or (n, k) array, or Vector
        b, an array of the state's shape, or the Vector b(p) of the problem. The
        derivative of b(p) is part of the gradient.

    Raises
    ------
    ValueError
        If the load is not finite; from `value`, if the shapes of b and u differ.

    Notes
    -----
    If A is symmetric and b is the right-hand side of the problem, then λ = u: no
    adjoint solve is needed (docs/math/steady.md, eq. 8).
    """

    load: Array | Vector

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if isinstance(self.load, np.ndarray | list):
            _require_finite("Compliance", "load", as_array("Compliance", "load", self.load))
            return
        require_methods(
            "Compliance", "load", self.load, ("__call__", "vjp"), "an array, or the Vector b(p)"
        )

    @cached_property
    def _load(self) -> Vector:
        return (
            ConstantVector(np.asarray(self.load))
            if isinstance(self.load, np.ndarray | list)
            else self.load
        )

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        b = np.asarray(self._load(p))
        _require_shape("Compliance", b.shape, u)
        return dot(b, u)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (b, (∂b/∂p)ᴴ u)."""
        return self._load(p), self._load.vjp(p, u)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return (ḃ, (∂b/∂p)ᴴ u̇ + d/dt (∂b/∂p)ᴴ u along ṗ).

        Raise TypeError if the load has no `hvp`.
        """
        return self._load.jvp(p, p_dot), self._load.vjp(p, u_dot) + checked_vector_hvp(
            self._load, p, u, p_dot
        )


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """J = ½ Σ_i w_i |(C u − d)_i|² (docs/math/matrices_and_objectives.md, eq. 13).

    Parameters
    ----------
    data : (q,) or (q, k) array
        d, in the units of C u. Columns are load cases; for a trajectory rows are times
        and columns are unknowns.
    observe : (q, n) sparse matrix or array, optional
        C, the identity by default: the state itself is observed.
    weights : array, optional
        w ≥ 0, for example 1/σ² of each measurement; 1 by default. For data (q, k) the
        weights are (q,), one per row; (k,), one per column; or (q, k). If q = k, the
        shape (q, 1) means one weight per row, (1, k) one weight per column.

    Raises
    ------
    ValueError
        If data or C are not finite, or if weights are negative or have another shape.
    """

    data: Array
    observe: SparseMatrix | Array | None = None
    weights: Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        data = as_array("LeastSquares", "data", self.data)
        if self.observe is not None and not sparse.issparse(self.observe):
            C = as_array("LeastSquares", "observe", self.observe)
            if C.ndim != 2 or data.ndim == 0 or C.shape[0] != data.shape[0]:
                raise ValueError(
                    f"LeastSquares: got observe of shape {C.shape}, expected (q, n) for data of "
                    f"shape (q,) or (q, k); got data of shape {data.shape}"
                )
            _require_finite("LeastSquares", "observe", C)
        if not np.isfinite(data).all():
            raise ValueError(
                "LeastSquares: data contain nan or inf; leave missing measurements out of the "
                "data and of the rows of `observe`"
            )
        if self.weights is not None:
            weights = as_array("LeastSquares", "weights", self.weights)
            if (
                weights.ndim == 1
                and data.ndim == 2
                and data.shape[0] == data.shape[1] == weights.size
            ):
                raise ValueError(
                    f"LeastSquares: weights of shape {weights.shape} may belong to the rows or to "
                    f"the columns of data of shape {data.shape}: expected weights[:, None] for "
                    "rows, weights[None, :] for columns"
                )
            # One weight per row, or a shape that NumPy broadcasts to that of the data.
            fits = weights.shape == data.shape[:1] or (
                0 < weights.ndim <= data.ndim
                and all(
                    a in (1, b) for a, b in zip(weights.shape[::-1], data.shape[::-1], strict=False)
                )
            )
            if (
                weights.dtype.kind not in "fiu"
                or not fits
                or not np.all((weights >= 0.0) & (weights < np.inf))
            ):
                shapes = (
                    f"{data.shape[:1]}"
                    if data.ndim < 2
                    else f"{data.shape[:1]}, {data.shape[1:]} or {data.shape}"
                )
                raise ValueError(
                    f"LeastSquares: got weights of shape {weights.shape}, expected {shapes}, with "
                    "all weights ≥ 0"
                )

    @cached_property
    def _scale(self) -> Array:
        """The weights w, in a shape that NumPy broadcasts to the shape of the data."""
        weights, data = np.asarray(self.weights), np.asarray(self.data)
        rows = weights.ndim == 1 and data.ndim == 2 and weights.size == data.shape[0]
        return weights[:, None] if rows else weights

    def _misfit(self, u: Array) -> Array:
        """Return C u − d."""
        return np.asarray(self._observed(u) - self.data)

    def _observed(self, u: Array) -> Array:
        """Return C u; raise ValueError unless C u has the shape of the data."""
        observed = u if self.observe is None else np.asarray(self.observe @ u)
        if observed.shape != np.shape(self.data):
            raise ValueError(
                f"LeastSquares: C u has shape {observed.shape}, but the data have shape "
                f"{np.shape(self.data)}"
            )
        return observed

    def _weighted(self, values: Array, power: float) -> Array:
        """Return w^power times the values. values: an array of the shape of the data."""
        return values if self.weights is None else self._scale**power * values

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        misfit = self._misfit(u)
        return 0.5 * dot(misfit, self._weighted(misfit, 1.0))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (Cᴴ w (C u − d), 0)."""
        return self._pulled_back(self._weighted(self._misfit(u), 1.0)), np.zeros_like(p)

    def _pulled_back(self, values: Array) -> Array:
        """Return Cᴴ times the values, an array of the shape of u."""
        return values if self.observe is None else np.asarray(self.observe.T.conj() @ values)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return (Cᴴ w C u̇, 0)."""
        return self._pulled_back(self._weighted(self._observed(u_dot), 1.0)), np.zeros_like(p)

    def residual(self, u: Array, p: Array) -> Array:
        """Return r = √w (C u − d), (k,), with J = ½‖r‖²: real parts, then imaginary parts."""
        return self._as_reals(self._misfit(u), u)

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return √w C u̇, (k,): real parts, then imaginary parts."""
        return self._as_reals(self._observed(u_dot), u)

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """Return (Cᴴ √w ω, 0), where ω is the argument `w`, (k,), in the shape of the data.

        √w is the root of the weights. If r has real and imaginary parts, the two halves
        of the argument `w` are the real and the imaginary part of ω.
        """
        parts = w.reshape((-1, *np.shape(self.data)))
        omega = parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]
        return self._pulled_back(self._weighted(omega, 0.5)), np.zeros_like(p)

    def _as_reals(self, values: Array, u: Array) -> Array:
        """Return √w times the values as real numbers, (k,).

        k depends on the shape of the data, and on the dtypes of u, d and C.

        Thus a real derivative of a complex r has as many components as r.
        """
        rooted = self._weighted(values, 0.5).ravel()
        kinds = [
            a.dtype.kind
            for a in (u, np.asarray(self.data), u if self.observe is None else self.observe)
        ]
        return np.concatenate([rooted.real, rooted.imag]) if "c" in kinds else rooted


@dataclass(frozen=True, eq=False)
class Sum:
    """J = Σ_i w_i J_i, with one adjoint solve for all terms.

    Parameters
    ----------
    terms : list of Objective
        J_i.
    weights : list of float, optional
        w_i; 1 by default.

    Raises
    ------
    TypeError
        If a term is not an objective.
    ValueError
        If `terms` is empty, or if the numbers of terms and weights differ.
    """

    terms: Sequence[Objective]
    weights: Sequence[float] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.terms, list | tuple):
            raise TypeError(
                f"Sum: got terms={named(self.terms)}, expected a list of objectives: Sum((J1, J2), "
                "(1.0, 2.0))"
            )
        weights = (
            [1.0] * len(self.terms)
            if self.weights is None
            else as_array("Sum", "weights", self.weights)
        )
        if np.ndim(weights) != 1:
            raise ValueError(
                f"Sum: got weights of shape {np.shape(weights)}, expected one number per term"
            )
        if len(weights) != len(self.terms) or not self.terms:
            raise ValueError(
                f"Sum: got {len(self.terms)} terms and {len(weights)} weights, expected one "
                "weight per term, and at least one term"
            )
        if wrong := [term for term in self.terms if not has(term, "value")]:
            raise TypeError(
                f"Sum: got {named(wrong[0])} as a term, expected objectives; the weights are a "
                "separate argument: Sum((J1, J2), (1.0, 2.0))"
            )
        if np.asarray(weights).dtype.kind not in "fiu" or not np.isfinite(weights).all():
            raise ValueError(f"Sum: got weights {self.weights}, expected real and finite numbers")

    @property
    def _weighted(self) -> list[tuple[float, Objective]]:
        weights = [1.0] * len(self.terms) if self.weights is None else self.weights
        return list(zip(weights, self.terms, strict=True))

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        return sum(w * J.value(u, p) for w, J in self._weighted)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return Σ_i w_i (ū_i, p̄_i)."""
        parts = [(w, *checked_gradients(J, u, p)) for w, J in self._weighted]
        u_bar = sum(w * part for w, part, _ in parts)
        return np.asarray(u_bar), np.asarray(sum(w * part for w, _, part in parts))

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return Σ_i w_i times the `hvp` of J_i; raise TypeError if a J_i has no `hvp`."""
        parts = [(w, *checked_objective_hvp(J, u, p, u_dot, p_dot)) for w, J in self._weighted]
        u_part = sum(w * part for w, part, _ in parts)
        return np.asarray(u_part), np.asarray(sum(w * part for w, _, part in parts))

    @property
    def _squares(self) -> list[tuple[float, Squares]]:
        """The list of pairs (√w_i, J_i).

        Raise TypeError unless each J_i is a sum of squares, ValueError if a w_i is
        negative.
        """
        if not all(w >= 0.0 for w, _ in self._weighted):
            raise ValueError(
                f"Sum: got weights {self.weights}, expected weights ≥ 0 for a sum of squares"
            )
        return [(math.sqrt(w), as_squares(J)) for w, J in self._weighted]

    def residual(self, u: Array, p: Array) -> Array:
        """Return the residuals √w_i r_i of all terms, concatenated to (k,).

        Raise TypeError if a term is not a sum of squares, ValueError if a w_i is
        negative.
        """
        return np.concatenate([root * residual_of(J, u, p) for root, J in self._squares])

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return the derivative of `residual` along (u̇, ṗ), (k,)."""
        return np.concatenate(
            [root * np.asarray(J.residual_jvp(u, p, u_dot, p_dot)) for root, J in self._squares]
        )

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """Return Σ_i √w_i (∂r_i/∂u, ∂r_i/∂p)ᴴ v_i.

        w_i is the weight of J_i, and v_i is the part of the argument `w` for r_i.
        """
        ends = np.cumsum([residual_of(J, u, p).size for _, J in self._squares])
        split = zip(self._squares, np.split(w, ends[:-1]), strict=True)
        parts = [checked_residual_vjp(J, u, p, root * part) for (root, J), part in split]
        return np.asarray(sum(u_bar for u_bar, _ in parts)), np.asarray(
            sum(p_bar for _, p_bar in parts)
        )


@dataclass(frozen=True, eq=False)
class Product:
    """J = J₁ J₂, with one adjoint solve for both factors.

    Parameters
    ----------
    first, other : Objective
        J₁ and J₂.

    Raises
    ------
    TypeError
        If a factor is not an objective.
    """

    first: Objective
    other: Objective

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, objective in (("first", self.first), ("other", self.other)):
            require_objective("Product", name, objective)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        return self.first.value(u, p) * self.other.value(u, p)

    def _linearized(self, u: Array, p: Array) -> Sum:
        """Return the sum of J₁ and J₂ with the constant weights J₂(u, p) and J₁(u, p).

        At (u, p) this sum has the gradients of the product.
        """
        return Sum((self.first, self.other), (self.other.value(u, p), self.first.value(u, p)))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return J₂ (ū₁, p̄₁) + J₁ (ū₂, p̄₂)."""
        return self._linearized(u, p).gradients(u, p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return J₂ (dū₁, dp̄₁) + J̇₂ (ū₁, p̄₁) + J₁ (dū₂, dp̄₂) + J̇₁ (ū₂, p̄₂).

        d(…) and J̇ are the derivatives along (u̇, ṗ).
        """
        gradients = [checked_gradients(J, u, p) for J in (self.other, self.first)]
        J_dots = [dot(u_bar, u_dot) + dot(p_bar, p_dot) for u_bar, p_bar in gradients]
        u_second, p_second = self._linearized(u, p).hvp(u, p, u_dot, p_dot)
        u_first, p_first = Sum((self.first, self.other), J_dots).gradients(u, p)
        return u_second + u_first, p_second + p_first
