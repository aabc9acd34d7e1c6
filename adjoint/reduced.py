"""The reduced objective f(x) = J(u(p), p) with p = φ(x), and its derivatives.

See docs/math/matrices_and_objectives.md, eq. 14.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ._dataclasses import short_repr
from ._numerics import dot
from ._optional_methods import (
    as_squares,
    checked_design_hvp,
    checked_objective_hvp,
    checked_residual_jvp,
    checked_residual_vjp,
    residual_of,
)
from ._validation import (
    as_array,
    as_cotangent,
    as_parameters,
    first_nonfinite,
    missing_methods,
    named,
    require_integer,
)
from .accuracy import Accuracy, accuracy_of
from .design.maps import Identity
from .errors import NonFinite
from .factor.counts import phase
from .objectives import checked_gradients, require_objective
from .protocols import (
    DesignMap,
    LinearizableSolution,
    Linearization,
    Objective,
    Problem,
    Solution,
    SolutionWithHvp,
    TunableProblem,
)
from .typing import Array


@dataclass(eq=False, repr=False)
class Point:
    """The value of f at one x, and its derivatives; a derivative is computed at its first use.

    A Point keeps the gradient, df/dp, λ and the residual after their first use.

    Attributes
    ----------
    x : (m_x,) array
        The design.
    p : (m,) array
        The parameters, φ(x).
    solution : Solution
        The solution of the problem at p.
    objective : Objective
        J.
    design : DesignMap
        φ.
    value : float
        f(x).
    gradient : (m_x,) array
        df/dx, computed by at most one transposed solve.
    residual : (k,) array
        r with f = ½‖r‖², if J is a sum of squares.

    Notes ----- The gradient holds the partial derivatives, and is a dual vector. An
    `InnerProduct` maps the gradient to a direction.
    """

    x: Array
    p: Array
    solution: Solution
    objective: Objective
    design: DesignMap
    value: float
    _adjoints: "_BlockAdjoints | None" = None
    _gradient: Array | None = field(default=None, init=False)

    def __repr__(self) -> str:
        known = "not computed" if self._gradient is None else "known"
        return f"Point(value={self.value!r}, x: {self.x.shape}, gradient {known})"

    @property
    def gradient(self) -> Array:
        """df/dx, (m_x,), by at most one transposed solve with the factors of the forward solution.

        Raises
        ------
        NonFinite
            If the gradient contains nan or inf.
        SolveError
            If the transposed solve fails.
        """
        if self._gradient is None:
            with phase("design"):
                g = self._pulled_back(self._df_dp)
            self._require_finite(g, "gradient")
            g.setflags(write=False)  # The point returns the same array each time.
            self._gradient = g
        return self._gradient

    @cached_property
    def _df_dp(self) -> Array:
        """df/dp = (du/dp)ᴴ ū + p̄, (m,)."""
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        self._require_finite(p_bar, "derivative with respect to p")
        through_u = (
            self.solution.vjp(u_bar)
            if self._adjoints is None
            else self._adjoints.column(self.objective)
        )
        return through_u + p_bar

    def _pulled_back(self, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄, (m_x,)."""
        g = self.design.vjp(self.x, p_bar)
        return as_cotangent(g, self.x, f"the vjp of the design map {type(self.design).__name__}")

    def _require_finite(self, g: Array, what: str) -> None:
        if bad := first_nonfinite(g):
            raise NonFinite(
                f"the {what} of {type(self.objective).__name__} is {bad[1]} at component {bad[0]}. "
                "Usual causes: sqrt or log of zero in an objective or a design map"
            )

    def accuracy(self, direction: Array | None = None) -> Accuracy:
        """Estimate the errors that inexact solves leave in f(x) and in the gradient.

        See docs/math/accuracy.md. The estimate costs at most four solves for corrections,
        and four solves of known solutions, but no factorization. For a trajectory: three
        integrations with steps of the same, half and a quarter of the length, and their
        reverse sweeps.

        Parameters
        ----------
        direction : (m_x,) array, optional
            v: estimate the error of the derivative along v, |δg·v|, instead of ‖δg‖₂.

        Returns
        -------
        Accuracy
            The estimates, the corrected value and gradient, and a status that says how
            far the estimates can be trusted.

        Raises
        ------
        TypeError
            If the solution is neither that of equations R(u, p) = 0 nor a trajectory, such
            as the solution of a recurrence.
        ValueError
            If `direction` has another shape than x.
        """
        return accuracy_of(
            self.solution,
            self.objective,
            self.gradient,
            lambda: self._lam,
            self._pulled_back,
            direction,
        )

    def hvp(self, v: Array) -> Array:
        """∇²f(x) v, by two solves with the factors of the forward solution.

        See docs/math/optimization.md, eqs. 69–72.

        One solve gives the tangent u̇, one transposed solve the rate of the adjoint
        state; for a recurrence or a trajectory, one forward and one reverse sweep. A
        block of j directions takes the same two solves with j right-hand sides. The first
        product also needs the solve of the gradient.

        Parameters
        ----------
        v : (m_x,) or (m_x, j) array
            The direction, or a block of j directions.

        Returns
        -------
        (m_x,) or (m_x, j) array
            The Hessian times v, of the shape of v.

        Raises
        ------
        TypeError
            If the physics, the objective or the design map has no method `hvp`, or if v is
            complex and x is real.
        ValueError
            If v has another shape than x, or than j columns of x's shape.
        NonFinite
            If v or a product contains nan or inf.

        Notes
        -----
        For complex x the product is the derivative of the gradient along v. This map is
        real-linear: H(v + w) = Hv + Hw and H(αv) = α Hv for real α, but H(iv) ≠ i Hv in
        general. It is symmetric for Re(vᴴ w).
        """
        V = _columns("hvp", "v", v, self.x.size)
        single = np.ndim(v) == 1
        if V.dtype.kind == "c" and self.x.dtype.kind != "c":
            raise TypeError("hvp: got complex v, expected real v, because x is real")
        columns = [as_parameters(column, "v") for column in V.T]
        df_dp = self._df_dp
        with phase("design"):
            p_dots = [as_array("hvp", "p_dot", self.design.jvp(self.x, c)) for c in columns]
        linearization = self._linearized(p_dots[0] if single else np.stack(p_dots, axis=-1))
        u_dot = linearization.u_dot
        rates = [
            checked_objective_hvp(
                self.objective,
                self.solution.u,
                self.p,
                u_dot if single else np.ascontiguousarray(u_dot[..., j]),
                p_dot,
            )
            for j, p_dot in enumerate(p_dots)
        ]
        u_bar_dot = rates[0][0] if single else np.stack([rate for rate, _ in rates], axis=-1)
        through_u = linearization.vjp_rate(self._u_bar, u_bar_dot).reshape(self.p.size, -1)
        with phase("design"):
            products = [
                self._pulled_back(through_u[:, j] + p_bar_dot)
                + checked_design_hvp(self.design, self.x, df_dp, column)
                for j, (column, (_, p_bar_dot)) in enumerate(zip(columns, rates, strict=True))
            ]
        HV = products[0] if single else np.stack(products, axis=-1)
        self._require_finite(HV, "Hessian–vector product")
        return HV

    def hessian(self, *, block: int | None = None, max_bytes: int = 2**28) -> Array:
        """∇²f(x), by Hessian-vector products of blocks of unit vectors.

        No factorization is made. The number of columns is the number of design variables,
        so that the Hessian is meant for few of them: a column costs two solves. The result
        is not made symmetric; the asymmetry shows the accuracy of the solves.

        Parameters
        ----------
        block : int or None
            The number of columns that are solved together, at least 1. None (the default):
            as many as fit into `max_bytes`, at most 64.
        max_bytes : int
            The largest number of bytes for the Hessian and the vectors of a block;
            default 256 MiB.

        Returns
        -------
        (m_x, m_x) array
            The Hessian; column i is the product with unit vector i.

        Raises
        ------
        TypeError
            If x is complex: a product is then real-linear, and one complex matrix cannot
            represent the product. Also under the conditions of `hvp`.
        ValueError
            If the Hessian, or the block, does not fit into `max_bytes`.
        """
        if self.x.dtype.kind == "c":
            raise TypeError(
                "hessian: got complex x, expected real x: Hv is real-linear in v, and one complex "
                "matrix cannot represent Hv; use hvp(v)"
            )
        require_integer("hessian", "max_bytes", max_bytes, 1)
        m = self.x.size
        width = _block_width(m, self.solution.u, self.p.size, block, max_bytes)
        H = np.empty((m, m))
        for first in range(0, m, width):
            last = min(first + width, m)
            H[:, first:last] = self.hvp(np.eye(m, last - first, -first))
        return H

    def _linearized(self, p_dot: Array) -> Linearization:
        """Return the solution, linearized along ṗ, (m,) or (m, j).

        Raise TypeError if the solution has no second derivatives.
        """
        if isinstance(self.solution, SolutionWithHvp):
            return _WithAdjointState(
                self.solution, self._lam, p_dot, np.asarray(self.solution.jvp(p_dot))
            )
        if isinstance(self.solution, LinearizableSolution):
            return self.solution.linearized(p_dot)
        raise TypeError(
            f"hvp: {type(self.solution).__name__} has no second derivatives. Expected the methods "
            "adjoint and hvp, or the method linearized; or use "
            "adjoint.optimize.DifferencedHessian(f) instead of f"
        )

    @cached_property
    def _u_bar(self) -> Array:
        """∂J/∂u, of u's shape."""
        return checked_gradients(self.objective, self.solution.u, self.p)[0]

    @cached_property
    def _lam(self) -> Array:
        """The adjoint state λ, of the shape of u; no solve if the gradient was computed before."""
        assert isinstance(self.solution, SolutionWithHvp)
        return self.solution.adjoint(self._u_bar)

    def jvp(self, x_dot: Array) -> float:
        """df/dx ẋ by one tangent solve.

        This method is meant for checks, because the whole gradient costs as much as one
        `jvp`.

        Parameters
        ----------
        x_dot : (m_x,) array
            The direction.

        Returns
        -------
        float
            The derivative of f along x_dot.

        Raises
        ------
        ValueError
            If x_dot has another shape than x.
        """
        x_dot = as_parameters(x_dot, "x_dot")
        if x_dot.shape != self.x.shape:
            raise ValueError(f"jvp: got x_dot of shape {x_dot.shape}, expected {self.x.shape}")
        with phase("design"):
            p_dot = np.asarray(self.design.jvp(self.x, x_dot))
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        return dot(u_bar, self.solution.jvp(p_dot)) + dot(p_bar, p_dot)

    @cached_property
    def residual(self) -> Array:
        """r with f = ½‖r‖², (k,); raise TypeError unless J is a sum of squares."""
        return residual_of(as_squares(self.objective), self.solution.u, self.p)

    def jvp_residual(self, v: Array) -> Array:
        """dr/dx v by one tangent solve.

        Parameters
        ----------
        v : (m_x,) or (m_x, j) array
            One direction, or a block of j directions.

        Returns
        -------
        (k,) or (k, j) array
            The derivative of the residual along each direction.

        Raises
        ------
        TypeError
            If the objective is not a sum of squares.
        """
        squares, u, k = as_squares(self.objective), self.solution.u, self.residual.size
        with phase("design"):
            p_dot = np.stack(
                [
                    self.design.jvp(self.x, column)
                    for column in _columns("jvp_residual", "v", v, self.x.size).T
                ],
                axis=-1,
            )
        u_dot = self.solution.jvp(p_dot)
        r_dots = [
            checked_residual_jvp(squares, u, self.p, (u_dot[..., j], p_dot[:, j]), k)
            for j in range(p_dot.shape[1])
        ]
        return np.stack(r_dots, axis=-1).reshape(k, *np.shape(v)[1:])

    def vjp_residual(self, w: Array) -> Array:
        """(dr/dx)ᵀ w by one transposed solve.

        Parameters
        ----------
        w : (k,) or (k, j) array
            One cotangent, or a block of j cotangents.

        Returns
        -------
        (m_x,) or (m_x, j) array
            The transpose of `jvp_residual`, applied to each column.

        Raises
        ------
        TypeError
            If the objective is not a sum of squares.
        """
        squares, u = as_squares(self.objective), self.solution.u
        columns = _columns("vjp_residual", "w", w, self.residual.size).T
        bars = [
            checked_residual_vjp(squares, u, self.p, np.ascontiguousarray(column))
            for column in columns
        ]
        through_u = self.solution.vjp(np.stack([u_bar for u_bar, _ in bars], axis=-1))
        with phase("design"):
            parts = [
                self._pulled_back(through_u[:, j] + p_bar) for j, (_, p_bar) in enumerate(bars)
            ]
        return np.stack(parts, axis=-1).reshape(self.x.size, *np.shape(w)[1:])

    def of(self, objective: Objective) -> "Point":
        """Return the point of another objective at the same solution, without a forward solve.

        Parameters
        ----------
        objective : Objective
            J of the new point.

        Returns
        -------
        Point
            The new point.
        """
        require_objective("Point.of", "objective", objective)
        return _evaluated_point(self.x, self.p, self.solution, objective, self.design, None)

    def of_each(self, objectives: Sequence[Objective]) -> "list[Point]":
        """Return the points of several objectives; one block solve yields all their gradients.

        Parameters
        ----------
        objectives : list of Objective
            J of each new point.

        Returns
        -------
        list of Point
            One point per objective.
        """
        if not isinstance(objectives, list | tuple):
            raise TypeError(
                f"Point.of_each: got objectives={named(objectives)}, expected a list of objectives"
            )
        for objective in objectives:
            require_objective("Point.of_each", "objectives", objective)
        adjoints = _BlockAdjoints(self.solution, self.p, tuple(objectives))
        return [
            _evaluated_point(self.x, self.p, self.solution, J, self.design, adjoints)
            for J in objectives
        ]


Function = Callable[[Array], Point]
"""A function f: x ↦ the `Point` at x, for instance a `Reduced`."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """f(x) = J(u(p), p), where p = φ(x) and u(p) is the solution of the problem.

    Calling f(x) solves the problem and returns a `Point`.

    Parameters
    ----------
    problem : Problem
        The model, with a method `solve(p)`.
    objective : Objective
        J.
    design : DesignMap, optional
        φ; the identity by default.

    Raises
    ------
    TypeError
        If an argument lacks a method of its protocol.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> A = adjoint.Affine(sparse.eye_array(3), [sparse.diags_array([1.0, 2.0, 3.0])])
    >>> problem = adjoint.LinearProblem(A, np.ones(3), adjoint.lu)
    >>> f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.ones(3)))
    >>> point = f(np.array([1.0]))
    >>> round(point.value, 4), point.gradient.round(4)
    (1.0833, array([-0.6597]))
    """

    problem: Problem
    objective: Objective
    design: DesignMap = field(default_factory=Identity)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, argument, methods in (
            ("problem", self.problem, ("solve",)),
            ("objective", self.objective, ("value", "gradients")),
            ("design", self.design, ("__call__", "vjp")),
        ):
            missing = (
                list(methods) if isinstance(argument, type) else missing_methods(argument, methods)
            )
            if missing:
                found = named(argument) if isinstance(argument, type) else type(argument).__name__
                raise TypeError(
                    f"Reduced: {name}: {found} has no method {missing[0]}; expected a problem, an "
                    "objective and a design map, in this order"
                )

    def __call__(self, x: Array) -> Point:
        """Solve the problem at φ(x) and return f at x, as a Point; x: (m_x,).

        Raises
        ------
        SolveError
            If the solve fails. Errors of the design map and of the objective are passed on.
        NonFinite
            If x, p or f(x) is nan or inf.
        """
        x = as_parameters(x, "x")
        x.setflags(
            write=False
        )  # A later gradient needs the same x: the design map cannot change it.
        with phase("design"):
            p = as_parameters(self.design(x), "the design map's p")
        return _evaluated_point(x, p, self.problem.solve(p), self.objective, self.design, None)

    def of(self, objective: Objective) -> "Reduced":
        """Return the function f with another objective, and the same problem and design map.

        Parameters
        ----------
        objective : Objective
            J of the new function.

        Returns
        -------
        Reduced
            The new function.
        """
        return replace(self, objective=objective)

    @property
    def rtol(self) -> float:
        """The tightest relative tolerance of the problem's iterative solves; 0 if it has none."""
        return self.problem.rtol if isinstance(self.problem, TunableProblem) else 0.0

    def solved_to(self, rtol: float) -> "Reduced":
        """Return the function f by looser solves: to the relative tolerance rtol.

        Tolerances of the problem that are looser stay as they are.

        Parameters
        ----------
        rtol : float
            Relative tolerance of the solves, between 0 and 1.

        Returns
        -------
        Reduced
            The new function, with the same objective and design map.

        Raises
        ------
        TypeError
            If the problem has no iterative solver.
        ValueError
            Unless rtol lies between 0 and 1.
        """
        if not isinstance(self.problem, TunableProblem):
            raise TypeError(
                f"Reduced: got the problem {type(self.problem).__name__}, whose solves have no "
                "tolerance that can be chosen, expected a problem with the methods of "
                "adjoint.protocols.TunableProblem, such as "
                "LinearProblem(A, b, factorize=adjoint.cg(adjoint.factor.amg()))"
            )
        return replace(self, problem=self.problem.solved_to(rtol))


def _columns(who: str, name: str, block: Array, rows: int) -> Array:
    """Return a vector (rows,) or a block (rows, j) as an array (rows, j).

    Raise ValueError for another shape, NonFinite if an entry is nan or inf.
    """
    block = as_array(who, name, block)
    if bad := first_nonfinite(block):
        raise NonFinite(f"{who}: got {name} with {bad[1]} in an entry, expected finite numbers")
    if block.ndim not in (1, 2) or block.shape[0] != rows or block.size == 0:
        raise ValueError(
            f"{who}: got {name} of shape {block.shape}, expected ({rows},) or ({rows}, j)"
        )
    return block.reshape(rows, -1)


def _block_width(m: int, u: Array, parameters: int, block: int | None, max_bytes: int) -> int:
    """Return the number of columns of the Hessian, (m, m), that are computed together.

    Raise ValueError if the Hessian and the vectors of a block do not fit into `max_bytes`.
    """
    # A direction needs the arrays u̇, ū̇, the right-hand side and λ̇, and v, ṗ and the product.
    column = 4 * u.nbytes + 8 * (2 * m + 2 * parameters)
    free = max_bytes - 8 * m * m
    if block is not None:
        require_integer("hessian", "block", block, 1)
    needed = column * (1 if block is None else min(block, m))
    if not needed <= free:
        raise ValueError(
            f"hessian: the Hessian of {m} variables and the vectors of a block need "
            f"{8 * m * m + needed} bytes, but max_bytes={max_bytes}. Usual cause: a design with "
            "many variables; its Hessian is used through products point.hvp(v), as NewtonCG does. "
            "Otherwise give a smaller block, or a larger max_bytes"
        )
    return min(WIDEST if block is None else block, free // column, m)


WIDEST = 64
"""Number of columns above which the solve of a block is not faster per column."""


@dataclass(frozen=True, eq=False)
class _WithAdjointState:
    """The linearization of a solution that has an adjoint state λ of u's shape.

    lam: λ of ∂J/∂u; u_dot: u̇ along p_dot.
    """

    solution: SolutionWithHvp
    lam: Array
    p_dot: Array
    u_dot: Array

    def vjp_rate(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """Return the rate of (du/dp)ᴴ ū for the ū of λ, (m,) or (m, j)."""
        return self.solution.hvp(self.lam, self.u_dot, self.p_dot, u_bar_dot)


@dataclass(frozen=True, eq=False)
class _BlockAdjoints:
    """The vectors (du/dp)ᴴ ∂J/∂u of several objectives J, by one block solve at the first use."""

    solution: Solution
    p: Array
    objectives: tuple[Objective, ...]

    @cached_property
    def _columns(self) -> Array:
        u = self.solution.u
        return self.solution.vjp(
            np.stack([checked_gradients(J, u, self.p)[0] for J in self.objectives], axis=-1)
        )

    def column(self, objective: Objective) -> Array:
        """Return (du/dp)ᴴ ∂J/∂u of one of the objectives, (m,)."""
        position = next(i for i, J in enumerate(self.objectives) if J is objective)
        return np.ascontiguousarray(self._columns[:, position])


def _evaluated_point(
    x: Array,
    p: Array,
    solution: Solution,
    objective: Objective,
    design: DesignMap,
    adjoints: _BlockAdjoints | None,
) -> Point:
    """Return the point at x, with the value J(u, p).

    Raise TypeError unless the value is a real number, NonFinite if it is nan or inf.
    """
    value = objective.value(solution.u, p)
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "fiu":
        raise TypeError(
            f"{type(objective).__name__}: value returned {value!r}, expected a real number"
        )
    if not np.isfinite(value):
        raise NonFinite(
            f"{type(objective).__name__} is {value}. Usual causes: an overflow, log or sqrt "
            "outside of its domain"
        )
    return Point(x, p, solution, objective, design, float(value), adjoints)
