"""Estimates of the errors of trajectories against true errors, over all problems and methods.

``python -m scripts.benchmarks.time_step_accuracy [--out DIR] [--small]`` solves each problem of
the catalogue by each method that suits it, at several tolerances, and prints how many
estimates are accepted, at rounding level and refused, and the ratio true error /
estimate. A second table is for fields that jump, or have a kink, where no step ends. The
references are computed with much smaller tolerances. Writes time_step_accuracy.json.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.accuracy import AccuracyStatus
from adjoint.errors import SolveError
from adjoint.typing import Array
from problems.time.catalogue import ODE_CATALOGUE

METHODS = (
    adjoint.ode.Tsit5(),
    adjoint.ode.TRBDF2(),
    adjoint.ode.ESDIRK4(),
    adjoint.ode.ESDIRK4(accuracy=1e-5),
    adjoint.ode.Radau5(),
)
"""Methods; one of them solves its stages to five digits only."""

TOLERANCES = (1e-2, 1e-4, 1e-6)

STIFF = ("Robertson", "van der Pol", "mass", "amplifier")
"""Words in the names of problems that are not solved by explicit methods."""

SMALL = ("Robertson", "Lotka", "pendulum", "Akzo")
"""Words in the names of the problems of a small run."""

JUMPS = 60
"""Number of fields with a jump, and with a kink, for each method."""


class HalfSquares:
    """J = ½ ‖y‖² of all observed states and integrals."""

    def value(self, y: Array, p: Array) -> float:
        """J."""
        return 0.5 * float(np.sum(np.abs(y) ** 2))

    def gradients(self, y: Array, p: Array) -> tuple[Array, Array]:
        """(y, 0)."""
        return y.copy(), np.zeros_like(p)


@dataclass(eq=False)
class Tally:
    """The estimates of one family: numbers by status, and true error / estimate."""

    accepted: list[float] = field(default_factory=list)
    rounding: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, point: adjoint.Point, exact: Array) -> None:
        """Add the estimate of one gradient."""
        estimate = point.accuracy()
        if estimate.status is AccuracyStatus.REFUSED:
            self.refused += 1
            return
        ratio = float(np.linalg.norm(point.gradient - exact)) / estimate.gradient_error
        accepted = estimate.status is AccuracyStatus.ACCEPTED
        (self.accepted if accepted else self.rounding).append(ratio)

    def row(self) -> dict[str, object]:
        """Numbers for the table."""
        ends = [min(self.accepted), max(self.accepted)] if self.accepted else []
        rounding = [min(self.rounding), max(self.rounding)] if self.rounding else []
        return {
            "accepted": len(self.accepted),
            "ratio": ends,
            "rounding": len(self.rounding),
            "rounding_ratio": rounding,
            "refused": self.refused,
        }


def function(problem: adjoint.ODEProblem) -> adjoint.Reduced:
    """J of the states and integrals of a problem."""
    return adjoint.Reduced(adjoint.ode.Outputs(problem), HalfSquares())


def at_tolerance(
    problem: adjoint.ODEProblem, rtol: float, method: adjoint.ode.Method
) -> adjoint.ODEProblem:
    """The problem with other tolerances; atol in proportion to rtol, its own at 1e-8."""
    return replace(problem, rtol=rtol, atol=np.asarray(problem.atol) * (rtol / 1e-8), method=method)


def catalogue(small: bool) -> Iterator[tuple[str, Tally]]:
    """The tally of each problem of the catalogue, over all methods and tolerances."""
    for name, make in ODE_CATALOGUE.items():
        if small and not any(word in name for word in SMALL):
            continue
        problem, p = make()
        tally = Tally()
        reference = function(at_tolerance(problem, 1e-11, adjoint.ode.Radau9()))(p).gradient
        for method in METHODS[1:4:2] if small else METHODS:
            if method.tableau.gamma == 0.0 and any(word in name for word in STIFF):
                continue
            for rtol in TOLERANCES[:2] if small else TOLERANCES:
                try:
                    point = function(at_tolerance(problem, rtol, method))(p)
                except SolveError:
                    continue
                tally.add(point, reference)
        yield name, tally


def broken(power: int, number: int) -> Tally:
    """The tally of u' = −p₀u + p₁ (t − τ)^power [t > τ] with a random τ that is not stated."""
    rng, tally = np.random.default_rng(power), Tally()
    for method in METHODS[:3]:
        for _ in range(number):
            tau, p = rng.uniform(0.2, 1.8), rng.uniform(0.3, 3.0, 2)
            rtol = 10.0 ** rng.uniform(-6.0, -2.0)

            def f(t: float, u: Array, p: Array, tau: float = tau) -> Array:
                return np.array([-p[0] * u[0] + p[1] * max(t - tau, 0.0) ** power * (t > tau)])

            made = adjoint.complex_step_field(f, 1, 2)
            problem = adjoint.ODEProblem(
                made, np.ones(1), (0.0, 2.0), method=method, rtol=rtol, atol=rtol
            )
            stated = replace(
                problem, breaks=np.array([tau]), method=adjoint.ode.DOP853(), rtol=1e-12, atol=1e-13
            )
            tally.add(function(problem)(p), function(stated)(p).gradient)
    return tally


def shown(ratio: object) -> str:
    """The least and the largest ratio."""
    return " – ".join(f"{r:.2f}" for r in ratio) if isinstance(ratio, list) else ""


def main(out: Path | None, small: bool) -> dict[str, dict[str, object]]:
    """Print the table; write the numbers to `out`, if given; return them."""
    rows: dict[str, dict[str, object]] = {}
    print("| problem | accepted | ratio | rounding | ratio | refused |\n|---|---|---|---|---|---|")
    everything = [*catalogue(small)]
    everything += [
        (what, broken(power, 4 if small else JUMPS))
        for power, what in enumerate(("jump inside of a step", "kink inside of a step"))
    ]
    for name, tally in everything:
        rows[name] = row = tally.row()
        print(
            f"| {name} | {row['accepted']} | {shown(row['ratio'])} | {row['rounding']} | "
            f"{shown(row['rounding_ratio'])} | {row['refused']} |"
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "time_step_accuracy.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    main(given.out, given.small)
