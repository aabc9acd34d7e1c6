"""Values of log-determinants at one x, and their derivatives."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._dataclasses import Local, short_repr
from .._optional_methods import checked_design_hvp
from .._validation import as_array, as_cotangent, first_nonfinite
from ..errors import NonFinite
from ..factor.counts import phase
from ..factor.evidence import Evidence
from ..protocols import DesignMap
from ..steady.log_determinant import MatrixLogDeterminant
from ..typing import Array
from .hutchinson import Hutchinson


@dataclass(frozen=True, eq=False)
class DeterminantEvidence:
    """How a log-determinant and its derivatives were computed.

    Attributes
    ----------
    phase : complex
        det A / |det A|: the sign of the determinant if A is real; 1 if A is positive
        definite.
    method : str
        The factors that the selected inverse used.
    error : float
        Largest error of the verified columns of the inverse, relative to (z_ii z_jj)^½
        for a positive definite A, and to the largest entry of A⁻¹ otherwise.
    second_derivatives : str
        How Hessian-vector products are computed: "exact, by solves", or "estimated by
        …".
    factorization : Evidence
        The evidence of the factorization and its solves.
    """

    phase: complex
    method: str
    error: float
    second_derivatives: str
    factorization: Evidence

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, repr=False)
class LogDeterminantPoint(Local):
    """log |det A(φ(x))| at one x; a derivative is computed at its first use.

    Attributes
    ----------
    x : (m_x,) array
        The design.
    p : (m,) array
        The parameters, φ(x).
    design : DesignMap
        φ.
    determinant : MatrixLogDeterminant
        log |det A| with its derivatives with respect to p.
    second_derivatives : Hutchinson or None
        How Hessian-vector products are estimated; None if they are exact.
    value : float
        log |det A|.
    """

    portable = "x, and evaluate there"

    x: Array
    p: Array
    design: DesignMap
    determinant: MatrixLogDeterminant
    second_derivatives: Hutchinson | None
    value: float

    def __repr__(self) -> str:
        return f"LogDeterminantPoint(value={self.value!r}, x: {self.x.shape})"

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m_x,), by the selected inverse of A, without solves for each parameter.

        Raises TypeError if A has no method `contract`, SolveError if the selected
        inverse fails its verification, NonFinite if the gradient contains nan or inf.
        """
        g = self._pulled_back(self.determinant.gradient)
        _require_finite(g, "gradient")
        g.setflags(write=False)
        return g

    def jvp(self, x_dot: Array) -> float:
        """Return the derivative along ẋ.

        Parameters
        ----------
        x_dot : (m_x,) array
            Direction.

        Returns
        -------
        float
            df/dx ẋ.

        Raises
        ------
        ValueError
            If x_dot has another shape than x.
        """
        (x_dot,) = self._directions(x_dot, "x_dot", block=False)
        with phase("design"):
            p_dot = np.asarray(self.design.jvp(self.x, x_dot))
        return self.determinant.jvp(p_dot)

    def hvp(self, v: Array) -> Array:
        """Return ∇²f(x) v, exact, or estimated if `second_derivatives` says so.

        Parameters
        ----------
        v : (m_x,) or (m_x, j) array
            Direction, or j directions.

        Returns
        -------
        (m_x,) or (m_x, j) array
            The Hessian times v.

        Raises
        ------
        TypeError
            If A or the design map lacks a second derivative, or if A has more than 5000
            unknowns and `second_derivatives` is None.
        ValueError
            If v has another shape than x.
        """
        if self.second_derivatives is not None:
            return self.hvp_with_error(v)[0]
        v = as_array("hvp", "v", v)
        directions = self._directions(v, "v")
        p_dots = np.stack([np.asarray(self.design.jvp(self.x, d)) for d in directions], axis=-1)
        rates = self.determinant.hvp(p_dots)
        columns = [
            self._with_design(rate, direction)
            for rate, direction in zip(rates.T, directions, strict=True)
        ]
        return np.stack(columns, axis=-1).reshape(v.shape)

    def hvp_with_error(self, v: Array) -> tuple[Array, Array]:
        """Return ∇²f(x) v and the standard error of its entries.

        Parameters
        ----------
        v : (m_x,) or (m_x, j) array
            Direction, or j directions.

        Returns
        -------
        product : array
            The Hessian times v, of v's shape.
        standard_error : array
            The standard errors, of v's shape; zeros if the product is exact.

        Raises
        ------
        TypeError, ValueError
            Under the conditions of `hvp`.
        """
        v = as_array("hvp", "v", v)
        if self.second_derivatives is None:
            return self.hvp(v), np.zeros(v.shape)
        z = self.second_derivatives.vectors(self.determinant.factorization.A.shape[0])
        columns, errors = [], []
        for direction in self._directions(v, "v"):
            p_dot = np.asarray(self.design.jvp(self.x, direction))
            samples, exact = self.determinant.sampled_hvp(p_dot, z)
            pulled = np.stack([self._pulled_back(g) for g in samples.T], axis=-1)
            columns.append(pulled.mean(axis=1) + self._with_design(exact, direction))
            errors.append(pulled.std(axis=1, ddof=1) / np.sqrt(z.shape[1]))
        return (
            np.stack(columns, axis=-1).reshape(v.shape),
            np.stack(errors, axis=-1).reshape(v.shape),
        )

    def hessian(self) -> Array:
        """Return the Hessian of f at x, (m_x, m_x), by one block of products.

        Returns
        -------
        (m_x, m_x) array
            The Hessian; its symmetric part is not forced.

        Raises
        ------
        TypeError
            Under the conditions of `hvp`; if x is complex.
        """
        if self.x.dtype.kind == "c":
            raise TypeError("hessian: got a complex x, expected a real one; hvp takes complex x")
        return self.hvp(np.eye(self.x.size))

    @property
    def phase(self) -> complex:
        """det A / |det A|: the sign of the determinant if A is real."""
        return self.determinant.phase

    @property
    def evidence(self) -> DeterminantEvidence:
        """How the value and the derivatives were computed, and how accurate the inverse is."""
        selected = self.determinant.selected
        h = self.second_derivatives
        factorization = self.determinant.factorization.evidence
        return DeterminantEvidence(
            self.phase,
            selected.method,
            selected.error,
            "exact, by solves" if h is None else f"estimated by {h.samples} random vectors",
            replace(factorization, counts=self.determinant._counts.copy()),
        )

    def _pulled_back(self, p_bar: Array) -> Array:
        """Return (∂φ/∂x)ᵀ p̄, (m_x,)."""
        with phase("design"):
            g = self.design.vjp(self.x, p_bar)
        return as_cotangent(g, self.x, f"the vjp of the design map {type(self.design).__name__}")

    def _with_design(self, rate: Array, direction: Array) -> Array:
        """Return (∂φ/∂x)ᵀ applied to the rate of df/dp, plus the second derivative of φ."""
        second = checked_design_hvp(self.design, self.x, self.determinant.gradient, direction)
        product = self._pulled_back(np.ascontiguousarray(rate)) + second
        _require_finite(product, "Hessian–vector product")
        return product

    def _directions(self, v: Array, name: str, block: bool = True) -> list[Array]:
        """Return the columns of v, (m_x,) or (m_x, j); raise ValueError for another shape."""
        v = as_array("LogDeterminantPoint", name, v)
        if v.ndim not in ((1, 2) if block else (1,)) or v.shape[0] != self.x.size or not v.size:
            raise ValueError(f"got {name} of shape {v.shape}, expected ({self.x.size},)")
        if bad := first_nonfinite(v):
            raise NonFinite(f"got {name} with {bad[1]} in an entry, expected finite numbers")
        return [np.ascontiguousarray(column) for column in v.reshape(v.shape[0], -1).T]


def _require_finite(g: Array, what: str) -> None:
    if bad := first_nonfinite(g):
        raise NonFinite(f"the {what} of a log-determinant is {bad[1]} at component {bad[0]}")
