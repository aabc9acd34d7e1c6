"""What a solve can show for itself."""

from dataclasses import dataclass

from .counts import Counts


@dataclass(frozen=True, eq=False)
class Evidence:
    """How a solution was found, and how well it satisfies its equations.

    backend: which package factored; unknowns, nonzeros: n and nnz of the matrix; backward_error and
    adjoint_backward_error: the worst of the solves with A and with Aᵀ or Aᴴ (nan: there was none);
    condition: a lower bound of the condition number, from one random right-hand side, or, where that is in doubt,
    of the equilibrated matrix, from a few solves more (nan: not probed);
    counts: work by kind, with seconds by phase; threads: of each thread pool loaded, by library.
    Of a nonlinear solution (nan and empty otherwise): residual: ‖R(u, p)‖; gradient_error: the relative error that
    what is left of it, and rounding, imply in a gradient; history: ‖R‖ at the iterates.
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
            f"backward error {self.backward_error:.1e}, adjoint {self.adjoint_backward_error:.1e}\n"
            f"{newton if self.history else ''}"
            f"{c.symbolic} analyses, {c.numeric} factorizations, {c.solves} solves ({c.transposed} transposed, "
            f"{c.rhs} right-hand sides), {c.refinements} refinements, {c.krylov} Krylov iterations\n"
            f"seconds: {seconds}; threads: {threads}"
        )
