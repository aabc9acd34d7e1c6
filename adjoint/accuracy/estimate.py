"""The error estimate of a gradient: two corrections, a probe, and a judgement.

References: Pierce & Giles (2000), SIAM Rev. 42, 247, adjoint recovery of functionals;
Becker & Rannacher (2001), Acta Numerica 10, 1, dual-weighted residuals; arXiv
2106.08714 (2021), errors of gradients by inexact solves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._numerics import dot, size_of
from .._validation import as_parameters
from ..errors import SolveError
from ..objectives import checked_gradients
from ..protocols import Objective, RefinableSolution, Solution
from ..typing import Array
from .accuracy import Accuracy, AccuracyStatus
from .corrections import EPS, Equations, Pair, SolutionOfEquations, SolutionWithEquations
from .time_steps import time_step_accuracy

LARGEST = 0.1
"""Largest error of a gradient, relative to the gradient, that is accepted. Products of errors
count from there on."""

CONTRACTION = 0.1
"""Largest ratio of the second correction to the first correction that is accepted."""

PROBE = 0.1
"""Largest relative error of a known solution that is accepted."""

REDUCTION = 0.1
"""Largest ratio of residuals after and before a correction that is accepted."""

ROUNDING = 100.0 * EPS
"""Norm of a residual, relative to the norm of its terms, that rounding errors explain."""

ABOVE = 10.0
"""Ratio of a correction to the rounding error of sums above which the correction is significant."""


REMEDY = (
    "Remedy: a smaller tolerance of the solver, a better preconditioner, or a direct factorizer."
)
"""Advice for messages."""


def accuracy_of(
    solution: Solution,
    objective: Objective,
    gradient: Array,
    adjoint_state: Callable[[], Array],
    pulled_back: Callable[[Array], Array],
    direction: Array | None = None,
) -> Accuracy:
    """Estimate the errors that inexact solves leave in J and in its gradient.

    The estimate costs two solves for the state and two transposed solves (fewer where
    the adjoint equation is solved by reuse), and four solves of known solutions; no
    factorization.

    Parameters
    ----------
    solution : Solution
        The solution; a `SolutionOfEquations`, for example a `SteadySolution`.
    objective : Objective
        J.
    gradient : (m_x,) array
        The computed gradient.
    adjoint_state : callable
        () ↦ the computed adjoint state λ, of u's shape.
    pulled_back : callable
        p̄ ↦ (∂φ/∂x)ᵀ p̄, (m_x,), of the design map.
    direction : (m_x,) array, optional
        v: estimate |δg·v| instead of ‖δg‖.

    Returns
    -------
    Accuracy
        The estimates, and how far to trust them.

    Raises
    ------
    TypeError
        If the solution is not a `SolutionOfEquations`.
    ValueError
        If `direction` has another shape than the gradient.
    """
    measure = _measure(gradient, direction)
    if isinstance(solution, RefinableSolution):
        return time_step_accuracy(solution, objective, gradient, pulled_back, direction)
    if isinstance(solution, SolutionWithEquations):
        found, objective = solution.equations(objective)
        return _of_equations(found, objective, gradient, found.adjoint, pulled_back, measure)
    if not isinstance(solution, SolutionOfEquations):
        raise TypeError(
            f"accuracy: got a solution of type {type(solution).__name__}, expected the solution of "
            "equations R(u, p) = 0, such as those of LinearProblem and NonlinearProblem, "
            "eigenpairs, or a trajectory of an ODEProblem"
        )
    return _of_equations(
        solution, objective, gradient, lambda u_bar: adjoint_state(), pulled_back, measure
    )


def _of_equations(
    solution: SolutionOfEquations,
    objective: Objective,
    gradient: Array,
    adjoint: Callable[[Array], Array],
    pulled_back: Callable[[Array], Array],
    measure: "Measure",
) -> Accuracy:
    """Estimate the errors of a solution of R(u, p) = 0; adjoint: ū ↦ the computed λ."""
    u_bar, _ = checked_gradients(objective, solution.u, solution.p)
    start = Equations(solution, objective, pulled_back).pair(solution.u, adjoint(u_bar))
    value = float(objective.value(solution.u, solution.p))
    try:
        with np.errstate(all="ignore"):
            return _judged(_Corrections.of(start), value, gradient, measure)
    except SolveError as error:
        reason = f"a solve for the estimate failed: {type(error).__name__}: {error} {REMEDY}"
        return _refused(reason, start, gradient, None, float("nan"))


@dataclass(frozen=True, eq=False)
class Measure:
    """The size of an error of the gradient: its norm, or its component along a direction v.

    direction: v, (m_x,), or None for the norm.
    """

    direction: Array | None

    def __call__(self, g: Array) -> float:
        """Return ‖g‖₂, or |Re(gᴴ v)|."""
        return size_of(g) if self.direction is None else abs(dot(g, self.direction))

    @property
    def unit(self) -> float:
        """The size of errors of norm 1, at most: 1, or ‖v‖."""
        return 1.0 if self.direction is None else size_of(self.direction)


def _measure(gradient: Array, direction: Array | None) -> Measure:
    if direction is None:
        return Measure(None)
    v = as_parameters(direction, "direction")
    if v.shape != gradient.shape:
        raise ValueError(f"accuracy: got direction of shape {v.shape}, expected {gradient.shape}")
    return Measure(v)


@dataclass(frozen=True, eq=False)
class _Corrections:
    """The pairs (u, λ) of two corrections.

    state: the first pair with u corrected and λ as computed. probe: the relative error of
    known solutions.
    """

    start: Pair
    state: Pair
    first: Pair
    second: Pair
    probe: float

    @classmethod
    def of(cls, start: Pair) -> "_Corrections":
        state = start.with_corrected_state()
        first = state.with_corrected_adjoint()
        second = first.with_corrected_state().with_corrected_adjoint()
        return cls(start, state, first, second, start.probe())

    @cached_property
    def _residuals(self) -> tuple[tuple[float, float, float], ...]:
        """‖R‖ and ‖s‖ before and after the first correction, and the norms of their terms."""
        r_terms, s_terms = self.first.terms
        return (
            (size_of(self.start.r), size_of(self.first.r), size_of(r_terms)),
            (size_of(self.state.s), size_of(self.first.s), size_of(s_terms)),
        )

    @property
    def at_rounding(self) -> bool:
        """True if the residuals after the first correction are explained by rounding errors."""
        return all(after <= ROUNDING * terms for _, after, terms in self._residuals)

    @property
    def reduction(self) -> float:
        """The larger ratio of residuals after and before the correction, if above rounding."""
        return max(
            0.0 if after <= ROUNDING * terms else after / before
            for before, after, terms in self._residuals
        )


def _judged(c: _Corrections, value: float, gradient: Array, measure: Measure) -> Accuracy:
    """Return the estimate that two corrections and the probe give."""
    first = measure(c.first.gradient - gradient)
    second = measure(c.second.gradient - c.first.gradient)
    total = measure(c.second.gradient - gradient)
    rounding = measure.unit * c.start.rounding_of_gradient()
    contraction = second / first if first > 0.0 else 0.0
    parts = {
        "state": measure(c.state.gradient - gradient),
        "adjoint state": measure(c.first.gradient - c.state.gradient),
        "rounding": rounding,
    }
    found = _Numbers(first, second, total, rounding, parts, contraction)
    status, reason = _verdict(c, found, measure.unit * size_of(gradient))
    if status is AccuracyStatus.REFUSED:
        return _refused(reason, c.start, gradient, found, c.probe)
    accepted = status is AccuracyStatus.ACCEPTED
    value_status, value_error = _value_verdict(c, value)
    return Accuracy(
        status,
        status.value,
        total if accepted else max(_rounded(first, second, total), rounding),
        value_status,
        value_error,
        c.second.value,
        c.second.gradient,
        parts,
        contraction,
        c.probe,
        _indicators(c.first.lam, c.start.r),
    )


def _rounded(first: float, second: float, total: float) -> float:
    """Return the error at rounding level (docs/math/accuracy.md, eq. 340).

    The errors of the gradient, and of the gradient after one and after two corrections, are of
    equal size and independent. Each difference of two is √2 times as large.
    """
    return float(np.sqrt((first**2 + second**2 + total**2) / 6.0))


def _verdict(c: _Corrections, found: "_Numbers", size: float) -> tuple[AccuracyStatus, str]:
    """Return the status of the estimate of the gradient's error, and a reason if refused.

    size: ‖g‖, or ‖g‖ ‖v‖ for an estimate along a direction v.
    """
    if not np.all(np.isfinite([found.first, found.second, found.total, c.second.value])):
        return AccuracyStatus.REFUSED, "a correction is not finite."
    if not c.reduction <= REDUCTION:
        return AccuracyStatus.REFUSED, (
            f"a solve for a correction left {c.reduction:.1e} of its residual, accepted is "
            f"{REDUCTION}: the solver has not converged, or the problem is too nonlinear at the "
            f"state. {REMEDY}"
        )
    if not c.probe <= PROBE:
        return AccuracyStatus.REFUSED, (
            f"the solver is wrong by {c.probe:.1e} of a known solution, accepted is {PROBE}. Usual "
            "causes: a loose tolerance with an ill-conditioned matrix, or a weak preconditioner. "
            f"{REMEDY}"
        )
    significant = found.total > ABOVE * found.rounding
    if significant and not found.total <= LARGEST * size:
        return AccuracyStatus.REFUSED, (
            f"the error is {found.total / size:.1e} of the gradient, accepted is {LARGEST}: "
            f"errors of this size may hide larger errors. {REMEDY}"
        )
    if significant and found.contraction <= CONTRACTION:
        return AccuracyStatus.ACCEPTED, ""
    if found.second <= ABOVE * found.rounding or c.at_rounding:
        return AccuracyStatus.ROUNDING, ""
    return AccuracyStatus.REFUSED, (
        f"the second correction of the gradient is {found.contraction:.1e} of the first, accepted "
        f"is {CONTRACTION}. Usual causes: a loose tolerance with an ill-conditioned matrix, "
        f"factors of another matrix, or an error along a direction that cancels. {REMEDY}"
    )


def _value_verdict(c: _Corrections, value: float) -> tuple[AccuracyStatus, float]:
    """Return the status and the estimate of the error of J."""
    first, total = abs(c.first.value - value), abs(c.second.value - value)
    second = abs(c.second.value - c.first.value)
    rounding = c.start.rounding_of_value()
    if second <= CONTRACTION * total and total > ABOVE * rounding:
        return AccuracyStatus.ACCEPTED, total
    if second <= ABOVE * rounding or c.at_rounding:
        return AccuracyStatus.ROUNDING, float(
            np.sqrt((first**2 + second**2 + total**2) / 3.0 + (0.1 * rounding) ** 2)
        )
    return AccuracyStatus.REFUSED, float("nan")


def _indicators(lam: Array, r: Array) -> Array:
    """|Re(λ_i* r_i)|, (n,), summed over load cases."""
    products = np.abs((lam.conj() * r).real)
    return np.asarray(products.reshape(products.shape[0], -1).sum(axis=1))


def _refused(
    reason: str, start: Pair, gradient: Array, found: "_Numbers | None", probe: float
) -> Accuracy:
    """Return an estimate without numbers."""
    nan, refused = float("nan"), AccuracyStatus.REFUSED
    return Accuracy(
        refused,
        f"{refused.value[:-1]}: {reason}",
        nan,
        refused,
        nan,
        nan,
        np.full(gradient.shape, np.nan),
        {} if found is None else found.parts,
        nan if found is None else found.contraction,
        probe,
        _indicators(start.lam, start.r),
    )


@dataclass(frozen=True, eq=False)
class _Numbers:
    """The sizes of the first and of the second correction of the gradient, and of their sum.

    rounding: the rounding error of the sums of the gradient.
    """

    first: float
    second: float
    total: float
    rounding: float
    parts: Mapping[str, float]
    contraction: float
