"""What can go wrong in a solve, each with its usual causes.

What can go wrong in keeping the states of a recurrence for its reverse sweep.

What can be wrong with a residual function, or with what was said about it.

What can go wrong in Newton's method; each error carries the history of ‖R‖, and shows its end.

What can go wrong in an integration; each error says how far it came: t, the time, and steps, their number.
"""

from typing import TypeVar


class NoConvergenceError(Exception):
    """Newton's method does not converge within one step: which has to be shorter, or its matrix newer.

    nonfinite: whether the first correction already was nan or inf.
    """

    def __init__(self, nonfinite: bool) -> None:
        super().__init__("no convergence")
        self.nonfinite = nonfinite


class CheckpointError(RuntimeError):
    """A restart file is damaged, of another run, or cannot be written; the message says which, and what to do."""


class ResumedElsewhere(UserWarning):
    """A run goes on with other numbers of threads than it began with: its last bits may differ."""


class WrongGradient(RuntimeError):
    """The gradient of the objective, or of a constraint, is not its derivative: nothing was optimized."""


class SolveError(RuntimeError):
    """A solve failed; nothing was returned. The subclass says why."""


class SubproblemFailed(SolveError):
    """The separable problem of an MMA iteration was not solved to its tolerance."""


class SingularMatrix(SolveError):
    """The matrix is singular, exactly or to working precision."""


class NotPositiveDefinite(SolveError):
    """A Cholesky factorization met a pivot that is not positive."""


class InaccurateSolve(SolveError):
    """A solution does not satisfy its system, even after refinement."""


class NotSymmetric(InaccurateSolve):
    """A matrix stated to be symmetric (Hermitian) is not: the factors belong to another matrix."""


class KrylovStalled(InaccurateSolve):
    """An iterative solver used up its iterations without reaching its tolerance."""


class NonFinite(SolveError, ValueError):
    """A matrix, a right-hand side or a parameter holds nan or inf."""


class BackendMissing(SolveError, ImportError):
    """A solver package that was asked for by name is not installed, or does not load."""


class OutOfMemory(SolveError, MemoryError):
    """There is not enough memory for the factors."""


class ForkedProcess(SolveError):
    """Factors, or threads, of the parent process were about to be used in a forked child."""


CAUSES = (
    "Usual causes: a missing boundary condition (the body can move freely), an element with zero stiffness, an unknown "
    "that no equation mentions, or two equations that are the same."
)
"""Why a matrix is singular, where nothing is known of its null vectors."""


def singular(what: str, found: str, causes: str = CAUSES) -> SingularMatrix:
    """The error for a singular matrix; what: "LU of a 882x882 matrix", found: what was met, and where."""
    return SingularMatrix(f"{what} {found}. {causes}")


def out_of_memory(what: str, error: Exception) -> OutOfMemory:
    """The error for factors that do not fit; what: "LU of a 882x882 matrix"."""
    return OutOfMemory(
        f"{what}: not enough memory for the factors ({str(error) or type(error).__name__}). Remedies: adjoint.cholesky "
        "or adjoint.ldl where A is symmetric (half the memory), an iterative solver (adjoint.cg(adjoint.amg()), "
        "adjoint.gmres(adjoint.ilu())), fewer processes at once, a coarser model."
    )


class MemoryTooSmall(SolveError):
    """The budget does not hold two states. t: the time reached (nan: there is none); steps: taken so far."""

    t: float = float("nan")
    steps: int = 0


class StorageFailed(SolveError):
    """The disk did not take or return a state. t: the time reached (nan: there is none); steps: taken so far."""

    t: float = float("nan")
    steps: int = 0


def storage_failed(message: str, k: int) -> StorageFailed:
    """The error, at step k."""
    error = StorageFailed(message)
    error.steps = k
    return error


class SparsityError(ValueError):
    """∂R/∂u or ∂R/∂p has entries outside of its pattern: by colours they would end up in wrong places."""


class NotComplexSafe(ValueError):
    """A residual function loses imaginary parts on the way: its complex step is not its derivative."""


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


class AbsoluteToleranceWarning(UserWarning):
    """A component of the state matters to J where it is below its absolute tolerance: J may be wrong by a factor."""


IntegrationFailure = TypeVar(
    "IntegrationFailure", StepTooSmall, TooManySteps, StageFailure, InconsistentStart, NonFiniteField
)


def integration_failure(kind: type[IntegrationFailure], message: str, t: float, steps: int) -> IntegrationFailure:
    """The error, with what was reached in its message and as attributes."""
    error = kind(f"{message} Reached t = {t:.10g} after {steps} steps.")
    error.t, error.steps = t, steps
    return error
