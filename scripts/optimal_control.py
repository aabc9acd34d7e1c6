"""A heated plate steered to a ring of warmth by 48 heaters over time: hundreds of powers from one reverse sweep.

    python -m scripts.optimal_control --out out/optimal_control

minimize J = ½ ‖u(T) − d‖²_M + ½ α ∫ |s|² dt over the powers s of the heaters at the knots, |s| ≤ limit, by L-BFGS-B
with the exact gradient of the time steps taken; M u' = −K u + B s by finite elements. Shows both sweeps, once with few
states kept, λ over time, and that the powers are those that λ asks for: s = −Bᵀ M⁻¹ λ / α within the limits.
Writes fields.png, course.png and control.json.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import SweepProgress
from scripts.few_states import few_states
from scripts.options import parsed
from scripts.steering.courses import draw_course
from scripts.steering.fields import Story, draw_fields
from scripts.steering.optimum import optimum
from scripts.steering.plate import Steering

CELLS, KNOTS, SMALL = (100, 70), 17, ((20, 14), 9)
BUDGET, SLOTS = (
    150,
    8,
)  # bytes for each unknown in the run with few states: about so many states besides the newest
FIRST = 0.1  # powers where the gradient is checked, K/s


def main(options: argparse.Namespace) -> dict[str, object]:
    """Steer, draw, and write the numbers; returns them."""
    case = Steering(*(SMALL if options.small else (CELLS, KNOTS)))
    f = adjoint.Reduced(adjoint.ode.Outputs(case.problem), case.objective)
    rest = f(np.zeros(case.controls))
    steady = replace(
        case.problem, grid=rest.solution.trajectory.grid
    )  # f over the same steps has no noise.
    check = adjoint.check(
        replace(f, problem=adjoint.ode.Outputs(steady)), np.full(case.controls, FIRST)
    )
    print(check.table(), flush=True)
    if not check.ok:
        raise adjoint.errors.WrongGradient(check.table())
    start = time.perf_counter()
    with SweepProgress(case.problem.t, quiet=options.quiet) as sweeps:
        watched = replace(f, problem=adjoint.ode.Outputs(replace(case.problem, callback=sweeps)))

        def name(label: str) -> None:
            sweeps.label = label

        found = optimum(case, watched, rest.x, name)
    seconds, best = time.perf_counter() - start, found.point
    trajectory, y_bar = (
        best.solution.trajectory,
        case.objective.gradients(best.solution.u, best.p)[0],
    )
    u_bar, q_bar = case.cotangents(y_bar)
    few = few_states(
        trajectory,
        u_bar,
        q_bar,
        adjoint.checkpointing.Budget(BUDGET * case.unknowns),
        SLOTS,
        options.quiet,
    )
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
        "gradient of the same bits": few.same,
    }
    out, story = Path(options.out), Story(case, rest, found, few, check)
    subtitle = (
        f"{case.controls} powers, {case.unknowns} unknowns: misfit {100 * case.distance(trajectory.u[-1]):.1f} % "
        f"of the target, {len(found.history)} gradients in {seconds:.0f} s"
    )
    draw_fields(story, subtitle, out / "fields.png")
    draw_course(story, subtitle, out / "course.png")
    (out / "control.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(*(f"{name:45s} {value}" for name, value in numbers.items()), sep="\n")
    return numbers


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.optimal_control", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--small", action="store_true", help="20 x 14 cells, 9 knots: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError, adjoint.errors.WrongGradient) as error:
        sys.exit(f"optimal_control: {error}")
