"""What an integration can show for itself."""

from dataclasses import dataclass

from ..recurrence.storage import Usage
from .findings import Findings
from .methods import Method
from .sweeps import Sweeps


@dataclass(frozen=True, eq=False)
class OdeEvidence:
    """How a trajectory was found, derivatives included.

    method: its name; steps, rejected: accepted and rejected ones; evaluations: of f; jacobians: of ∂f/∂u;
    factorizations: of M − hγ ∂f/∂u, of coupled stages sets of all that one step takes; corrections: of Newton's method,
    over all stages, of coupled ones those of all at once; repeated: steps that reverse
    sweeps took once more to get from a checkpoint to a state; storage: what was kept of the forward sweep. notes: what
    the last reverse sweep found, in words: components that matter to J below their atol, a gradient of zeros.
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
            f"kept: {self.storage}; {self.repeated} steps repeated" + "".join(f"\n{note}" for note in self.notes)
        )


def evidence_of(method: Method, sweeps: Sweeps) -> OdeEvidence:
    """The evidence as it is now."""
    tally, course, store = sweeps.system.tally, sweeps.course, sweeps.store
    return OdeEvidence(
        method.tableau.name,
        course.steps,
        course.rejected,
        tally.evaluations,
        tally.jacobians,
        tally.factorizations,
        tally.corrections,
        store.executed,
        store.used,
        notes_of(sweeps.findings),
    )


def notes_of(findings: Findings) -> tuple[str, ...]:
    """What reverse sweeps have found, in words."""
    notes = [str(hidden) for hidden in findings.hidden]
    if findings.unaffected:
        notes.append(
            "the last gradient is exactly zero for all parameters: no step saw an effect of p on J. If p acts within a "
            "short time only (a pulse, a dose, a switch), steps have passed over it: let steps end there by breaks=, "
            "or give Control(max_step=...)"
        )
    return tuple(notes)
