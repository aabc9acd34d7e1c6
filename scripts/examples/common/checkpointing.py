"""The gradient of a trajectory from few stored states and from all states."""

from dataclasses import dataclass, replace

import numpy as np

import adjoint
from adjoint.checkpointing import Memory
from adjoint.report import SweepProgress
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class CheckpointedGradient:
    """A forward and a reverse sweep with few stored states.

    events: events of both sweeps; evidence: of the trajectory, after both sweeps;
    same_bits: True if the gradient equals, bit for bit, the gradient from all states.
    """

    events: list[adjoint.checkpointing.SweepEvent]
    evidence: adjoint.ode.ODEEvidence
    same_bits: bool


def checkpointed_gradient(
    trajectory: adjoint.ode.Trajectory,
    u_bar: Array,
    q_bar: Array | None,
    memory: Memory,
    slots: int,
    quiet: bool,
) -> CheckpointedGradient:
    """Repeat the steps of a trajectory with another memory policy, and sweep back.

    u_bar, q_bar: cotangents of the observed states and of the integrals; slots:
    approximate number of states that `memory` stores, for the progress display.
    """
    events: list[adjoint.checkpointing.SweepEvent] = []
    with SweepProgress(trajectory.problem.t, slots, quiet=quiet) as sweeps:

        def record(event: adjoint.checkpointing.SweepEvent) -> None:
            events.append(event)
            sweeps(event)

        everything = replace(
            trajectory.problem,
            grid=trajectory.grid,
            memory=adjoint.checkpointing.Everything(),
            callback=None,
        )
        few = replace(everything, memory=memory, callback=record).solve(trajectory.p)
        g = few.vjp(u_bar, q_bar)
    same = bool(np.array_equal(g, everything.solve(trajectory.p).vjp(u_bar, q_bar)))
    return CheckpointedGradient(events, few.evidence, same)
