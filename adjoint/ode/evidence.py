"""Evidence of an integration: work, memory, notes; and the full Jacobian."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .._validation import as_array
from ..checkpointing.store import Usage
from ..typing import Array
from .methods.method import Method
from .step_control.absolute_tolerances import Findings
from .steps.accepted_steps import AcceptedSteps
from .sweeps import Sweeps

MODES = ("auto", "tangent", "adjoint")
"""Modes of `Trajectory.jacobian`."""


SHOWN = 5
"""Largest number of parameters, or of times, that a note lists."""


@dataclass(frozen=True, eq=False)
class ODEEvidence:
    """Work and findings of an integration, including its derivatives so far.

    Parameters
    ----------
    method : str
        Name of the method.
    steps : int
        Number of accepted steps.
    rejected : int
        Number of rejected steps.
    evaluations : int
        Number of evaluations of f.
    jacobians : int
        Number of evaluations of ∂f/∂u.
    factorizations : int
        Number of factorizations of M − hγ ∂f/∂u. With coupled stages (Radau) all factors
        of one step count as one.
    corrections : int
        Number of Newton corrections, summed over the stages. With coupled stages one
        correction is for all stages together.
    repeated : int
        Number of steps that sweeps repeated to get from a checkpoint to a state.
    storage : Usage
        The stored states and records, with their bytes in memory and on disk.
    notes : tuple of str
        Findings of the integration and of the last reverse sweep, in words: jumps of f
        where no step ends, components that matter to J below their atol, parameters
        without influence, a gradient of zeros.
    jacobian_mode : str or None
        "tangent" or "adjoint": the mode of the last call of `Trajectory.jacobian`, None
        before the first call.
    jacobian_reason : str
        The reason for this mode, in words.
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
    jacobian_mode: str | None = None
    jacobian_reason: str = ""

    def __str__(self) -> str:
        notes = list(self.notes)
        if self.jacobian_mode is not None:
            notes.append(f"last Jacobian by {self.jacobian_mode}s: {self.jacobian_reason}")
        return (
            f"{self.method}: {self.steps} steps, {self.rejected} rejected\n"
            f"{self.evaluations} evaluations of f, {self.jacobians} of its jacobian, "
            f"{self.factorizations} factorizations, {self.corrections} Newton corrections\n"
            f"kept: {self.storage}; {self.repeated} steps repeated"
            + "".join(f"\n{note}" for note in notes)
        )


def evidence_of(method: Method, sweeps: Sweeps) -> ODEEvidence:
    """The evidence of the integration and of all sweeps so far."""
    statistics, accepted, store = sweeps.system.statistics, sweeps.accepted, sweeps.store
    return ODEEvidence(
        method.tableau.name,
        accepted.count,
        accepted.rejected,
        statistics.evaluations,
        statistics.jacobians,
        statistics.factorizations,
        statistics.corrections,
        store.executed,
        store.used,
        notes_of(sweeps.findings, accepted),
        sweeps.findings.jacobian_mode,
        sweeps.findings.jacobian_reason,
    )


def notes_of(findings: Findings, accepted: AcceptedSteps) -> tuple[str, ...]:
    """The findings of the integration and of the last reverse sweep, in words."""
    notes = [str(hidden) for hidden in findings.hidden]
    jumps = accepted.jumps()
    if jumps:
        places = _listed([f"t = {end:.6g}" for _, end in jumps])
        notes.append(
            f"f seems to jump or to have a kink at {places}: steps were rejected there again and "
            "again. Put these times into breaks=: steps get longer, and derivatives with "
            "respect to times are wrong otherwise"
        )
    if findings.unused:
        names = _listed([f"p[{k}]" for k in findings.unused])
        notes.append(
            f"the last gradient is exactly zero for {names}: no step saw an effect on J. A "
            "parameter that only occurs in comparisons, such as a switching time, needs breaks= "
            "that depend on p"
        )
    if findings.infinite:
        times = _listed([f"t = {t:.10g}" for t in findings.infinite])
        notes.append(
            f"the rate of f with respect to t is infinite at {times}. No stage lies there: "
            "derivatives with respect to times belong to the computed steps, and may differ "
            "from the derivatives of the solution"
        )
    if findings.unaffected:
        notes.append(
            "the last gradient is exactly zero for all parameters: no step saw an effect of p on "
            "J. If p acts within a short time only (a pulse, a dose, a switch), steps have passed "
            "over it: let steps end there by breaks=, or give StepControl(max_step=...)"
        )
    return tuple(notes)


def _listed(names: list[str]) -> str:
    """The first names, joined; the number of all names follows if some names are left out."""
    more = f" ({len(names)} such)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


class Differentiable(Protocol):
    """Protocol for a trajectory with the derivatives that the full Jacobian needs."""

    @property
    def u(self) -> Array:
        """(K, n) observed states."""

    @property
    def p(self) -> Array:
        """(m,) parameters."""

    @property
    def sweeps(self) -> Sweeps:
        """The sweeps through the steps, with the findings of the last reverse sweep."""

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū, (m, j), for ū (K, n, j)."""

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ, (K, n, j), for ṗ (m, j)."""


def full_jacobian(solution: Differentiable, of: Array | None, mode: str) -> Array:
    """d(outputs)/dp, (outputs, m), by the mode with fewer columns; see `Trajectory.jacobian`.

    of: (K, n, j), cotangents ū of the functionals Re Σ ū u that are the outputs; None
    if the outputs are all observed states. Raises ValueError if the mode is unknown, if
    `of` has the wrong shape, or if u is complex and `of` is None.
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
        matrix = solution.jvp(np.eye(m)).reshape(solution.u.size, m)
        if of is not None:
            matrix = np.real(np.reshape(of, (-1, outputs)).conj().T @ matrix)
    else:
        bars = np.eye(outputs).reshape((*shape, outputs)) if of is None else np.asarray(of)
        matrix = solution.vjp(bars).T
    findings = solution.sweeps.findings
    findings.jacobian_mode, findings.jacobian_reason = chosen, reason
    return matrix
