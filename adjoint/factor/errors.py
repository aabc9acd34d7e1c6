"""What can go wrong in a solve, each with its usual causes."""


class SolveError(RuntimeError):
    """A solve failed; nothing was returned. The subclass says why."""


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
