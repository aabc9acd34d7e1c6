"""What can go wrong in Newton's method; each error carries the history of ‖R‖, and shows its end."""

from typing import TypeVar

from ..factor.errors import NonFinite, SingularMatrix, SolveError
from .history import History


class NewtonDiverged(SolveError):
    """Newton's method used up its iterations without reaching its tolerance. history: ‖R‖ at the iterates."""

    history: tuple[float, ...] = ()


class NewtonStalled(SolveError):
    """No step along the Newton correction, however short, makes progress. history: ‖R‖ at the iterates."""

    history: tuple[float, ...] = ()


class SingularJacobian(SingularMatrix):
    """∂R/∂u is singular, at an iterate or at the solution. history: ‖R‖ at the iterates."""

    history: tuple[float, ...] = ()


class WrongJacobian(SolveError):
    """The Jacobian is not ∂R/∂u: a solution was found, but gradients would be wrong. history: ‖R‖ at the iterates."""

    history: tuple[float, ...] = ()


class NonFiniteResidual(NonFinite):
    """R(u, p) holds nan or inf. history: ‖R‖ at the iterates before."""

    history: tuple[float, ...] = ()


Failure = TypeVar("Failure", NewtonDiverged, NewtonStalled, SingularJacobian, WrongJacobian, NonFiniteResidual)


def failure(kind: type[Failure], message: str, history: History) -> Failure:
    """The error, with the end of the history in its message and all of it as an attribute."""
    error = kind(f"{message}\n{history.table()}" if history.norms else message)
    error.history = history.norms
    return error
