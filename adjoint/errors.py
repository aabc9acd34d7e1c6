"""The errors and warnings that the library raises.

The tree of the classes, each class with its meaning:

    RuntimeError
    ├── SolveError                   a solve failed, nothing was returned
    │   ├── SingularMatrix           singular, exactly or to working precision
    │   │   └── SingularJacobian     ∂R/∂u, in Newton's method
    │   ├── NotPositiveDefinite      Cholesky met a pivot ≤ 0
    │   ├── InaccurateSolve          the residual is too large, also after refinement
    │   │   ├── NotSymmetric         the matrix is not symmetric as stated
    │   │   └── KrylovStalled        an iterative solver did not reach its tolerance
    │   ├── NonFinite                nan or inf in a matrix or vector (also a ValueError)
    │   │   ├── NonFiniteResidual    … in R(u, p)
    │   │   └── NonFiniteField       … in f(t, u, p), or in an integrand
    │   ├── OutOfMemory              the factors do not fit (also a MemoryError)
    │   ├── SelectedInverseTooLarge  the closed pattern of a selected inverse fills too much
    │   ├── BackendMissing           a solver package is not installed (also an ImportError)
    │   ├── ForkedProcess            factors of a parent process were used in its child
    │   ├── NewtonDiverged           the maximum number of iterations was reached
    │   ├── NewtonStalled            no step reduces the residual
    │   ├── WrongJacobian            the Jacobian is not ∂R/∂u
    │   ├── StepTooSmall             the step size fell below rounding
    │   ├── TooManySteps             the maximum number of steps was reached
    │   ├── StageFailure             the stage equations of a step cannot be solved
    │   ├── InconsistentStart        the initial values of a DAE violate its equations
    │   ├── CoincidentBreaks         two breaks coincide: J has no derivative
    │   ├── MemoryTooSmall           the memory budget does not hold two states
    │   ├── StorageFailed            the disk did not store or return a state
    │   ├── SubproblemFailed         the subproblem of MMA was not solved to its tolerance
    │   └── EigenError               eigenpairs, or derivatives of them, cannot be computed
    │       ├── RepeatedEigenvalue   the quantity depends on the basis of a cluster
    │       ├── CutCluster           the number of eigenvalues asked for cuts a cluster
    │       ├── DefectiveEigenvalue  eigenvectors of a cluster are linearly dependent
    │       ├── IllConditionedEigenvalue  left and right eigenpairs do not agree
    │       ├── NegativeEigenvalue   a root or logarithm meets the negative real axis
    │       ├── MissingEigenvalues   the search missed eigenvalues, or did not converge
    │       └── NoPositiveLoadFactor the load of a buckling problem does not make it buckle
    ├── WrongGradient                the gradient is not the derivative of f
    └── RestartError                 a restart file is damaged, or of another run
    ValueError
    ├── SparsityError                ∂R/∂u or ∂R/∂p has entries outside of its pattern
    └── NotComplexSafe               a function loses imaginary parts
    UserWarning
    ├── AbsoluteToleranceWarning     a component below its absolute tolerance matters to J
    └── ResumedElsewhere             a run resumed with another number of threads

Errors of Newton's method have the attribute `history`, ‖R‖ at the iterates. Errors of
an integration have the attribute `t`, the time reached.
"""

from typing import TypeVar

__all__ = [
    "AbsoluteToleranceWarning",
    "BackendMissing",
    "CoincidentBreaks",
    "CutCluster",
    "DefectiveEigenvalue",
    "EigenError",
    "ForkedProcess",
    "IllConditionedEigenvalue",
    "InaccurateSolve",
    "InconsistentStart",
    "KrylovStalled",
    "MemoryTooSmall",
    "MissingEigenvalues",
    "NegativeEigenvalue",
    "NewtonDiverged",
    "NewtonStalled",
    "NonFinite",
    "NonFiniteField",
    "NonFiniteResidual",
    "NoPositiveLoadFactor",
    "NotComplexSafe",
    "NotPositiveDefinite",
    "NotSymmetric",
    "OutOfMemory",
    "RepeatedEigenvalue",
    "RestartError",
    "ResumedElsewhere",
    "SelectedInverseTooLarge",
    "SingularJacobian",
    "SingularMatrix",
    "SolveError",
    "SparsityError",
    "StageFailure",
    "StepTooSmall",
    "StorageFailed",
    "SubproblemFailed",
    "TooManySteps",
    "WrongGradient",
    "WrongJacobian",
]


class SolveError(RuntimeError):
    """A solve failed; nothing was returned. The subclass names the reason."""


# Linear solves ------------------------------------------------------------------------------------


class SingularMatrix(SolveError):
    """The matrix is singular, exactly or to working precision."""


class NotPositiveDefinite(SolveError):
    """A Cholesky factorization met a pivot that is not positive."""


class InaccurateSolve(SolveError):
    """A solution does not satisfy its system, even after refinement."""


class NotSymmetric(InaccurateSolve):
    """A matrix that was stated to be symmetric (or Hermitian) is not symmetric."""


class KrylovStalled(InaccurateSolve):
    """An iterative solver reached its maximum number of iterations before its tolerance."""


class NonFinite(SolveError, ValueError):
    """A matrix, a right-hand side or a parameter contains nan or inf."""


class BackendMissing(SolveError, ImportError):
    """A solver package that was asked for by name is not installed, or cannot be loaded."""


class OutOfMemory(SolveError, MemoryError):
    """The factors do not fit into memory."""


class SelectedInverseTooLarge(SolveError):
    """The closed pattern of a selected inverse has many times the entries of the factors."""


class ForkedProcess(SolveError):
    """Factors or threads of the parent process were about to be used in a forked child process."""


CAUSES = (
    "Usual causes: a missing boundary condition (the body can move freely), an element with zero "
    "stiffness, an unknown that no equation mentions, or two equations that are the same."
)
"""Usual causes of a singular matrix, for messages without null vectors."""


def singular(what: str, found: str, causes: str = CAUSES) -> SingularMatrix:
    """Return the error for a singular matrix.

    what: name of the factorization, such as "LU of a 882x882 matrix".

    found: the pivot or row that showed the singularity, and its place; causes: usual
    causes.
    """
    return SingularMatrix(f"{what} {found}. {causes}")


def out_of_memory(what: str, error: Exception) -> OutOfMemory:
    """Return the error for factors that do not fit into memory.

    what: name of the factorization, such as "LU of a 882x882 matrix"; error: the error
    of the backend.
    """
    return OutOfMemory(
        f"{what}: not enough memory for the factors ({str(error) or type(error).__name__}). "
        "Remedies: adjoint.cholesky or adjoint.ldl where A is symmetric (half the memory), an "
        "iterative solver (adjoint.cg(adjoint.factor.amg()), "
        "adjoint.gmres(adjoint.factor.ilu())), fewer processes at once, a coarser model."
    )


# Newton's method ----------------------------------------------------------------------------------


class NewtonDiverged(SolveError):
    """Newton's method reached its maximum number of iterations before its tolerance.

    Attributes
    ----------
    history : tuple of float
        ‖R‖ at the iterates.
    """

    history: tuple[float, ...] = ()


class NewtonStalled(SolveError):
    """No step along the Newton correction, however short, reduces the residual.

    Attributes
    ----------
    history : tuple of float
        ‖R‖ at the iterates.
    """

    history: tuple[float, ...] = ()


class SingularJacobian(SingularMatrix):
    """∂R/∂u is singular, at an iterate or at the solution.

    Attributes
    ----------
    history : tuple of float
        ‖R‖ at the iterates.
    """

    history: tuple[float, ...] = ()


class WrongJacobian(SolveError):
    """The Jacobian is not ∂R/∂u: a solution was found, but its gradients would be wrong.

    Attributes
    ----------
    history : tuple of float
        ‖R‖ at the iterates.
    """

    history: tuple[float, ...] = ()


class NonFiniteResidual(NonFinite):
    """R(u, p) contains nan or inf.

    Attributes
    ----------
    history : tuple of float
        ‖R‖ at the earlier iterates.
    """

    history: tuple[float, ...] = ()


# Residuals and fields from plain functions --------------------------------------------------------


class SparsityError(ValueError):
    """∂R/∂u or ∂R/∂p has entries outside of the pattern; colouring would misplace them."""


class NotComplexSafe(ValueError):
    """A function loses imaginary parts: its complex step is not its derivative."""


# States kept for reverse sweeps -------------------------------------------------------------------


class MemoryTooSmall(SolveError):
    """The memory budget does not hold two states.

    Attributes
    ----------
    t : float
        The time reached; nan for recurrences, which have no time.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class StorageFailed(SolveError):
    """The disk did not store or return a state.

    Attributes
    ----------
    t : float
        The time reached; nan for recurrences, which have no time.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


def storage_failed(message: str, k: int) -> StorageFailed:
    """Return the error StorageFailed, with `steps` = k."""
    error = StorageFailed(message)
    error.steps = k
    return error


# Initial value problems ---------------------------------------------------------------------------


class StepTooSmall(SolveError):
    """The step size fell below rounding.

    Usual causes: a singularity, a discontinuity, or too tight tolerances.

    Attributes
    ----------
    t : float
        The time reached.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class TooManySteps(SolveError):
    """The maximum number of steps was reached before the end of the interval.

    Attributes
    ----------
    t : float
        The time reached.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class StageFailure(SolveError):
    """The stage equations of a step cannot be solved, on a given grid or at the smallest step.

    Attributes
    ----------
    t : float
        The time reached.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class InconsistentStart(SolveError):
    """The initial values violate the algebraic equations of a DAE.

    Attributes
    ----------
    t : float
        The time reached.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class CoincidentBreaks(SolveError):
    """Two breaks that depend on p coincide, or a break is an end: J has no derivative."""


class NonFiniteField(NonFinite):
    """f(t, u, p), or the integrand, is nan or inf along the solution.

    Attributes
    ----------
    t : float
        The time reached.
    steps : int
        The number of steps taken.
    """

    t: float = float("nan")
    steps: int = 0


class AbsoluteToleranceWarning(UserWarning):
    """A component below its absolute tolerance matters to J: J may be wrong by a factor."""


class NoConvergenceError(Exception):
    """Raised and caught inside the integrator: Newton's method for a step did not converge.

    The integrator tries new factors, then a shorter step; on a given grid, damped Newton.
    nonfinite: True if the first correction is nan or inf.
    """

    def __init__(self, nonfinite: bool) -> None:
        super().__init__("no convergence")
        self.nonfinite = nonfinite


IntegrationFailure = TypeVar(
    "IntegrationFailure",
    StepTooSmall,
    TooManySteps,
    StageFailure,
    InconsistentStart,
    NonFiniteField,
)


def integration_failure(
    kind: type[IntegrationFailure], message: str, t: float, steps: int
) -> IntegrationFailure:
    """Return an error of the class `kind`.

    Its message ends with the time and the number of steps; the error also has the
    attributes `t` and `steps`.
    """
    error = kind(f"{message} Reached t = {t:.10g} after {steps} steps.")
    error.t, error.steps = t, steps
    return error


# Optimization -------------------------------------------------------------------------------------


# Eigenproblems ------------------------------------------------------------------------------------


class EigenError(SolveError):
    """Eigenpairs, or derivatives of them, cannot be computed; the subclass names the reason."""


class RepeatedEigenvalue(EigenError):
    """A derivative was asked for that depends on the choice of a basis in a cluster."""


class CutCluster(EigenError):
    """The number of eigenvalues asked for divides a cluster of equal eigenvalues."""


class DefectiveEigenvalue(EigenError):
    """An eigenvalue is defective, or so close to it that its eigenvectors are not reliable."""


class IllConditionedEigenvalue(EigenError):
    """Left and right eigenpairs do not agree: the operator is strongly non-normal."""


class NegativeEigenvalue(EigenError):
    """An eigenvalue is on the negative real axis, where a root or logarithm does not exist."""


class MissingEigenvalues(EigenError):
    """The search missed eigenvalues between the shift and the last one, or did not converge."""


class NoPositiveLoadFactor(EigenError):
    """A buckling problem has no positive load factor: its load is zero, or stretches only."""


class WrongGradient(RuntimeError):
    """The gradient of f or of a constraint is not its derivative; nothing was optimized."""


class RestartError(RuntimeError):
    """A restart file is damaged, belongs to another run, or cannot be written.

    The message gives a remedy.
    """


class ResumedElsewhere(UserWarning):
    """A resumed run has another number of threads than before: its last bits may differ."""


class SubproblemFailed(SolveError):
    """The separable subproblem of an MMA iteration was not solved to its tolerance."""
