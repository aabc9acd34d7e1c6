"""Errors of Newton's method: each message ends with the history of the iteration."""

from typing import TypeVar

import numpy as np

from ..errors import (
    NewtonDiverged,
    NewtonStalled,
    NonFiniteResidual,
    SingularJacobian,
    SingularMatrix,
    WrongJacobian,
)
from ..typing import Array
from .history import History

Failure = TypeVar(
    "Failure", NewtonDiverged, NewtonStalled, SingularJacobian, WrongJacobian, NonFiniteResidual
)


def failure(kind: type[Failure], message: str, history: History) -> Failure:
    """Return an error of the class `kind`.

    Its message ends with a table of the last iterates; its attribute `history` holds
    ‖R‖ of all iterates.
    """
    error = kind(f"{message}\n{history.table()}" if history.norms else message)
    error.history = history.norms
    return error


def diverged(max_iterations: int, history: History) -> NewtonDiverged:
    """Return the error for an iteration that reached its maximum number of steps."""
    message = (
        f"Newton's method did not converge in {max_iterations} iterations. Usual causes: no "
        "solution for these parameters (past a fold: adjoint.continuation.trace), a Jacobian that "
        "is not the derivative (test it by adjoint.check_residual), a start too far off (another "
        "u0, start=adjoint.newton.PseudoTransient(…) or adjoint.newton.Homotopy(…)), unknowns in "
        "very different units (Newton(scale=…)). Otherwise increase max_iterations."
    )
    return failure(NewtonDiverged, message, history)


def stalled(shortest: float, at_bound: str, history: History) -> NewtonStalled:
    """Return the error for a step that makes no progress for any factor α ≥ `shortest`.

    at_bound: a sentence for the message about an unknown that is at a bound; "" if no
    unknown is at a bound.
    """
    message = (
        f"Newton stalled in step {history.steps + 1}: no factor of the correction down to "
        f"{shortest:.0e} makes progress.{at_bound} Usual causes: no solution nearby (past a fold: "
        "adjoint.continuation.trace), a Jacobian that is not the derivative "
        "(test it by adjoint.check_residual), a kink in R. Otherwise choose another u0, or "
        "start=adjoint.newton.PseudoTransient(…)."
    )
    return failure(NewtonStalled, message, history)


def nonfinite_residual(r: Array, when: str, history: History) -> NonFiniteResidual:
    """Return the error that names the first three entries of r that are nan or inf.

    when: the place in the iteration, such as " in Newton step 3", or "".
    """
    bad = np.flatnonzero(~np.isfinite(r))
    entries = ", ".join(f"R[{i}] = {r[i]}" for i in bad[:3])
    message = (
        f"the residual{when} is not finite: {entries} ({bad.size} of {r.size}). Usual causes: u0 "
        "outside of the domain of a sqrt, log or power (adjoint.Bounds keeps steps inside), an "
        "overflow, a parameter that is nan."
    )
    return failure(NonFiniteResidual, message, history)


def singular_jacobian(error: SingularMatrix, history: History) -> SingularJacobian:
    """Return the error for a singular Jacobian at an iterate.

    error: the error of the factorization.
    """
    message = (
        f"the Jacobian in Newton step {history.steps + 1} is singular: {error} In a nonlinear "
        "problem also: a start where the derivative vanishes (choose another u0), or a fold "
        "(adjoint.continuation.trace goes around it)."
    )
    return failure(SingularJacobian, message, history)


def singular_at_solution(error: SingularMatrix, history: History) -> SingularJacobian:
    """Return the error for a derivative at a solution where the Jacobian is singular."""
    message = (
        f"the Jacobian at the solution is singular, and no derivative exists there: {error} In a "
        "nonlinear problem also: a fold or a branch point (adjoint.continuation.fold finds it, "
        "adjoint.continuation.trace goes around it), a double eigenvalue, solutions that are not "
        "isolated."
    )
    return failure(SingularJacobian, message, history)


def linear_convergence(history: History) -> SingularJacobian:
    """Return the error for full steps that converge only linearly.

    The Jacobian at the solution then is singular.
    """
    message = (
        "the Jacobian is singular at the solution: Newton's corrections shrink only by a factor of "
        f"{history.ratios()[-1]:.2f} per step, although they should shrink quadratically. Usual "
        "causes: the parameters are at a fold or a branch point (no derivative exists there; "
        "adjoint.continuation.fold finds it, adjoint.continuation.trace goes around it), a double "
        "root; or the Jacobian is not the derivative (test it by adjoint.check_residual)."
    )
    return failure(SingularJacobian, message, history)


def wrong_jacobian(history: History) -> WrongJacobian:
    """Return the error for full steps that shrink by a constant factor near a solution."""
    message = (
        f"Newton's corrections shrank by the same factor, {history.ratios()[-1]:.1e}, in each of "
        "the last steps, although the factor should become smaller and smaller: the Jacobian is "
        "not the derivative of the residual, and gradients would be wrong (adjoint.check_residual "
        "finds the wrong entry). An approximate Jacobian finds u, but no gradients."
    )
    return failure(WrongJacobian, message, history)
