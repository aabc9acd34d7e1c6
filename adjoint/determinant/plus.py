"""J(u(p), p) + w log |det A(p)|: both parts from one factorization of A."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._dataclasses import Local, short_repr
from .._optional_methods import checked_design_hvp
from .._validation import as_array, as_cotangent, require_kind, require_number
from ..factor.counts import phase
from ..reduced import Point, Reduced
from ..steady.log_determinant import MatrixLogDeterminant
from ..typing import Array


@dataclass(frozen=True, eq=False)
class PlusLogDeterminant:
    """f(x) = J(u(p), p) + w log |det A(p)| with p = φ(x), A(p) u = b(p).

    One factorization gives u, J, the log-determinant and the gradients of both. An
    example is the negative log-likelihood ½ bᵀC⁻¹b + ½ log det C of data b with the
    covariance matrix C(p): A = C, J = ½ bᵀu, w = ½.

    Parameters
    ----------
    function : Reduced
        J as a function of x, for a `LinearProblem`. With Dirichlet data the determinant
        is that of the block of A for the free unknowns.
    weight : float
        w, in units of J.

    Raises
    ------
    TypeError
        If an argument has the wrong type; from a call, if the problem is not linear.
    ValueError
        If the weight is nan or inf.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> from adjoint.determinant import PlusLogDeterminant
    >>> C = adjoint.Affine(None, [sparse.eye_array(4)])
    >>> b = np.array([1.0, -1.0, 2.0, 0.0])
    >>> J = adjoint.Reduced(adjoint.LinearProblem(C, b, adjoint.cholesky),
    ...                     adjoint.LinearFunctional(0.5 * b))
    >>> likelihood = PlusLogDeterminant(J, 0.5)
    >>> point = likelihood(np.array([1.5]))  # The variance of b is 1.5: a minimum.
    >>> float(abs(point.gradient[0]).round(12))
    0.0
    """

    function: Reduced
    weight: float = 0.5

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_kind("PlusLogDeterminant", "function", self.function, Reduced, "adjoint.Reduced(…)")
        require_number("PlusLogDeterminant", "weight", self.weight)

    def __call__(self, x: Array) -> "PlusPoint":
        """Solve the problem at φ(x) and return f at x.

        Parameters
        ----------
        x : (m_x,) array
            Design.

        Returns
        -------
        PlusPoint
            f at x.

        Raises
        ------
        SolveError
            If the solve fails, or if A is singular.
        TypeError
            If the problem is not linear, or was not solved by a direct factorization.
        """
        point = self.function(x)
        determinant = getattr(point.solution, "log_determinant", None)
        if determinant is None:
            raise TypeError(
                f"PlusLogDeterminant: {type(point.solution).__name__} has no log_determinant; "
                "expected the solution of a LinearProblem"
            )
        value = point.value + self.weight * determinant.value
        return PlusPoint(point, determinant, float(self.weight), value)


@dataclass(frozen=True, eq=False, repr=False)
class PlusPoint(Local):
    """J + w log |det A| at one x.

    Attributes
    ----------
    point : Point
        J at x, with the solution u.
    determinant : MatrixLogDeterminant
        log |det A| at φ(x).
    weight : float
        w.
    value : float
        f(x).
    """

    portable = "x, and evaluate there"

    point: Point
    determinant: MatrixLogDeterminant
    weight: float
    value: float

    def __repr__(self) -> str:
        return f"PlusPoint(value={self.value!r}, x: {self.x.shape})"

    @property
    def x(self) -> Array:
        """The design, (m_x,)."""
        return self.point.x

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m_x,). No factorization; solves only for the verification of the inverse."""
        g = self.point.gradient + self.weight * self._pulled_back(self.determinant.gradient)
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
        """
        p_dot = np.asarray(self.point.design.jvp(self.x, x_dot))
        return self.point.jvp(x_dot) + self.weight * self.determinant.jvp(p_dot)

    def hvp(self, v: Array) -> Array:
        """Return ∇²f(x) v, exact, by 2n right-hand sides.

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
            If a part lacks second derivatives, or if A has more than 5000 unknowns.
        ValueError
            If v has another shape than x.
        """
        v = as_array("hvp", "v", v)
        if v.ndim not in (1, 2) or v.shape[0] != self.x.size or not v.size:
            raise ValueError(f"hvp: got v of shape {v.shape}, expected {self.x.shape}")
        design, directions = self.point.design, v.reshape(v.shape[0], -1).T
        p_dots = np.stack([np.asarray(design.jvp(self.x, d)) for d in directions], axis=-1)
        g = self.determinant.gradient
        columns = [
            self.point.hvp(np.ascontiguousarray(d))
            + self.weight * (self._pulled_back(rate) + checked_design_hvp(design, self.x, g, d))
            for d, rate in zip(directions, self.determinant.hvp(p_dots).T, strict=True)
        ]
        return np.stack(columns, axis=-1).reshape(v.shape)

    def hessian(self) -> Array:
        """Return the Hessian of f at x, (m_x, m_x).

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

    def _pulled_back(self, p_bar: Array) -> Array:
        with phase("design"):
            g = self.point.design.vjp(self.x, np.ascontiguousarray(p_bar))
        name = type(self.point.design).__name__
        return as_cotangent(g, self.x, f"the vjp of the design map {name}")
