"""The iterates of a run of any optimizer, with the cost of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint import interop
from adjoint.optimize import Algorithm, State, Stopping
from adjoint.reduced import Function
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Trace:
    """The history of a run.

    cost, value, violation, gradient (‖g‖₂): (k,) each, one entry per iterate; status: the
    reason why the run ended.
    """

    cost: Array
    value: Array
    violation: Array
    gradient: Array
    status: str

    def first(self, reached: Array) -> float:
        """Return the cost of the first iterate with reached[k] = True, or inf; reached: (k,)."""
        places = np.flatnonzero(reached)
        return float(self.cost[places[0]]) if places.size else np.inf


def traced(
    f: Function,
    x: Array,
    method: Algorithm | interop.Method,
    stop: Stopping,
    cost: Callable[[], float],
) -> Trace:
    """Run an algorithm of `adjoint.optimize` or of another package from x.

    cost: called at each iterate, returns the cost so far. An error ends the trace, and its
    message becomes the status.
    """
    rows: list[tuple[float, float, float, float]] = []

    def record(state: State) -> None:
        rows.append((cost(), state.value, state.violation, float(np.linalg.norm(state.gradient))))

    ours = callable(getattr(method, "advance", None))
    run = adjoint.minimize if ours else interop.minimize
    try:
        status = run(f, x, method, stop=stop, check=False, callback=record).status.value
    except (adjoint.SolveError, ValueError) as error:
        status = f"Stopped: {error}"
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Trace(*table.T, status)
