"""A heated plate steered to a warm ring by 48 heaters: 816 powers from one reverse sweep.

    python -m scripts.examples.optimal_control --out out/optimal_control

Minimize J = ½ ‖u(T) − d‖²_M + ½ α ∫ |s|² dt over the powers s of the heaters at the knots,
|s| ≤ limit, by L-BFGS-B. The gradient is exact for the time steps taken. The plate is
M u' = −K u + B s by finite elements. The figures show both sweeps with few stored states, λ
over time, and the condition of optimality: s = −Bᵀ M⁻¹ λ / α within the limits. Writes
fields.png, time_series.png and control.json.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import SweepProgress
from scripts.examples.common import options
from scripts.examples.common.checkpointing import checkpointed_gradient
from scripts.examples.optimal_control.figures import Results, draw_fields
from scripts.examples.optimal_control.lbfgsb import Optimum, optimum
from scripts.examples.optimal_control.plate import Steering
from scripts.examples.optimal_control.time_figures import draw_time_series

CELLS, KNOTS = (100, 70), 17
SMALL_CELLS, SMALL_KNOTS = (20, 14), 9

BUDGET, SLOTS = 150, 8
"""Memory of the gradient with few stored states, bytes per unknown, and the number of states
that fit besides the newest."""

FIRST = 0.1
"""Powers at which the gradient is checked, K/s."""


def main(out: Path, small: bool, *, quiet: bool = False) -> dict[str, object]:
    """Steer the plate, draw, and write the numbers; returns the numbers."""
    case = Steering(SMALL_CELLS, SMALL_KNOTS) if small else Steering(CELLS, KNOTS)
    f = adjoint.Reduced(adjoint.ode.Outputs(case.problem), case.objective)
    rest = f(np.zeros(case.controls))
    check = checked(case, f, rest)

    start = time.perf_counter()
    found = optimized(case, f, rest, quiet)
    seconds, best = time.perf_counter() - start, found.point

    trajectory = best.solution.trajectory
    y_bar = case.objective.gradients(best.solution.u, best.p)[0]
    memory = adjoint.checkpointing.Budget(BUDGET * case.unknowns)
    few = checkpointed_gradient(trajectory, *case.cotangents(y_bar), memory, SLOTS, quiet)

    numbers: dict[str, object] = {
        "unknowns": case.unknowns,
        "controls": case.controls,
        "J without heating": rest.value,
        "J": best.value,
        "misfit without heating / norm of the target": case.distance(
            rest.solution.trajectory.u[-1]
        ),
        "misfit / norm of the target": case.distance(trajectory.u[-1]),
        "powers at a limit": int(np.sum(np.abs(best.x) >= case.limit)),
        "projected gradient / first": found.fall,
        "gradients": len(found.history),
        "seconds": seconds,
        "check: order of the remainder": check.orders[1],
        "check: relative error": check.relative_error,
        "check: dot product": check.dot_product_error,
        "time steps": trajectory.evidence.steps,
        "factorizations": rest.solution.trajectory.evidence.factorizations,
        "bytes with everything kept": trajectory.evidence.storage.memory,
        "bytes with few states kept": few.evidence.storage.memory,
        "steps repeated with few states kept": few.evidence.repeated,
        "gradient of the same bits": few.same_bits,
    }
    results = Results(case, rest, found, few, check)
    subtitle = (
        f"{case.controls} powers, {case.unknowns} unknowns: "
        f"misfit {100 * case.distance(trajectory.u[-1]):.1f} % of the target, "
        f"{len(found.history)} gradients in {seconds:.0f} s"
    )
    draw_fields(results, subtitle, out / "fields.png")
    draw_time_series(results, subtitle, out / "time_series.png")
    (out / "control.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for name, value in numbers.items():
        print(f"{name:45s} {value}")
    return numbers


def checked(case: Steering, f: adjoint.Reduced, rest: adjoint.Point) -> adjoint.checks.CheckReport:
    """Check the gradient by a Taylor test; raise WrongGradient if it fails.

    The check repeats the time steps of `rest`: with adaptive steps f is not smooth.
    """
    frozen = replace(case.problem, grid=rest.solution.trajectory.grid)
    smooth = replace(f, problem=adjoint.ode.Outputs(frozen))
    check = adjoint.check(smooth, np.full(case.controls, FIRST))
    print(check.table(), flush=True)
    if not check.ok:
        raise adjoint.errors.WrongGradient(check.table())
    return check


def optimized(case: Steering, f: adjoint.Reduced, rest: adjoint.Point, quiet: bool) -> Optimum:
    """Return the optimal powers, from powers of zero, and show the progress of the sweeps."""
    with SweepProgress(case.problem.t, quiet=quiet) as sweeps:

        def label(text: str) -> None:
            sweeps.label = text

        outputs = adjoint.ode.Outputs(replace(case.problem, callback=sweeps))
        return optimum(case, replace(f, problem=outputs), rest.x, label)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    (nx, ny), knots = SMALL_CELLS, SMALL_KNOTS
    small = f"{nx} x {ny} cells, {knots} knots: seconds"
    return options.parser("optimal_control", __doc__, small).parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "optimal_control")
