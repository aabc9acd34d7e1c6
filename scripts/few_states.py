"""A gradient with few states kept: what happened, and whether it has the bits of the one with all of them."""

from dataclasses import dataclass, replace

import numpy as np

import adjoint
from adjoint.checkpointing import Memory
from adjoint.report import SweepProgress
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class FewStates:
    """events: of both sweeps; evidence: after them; same: whether the gradient has the same bits."""

    events: list[adjoint.checkpointing.SweepEvent]
    evidence: adjoint.ode.ODEEvidence
    same: bool


def few_states(
    trajectory: adjoint.ode.Trajectory,
    u_bar: Array,
    q_bar: Array | None,
    memory: Memory,
    slots: int,
    quiet: bool,
) -> FewStates:
    """Both sweeps over the steps of a trajectory once more, their number known now.

    slots: about how many states `memory` keeps, for the progress that is shown.
    """
    events: list[adjoint.checkpointing.SweepEvent] = []
    with SweepProgress(trajectory.problem.t, slots, quiet=quiet) as sweeps:

        def watch(event: adjoint.checkpointing.SweepEvent) -> None:
            events.append(event)
            sweeps(event)

        everything = replace(
            trajectory.problem,
            grid=trajectory.grid,
            memory=adjoint.checkpointing.Everything(),
            callback=None,
        )
        few = replace(everything, memory=memory, callback=watch).solve(trajectory.p)
        g = few.vjp(u_bar, q_bar)
    same = bool(np.array_equal(g, everything.solve(trajectory.p).vjp(u_bar, q_bar)))
    return FewStates(events, few.evidence, same)
