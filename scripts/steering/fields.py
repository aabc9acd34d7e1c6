"""The fields of scripts/optimal_control.py: what it found, and λ."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import Map, Plot, Shades, write_sheet
from adjoint.typing import Array
from scripts.few_states import FewStates
from scripts.steering.optimum import Optimum
from scripts.steering.plate import SIZE, Steering

WARMTH = "u / K"


@dataclass(frozen=True, eq=False)
class Story:
    """What there is to see: rest is the point without heating."""

    case: Steering
    rest: adjoint.Point
    found: Optimum
    few: FewStates
    check: adjoint.checks.CheckReport

    def adjoints(self, point: adjoint.Point) -> tuple[Array, Array]:
        """(t, λ) at the steps, (N + 1,) and (N + 1, n)."""
        trajectory = point.solution.trajectory
        return trajectory.grid, trajectory.adjoint(*self.cotangents(point))

    def cotangents(self, point: adjoint.Point) -> tuple[Array, Array]:
        """∂J/∂(states, integral)."""
        return self.case.cotangents(self.case.objective.gradients(point.solution.u, point.p)[0])


def draw_fields(story: Story, subtitle: str, file: Path) -> None:
    """Temperatures before and after, the powers in the end, and λ at three times."""
    case, best, rest = story.case, story.found.point, story.rest
    numbers, size = case.plate.grid.node_numbers[:, ::-1], (float(SIZE[0]), float(SIZE[1]))
    start, target = case.problem.u0, case.objective.target
    still, steered = (point.solution.trajectory.u[-1] for point in (rest, best))
    end = case.plate.knots[-1]
    low, high = min(field.min() for field in (start, target, still, steered)), 1.05
    heated = case.mass.solve(case.plate.heaters @ best.p[-case.plate.places.shape[0] :])
    t, lam = story.adjoints(rest)
    felt = case.mass.solve(lam.T).T

    def shown(title: str, u: Array) -> Map:
        return Map(title, u[numbers], size, WARMTH, limits=(float(low), high))

    def signed(title: str, u: Array, unit: str) -> Map:
        return Map(title, u[numbers], size, unit, shades=Shades.DIVERGING)

    plots: list[Plot] = [
        shown("Temperature in the beginning", start),
        shown("Target", target),
        shown(f"Without heating, t = {end:g} s", still),
        shown(f"Steered, t = {end:g} s", steered),
        signed("Steered − target", steered - target, "u − d / K"),
        signed(f"Power of the heaters, t = {end:g} s", heated, "K/s"),
    ]
    for share in (0.0, 0.5, 1.0):
        k = int(np.argmin(np.abs(t - share * end)))
        plots.append(signed(f"Adjoint M⁻¹λ without heating, t = {t[k]:.2g} s", felt[k], "K"))
    write_sheet(file, "A plate steered to a ring of warmth", subtitle, plots, 3, 4.25)
