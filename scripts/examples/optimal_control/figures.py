"""The fields of the plate, and λ as a field."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import Map, Plot, Shades, write_sheet
from adjoint.typing import Array
from scripts.examples.common.checkpointing import CheckpointedGradient
from scripts.examples.optimal_control.lbfgsb import Optimum
from scripts.examples.optimal_control.plate import SIZE, Steering


@dataclass(frozen=True, eq=False)
class Results:
    """Results of the example that the figures show.

    rest: the point without heating; found: the optimum; few: the gradient with few stored
    states; check: of the gradient, without heating.
    """

    case: Steering
    rest: adjoint.Point
    found: Optimum
    few: CheckpointedGradient
    check: adjoint.checks.CheckReport

    def adjoints(self, point: adjoint.Point) -> tuple[Array, Array]:
        """Return (t, λ) at the time steps, (N + 1,) and (N + 1, n)."""
        trajectory = point.solution.trajectory
        return trajectory.grid, trajectory.adjoint(*self.cotangents(point))

    def cotangents(self, point: adjoint.Point) -> tuple[Array, Array]:
        """Return the derivatives of J with respect to the observed states and the integral."""
        return self.case.cotangents(self.case.objective.gradients(point.solution.u, point.p)[0])


def draw_fields(results: Results, subtitle: str, file: Path) -> None:
    """Draw initial and final temperatures, the final powers, and λ at three times."""
    case, best, rest = results.case, results.found.point, results.rest
    numbers, size = case.plate.grid.node_numbers[:, ::-1], (float(SIZE[0]), float(SIZE[1]))
    start, target = case.problem.u0, case.objective.target
    still, steered = (point.solution.trajectory.u[-1] for point in (rest, best))
    end = case.plate.knots[-1]
    low, high = min(field.min() for field in (start, target, still, steered)), 1.05
    heated = case.mass.solve(case.plate.heaters @ best.p[-case.plate.places.shape[0] :])
    t, lam = results.adjoints(rest)
    sensitivity = case.mass.solve(lam.T).T

    def temperature(title: str, u: Array) -> Map:
        return Map(title, u[numbers], size, "u / K", limits=(float(low), high))

    def signed(title: str, u: Array, label: str) -> Map:
        return Map(title, u[numbers], size, label, shades=Shades.DIVERGING)

    plots: list[Plot] = [
        temperature("Initial temperature", start),
        temperature("Target", target),
        temperature(f"Without heating, t = {end:g} s", still),
        temperature(f"Steered, t = {end:g} s", steered),
        signed("Steered − target", steered - target, "u − d / K"),
        signed(f"Power of the heaters, t = {end:g} s", heated, "K/s"),
    ]
    for share in (0.0, 0.5, 1.0):
        k = int(np.argmin(np.abs(t - share * end)))
        title = f"Adjoint M⁻¹λ without heating, t = {t[k]:.2g} s"
        plots.append(signed(title, sensitivity[k], "K"))
    write_sheet(file, "A plate steered to a ring of warmth", subtitle, plots, 3, 4.25)
