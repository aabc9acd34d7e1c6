"""Evidence of a solution: backward errors, condition, counts of work, threads."""

from dataclasses import dataclass, field

import threadpoolctl

from .._dataclasses import short_repr
from ..typing import Array
from .counts import Counts
from .selected.entries import SelectedEntries


@dataclass(frozen=True, eq=False)
class Evidence:
    """How a solution was found, and how well the solution satisfies its equations.

    Attributes
    ----------
    backend : str
        The package that factored the matrix, with its version.
    unknowns : int
        n, the number of rows of the matrix.
    nonzeros : int
        Number of stored entries of the matrix.
    backward_error : float
        Largest backward error of the solves with A; nan before the first solve.
    adjoint_backward_error : float
        Largest backward error of the solves with Aᵀ or Aᴴ; nan before the first solve.
    condition : float
        Lower bound of the condition number, from one random right-hand side. If that
        value is suspiciously large: a bound for the equilibrated matrix, from a few
        more solves. nan if the factors have not been probed.
    counts : Counts
        Numbers of factorizations, solves and iterations, and seconds by phase.
    threads : dict of str to int
        Number of threads of each thread pool that is loaded, by library.
    residual : float
        ‖R(u, p)‖ of a nonlinear problem; nan for a linear one.
    gradient_error : float
        Relative error of a gradient that the residual of a nonlinear problem and rounding
        imply; for a linear problem the condition times the backward errors. An estimate
        that costs nothing, usually too large; `Point.accuracy` is sharper. nan if the
        condition is not known.
    history : tuple of float
        ‖R‖ at Newton's iterates; empty for a linear problem.
    """

    backend: str
    unknowns: int
    nonzeros: int
    backward_error: float
    adjoint_backward_error: float
    condition: float
    counts: Counts
    threads: dict[str, int]
    residual: float = float("nan")
    gradient_error: float = float("nan")
    history: tuple[float, ...] = ()

    __repr__ = short_repr

    def __str__(self) -> str:
        c = self.counts
        threads = ", ".join(f"{name} {number}" for name, number in self.threads.items())
        seconds = ", ".join(f"{name} {spent:.3g}" for name, spent in c.seconds.items())
        newton = (
            f"{len(self.history) - 1} Newton steps, residual {self.residual:.1e}, "
            f"implied relative error of a gradient {self.gradient_error:.1e}\n"
        )
        return (
            f"{self.backend}: {self.unknowns} unknowns, {self.nonzeros} nonzeros, "
            f"condition at least {self.condition:.1e}\n"
            f"backward error {self.backward_error:.1e}, adjoint "
            f"{self.adjoint_backward_error:.1e}\n{newton if self.history else ''}"
            f"{c.symbolic} analyses, {c.numeric} factorizations, {c.solves} solves "
            f"({c.transposed} transposed, {c.rhs} right-hand sides), {c.refinements} "
            f"refinements, {c.krylov} Krylov iterations\n"
            f"seconds: {seconds}; threads: {threads}"
        )


@dataclass(eq=False)
class Log:
    """The memory of one factorization: what its solves have shown so far.

    backward_error, adjoint_backward_error and condition have the same meaning as in
    `Evidence`. sums: Σ_j |a_ij| for the rows of A and of Aᵀ, (n,), after they were
    computed. probed: True after a solve with a random right-hand side has shown that
    the factors belong to A. selected: the entries of the inverse, after they were computed.
    """

    backward_error: float = float("nan")
    adjoint_backward_error: float = float("nan")
    condition: float = float("nan")
    sums: dict[str, Array] = field(default_factory=dict)
    probed: bool = False
    selected: SelectedEntries | None = None


def threads_in_use() -> dict[str, int]:
    """Number of threads of each thread pool that is loaded, by the file name of its library."""
    return {
        str(pool["filepath"]).rsplit("/", 1)[-1]: int(pool["num_threads"])
        for pool in threadpoolctl.threadpool_info()
    }
