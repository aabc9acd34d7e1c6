"""A run of any optimizer, as what it had cost and reached at each of its iterates."""

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
    """cost, value, violation and gradient (‖g‖₂), (k,) each, over the iterates; status: why the run ended."""

    cost: Array
    value: Array
    violation: Array
    gradient: Array
    status: str

    def first(self, reached: Array) -> float:
        """The cost at the first iterate for which `reached`, (k,) booleans, holds; inf if there is none."""
        places = np.flatnonzero(reached)
        return float(self.cost[places[0]]) if places.size else np.inf


def traced(
    f: Function,
    x: Array,
    method: Algorithm | interop.Method,
    stop: Stopping,
    cost: Callable[[], float],
) -> Trace:
    """Run one of our algorithms, or of another package's, from x; cost: what has been spent so far."""
    rows: list[tuple[float, float, float, float]] = []

    def each(state: State) -> None:
        rows.append((cost(), state.value, state.violation, float(np.linalg.norm(state.gradient))))

    ours = callable(getattr(method, "advance", None))
    run = adjoint.minimize if ours else interop.minimize
    try:
        status = run(f, x, method, stop=stop, check=False, callback=each).status.value
    except (adjoint.SolveError, ValueError) as error:
        status = f"Stopped: {error}"
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Trace(*table.T, status)
