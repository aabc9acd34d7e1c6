"""What can go wrong in an integration; each error says how far it came: t, the time, and steps, their number."""

from typing import TypeVar

from ..factor.errors import NonFinite, SolveError


class StepTooSmall(SolveError):
    """Steps cannot be made small enough: a singularity, a discontinuity, tolerances below rounding."""

    t: float = float("nan")
    steps: int = 0


class TooManySteps(SolveError):
    """The number of steps allowed was used up before the end."""

    t: float = float("nan")
    steps: int = 0


class StageFailure(SolveError):
    """The stage equations of a step cannot be solved, on a given grid or at the smallest step."""

    t: float = float("nan")
    steps: int = 0


class InconsistentStart(SolveError):
    """The initial values do not satisfy the algebraic equations of a DAE, or cannot be made to."""

    t: float = float("nan")
    steps: int = 0


class CoincidentBreaks(SolveError):
    """Two breaks that depend on p coincide, or one is an end of the interval: there is no derivative."""


class NonFiniteField(NonFinite):
    """f(t, u, p), or the integrand, is nan or inf where the solution goes."""

    t: float = float("nan")
    steps: int = 0


Failure = TypeVar("Failure", StepTooSmall, TooManySteps, StageFailure, InconsistentStart, NonFiniteField)


def failure(kind: type[Failure], message: str, t: float, steps: int) -> Failure:
    """The error, with what was reached in its message and as attributes."""
    error = kind(f"{message} Reached t = {t:.10g} after {steps} steps.")
    error.t, error.steps = t, steps
    return error
