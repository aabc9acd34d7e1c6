"""What an integration can show for itself.

The full Jacobian of what is observed, by tangents or by adjoints, whichever are fewer.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .._repr import short_repr
from .._validation import as_array
from ..checkpointing.store import Usage
from ..typing import Array
from .methods.method import Method
from .step_control.absolute_tolerances import Findings
from .steps import Course
from .sweeps import Sweeps

MODES = ("auto", "tangent", "adjoint")


class Differentiable(Protocol):
    """A solution with its two derivatives."""

    @property
    def u(self) -> Array:
        """(K, n)."""

    @property
    def p(self) -> Array:
        """(m,)."""

    def vjp(self, u_bar: Array) -> Array:
        """(m, j) for (K, n, j)."""

    def jvp(self, p_dot: Array) -> Array:
        """(K, n, j) for (m, j)."""


@dataclass(frozen=True, eq=False)
class Jacobian:
    """matrix: (outputs, m). mode: "tangent" or "adjoint"; reason: why, in words."""

    matrix: Array
    mode: str
    reason: str

    __repr__ = short_repr


def by_counts(solution: Differentiable, of: Array | None, mode: str) -> Jacobian:
    """d(outputs)/dp; of: (K, n, j), the functionals Re Σ ū u that are the outputs, None for all of u (real u only).

    Raises ValueError for another mode or shape.
    """
    of = of if of is None else as_array("jacobian", "of", of)
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"jacobian: got mode={mode!r}, expected one of {MODES}")
    m, shape = solution.p.size, solution.u.shape
    if of is not None and (np.ndim(of) != 3 or np.shape(of)[:2] != shape):
        raise ValueError(
            f"jacobian: got functionals of shape {np.shape(of)}, expected {(*shape, 'j')}"
        )
    if of is None and solution.u.dtype.kind == "c":
        raise ValueError(
            "jacobian: a complex state has no real Jacobian; give functionals, of=(K, n, j)"
        )
    outputs = solution.u.size if of is None else np.shape(of)[2]
    chosen = mode if mode != "auto" else ("tangent" if m <= outputs else "adjoint")
    reason = f"{m} parameters, {outputs} outputs: " + (
        f"asked for {mode}"
        if mode != "auto"
        else f"{min(m, outputs)} columns by {chosen}, {max(m, outputs)} otherwise"
    )
    if chosen == "tangent":
        u_dot = solution.jvp(np.eye(m)).reshape(solution.u.size, m)
        if of is not None:
            u_dot = np.real(np.reshape(of, (-1, outputs)).conj().T @ u_dot)
        return Jacobian(u_dot, chosen, reason)
    bars = np.eye(outputs).reshape((*shape, outputs)) if of is None else np.asarray(of)
    return Jacobian(solution.vjp(bars).T, chosen, reason)


@dataclass(frozen=True, eq=False)
class ODEEvidence:
    """How a trajectory was found, derivatives included.

    method: its name; steps, rejected: accepted and rejected ones; evaluations: of f; jacobians: of ∂f/∂u;
    factorizations: of M − hγ ∂f/∂u, of coupled stages sets of all that one step takes; corrections: of Newton's method,
    over all stages, of coupled ones those of all at once; repeated: steps that reverse
    sweeps took once more to get from a checkpoint to a state; storage: what was kept of the forward sweep. notes: what
    the integration and the last reverse sweep found, in words: jumps of f that no step ends on, components that matter
    to J below their atol, parameters without influence, a gradient of zeros.
    """

    method: str
    steps: int
    rejected: int
    evaluations: int
    jacobians: int
    factorizations: int
    corrections: int
    repeated: int
    storage: Usage
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.method}: {self.steps} steps, {self.rejected} rejected\n"
            f"{self.evaluations} evaluations of f, {self.jacobians} of its jacobian, {self.factorizations} "
            f"factorizations, {self.corrections} Newton corrections\n"
            f"kept: {self.storage}; {self.repeated} steps repeated"
            + "".join(f"\n{note}" for note in self.notes)
        )


def evidence_of(method: Method, sweeps: Sweeps) -> ODEEvidence:
    """The evidence as it is now."""
    tally, course, store = sweeps.system.tally, sweeps.course, sweeps.store
    return ODEEvidence(
        method.tableau.name,
        course.steps,
        course.rejected,
        tally.evaluations,
        tally.jacobians,
        tally.factorizations,
        tally.corrections,
        store.executed,
        store.used,
        notes_of(sweeps.findings, course),
    )


SHOWN = 5
"""Parameters, or times, that a note names."""


def notes_of(findings: Findings, course: Course) -> tuple[str, ...]:
    """What the integration and reverse sweeps have found, in words."""
    notes = [str(hidden) for hidden in findings.hidden]
    jumps = course.jumps()
    if jumps:
        places = _listed([f"t = {end:.6g}" for _, end in jumps])
        notes.append(
            f"f seems to jump or to kink at {places}: steps were refused there again and again. Name the times in "
            "breaks=; steps get longer then, and derivatives with respect to times are wrong without it"
        )
    if findings.unused:
        names = _listed([f"p[{k}]" for k in findings.unused])
        notes.append(
            f"the last gradient is exactly zero for {names}: in no step did f depend on it, as far as J sees f. A "
            "parameter that only appears in comparisons, such as a switching time, has its derivative by breaks= that "
            "depend on p"
        )
    if findings.infinite:
        times = _listed([f"t = {t:.10g}" for t in findings.infinite])
        notes.append(
            f"the rate of f with respect to t is infinite at {times}. No stage lies there: derivatives with respect to "
            "times are those of the steps taken, which need not be those of the solution"
        )
    if findings.unaffected:
        notes.append(
            "the last gradient is exactly zero for all parameters: no step saw an effect of p on J. If p acts within a "
            "short time only (a pulse, a dose, a switch), steps have passed over it: let steps end there by breaks=, "
            "or give Control(max_step=...)"
        )
    return tuple(notes)


def _listed(names: list[str]) -> str:
    more = f" ({len(names)} such)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
