"""The figures of scripts/branches.py: Bratu's branch on the line and on the square."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Plot, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, INK, ORANGE, VERMILLION
from adjoint.typing import Array
from scripts.branch import Branch

LEVEL = 2.0  # λ of the states drawn
STEEPEST = 2.5  # dJ/dλ at which its axis ends: at the fold it is infinite
EXACT = 3.51383071912516  # λ_c on the line
LAMBDA, HIGHEST = "λ", "largest u"
ARMS = ((BLUE, "lower arm", False), (VERMILLION, "upper arm", True))


def arcs(branch: Branch, color: str, where: str) -> list[Curve]:
    """The largest u over λ: both arms, dashed beyond the fold, and the fold."""
    fold, (lower, upper) = branch.fold, branch.arms()
    turn = [(fold.value, fold.u.max())]
    below, above = ([(point.value, point.u.max()) for point in arm] for arm in (lower, upper))
    return [
        Curve(*np.array(below + turn).T, where, color),
        Curve(*np.array(turn + above).T, "_beyond", color, dashed=True),
        Curve(*np.array(turn).T, "_fold", INK, marker="o", loose=True),
    ]


def slopes(branch: Branch, mean: Array) -> list[Curve]:
    """dJ/dλ along both arms, J = mean · u: at each point one adjoint solve for all parameters."""
    curves = []
    for arm, (color, name, dashed) in zip(branch.arms(), ARMS, strict=True):
        values = [(point.value, point.solution.vjp(mean)[0]) for point in arm]
        curves.append(Curve(*np.array(values).T, name, color, dashed=dashed))
    return curves


def draw_line(branch: Branch, mean: Array, h: Array, table: list[Array], file: Path) -> None:
    """The branch over the closed form, dJ/dλ along it, states, and the error of λ_c; table: of Richardson."""
    fold, n = branch.fold, mean.size
    theta = np.linspace(0.3, 18.7, 200)  # Mohsen (2014): λ = ½θ²/cosh²(¼θ), u(½) = 2 ln cosh(¼θ)
    exact = Curve(
        0.5 * (theta / np.cosh(0.25 * theta)) ** 2,
        2.0 * np.log(np.cosh(0.25 * theta)),
        "closed form",
        GRAY,
    )
    shown = branch.points[:: len(branch.points) // 30]
    traced = Curve(
        *np.array([(point.value, point.u.max()) for point in shown]).T,
        "traced",
        BLUE,
        marker="o",
        loose=True,
    )
    turn = Curve(
        np.array([fold.value]), np.array([fold.u.max()]), "fold", VERMILLION, marker="D", loose=True
    )
    x = np.arange(n + 2) / (n + 1)
    lower, upper = (np.pad(state.u, 1) for state in branch.states(LEVEL))
    errors = [np.abs(column - EXACT) for column in table[:3]]
    names, colors = (r"$\lambda_c(h)$", "extrapolated once", "twice"), (BLUE, ORANGE, GREEN)
    limit = table[-1][0]
    plots: list[Plot] = [
        Graph(
            "Branch",
            LAMBDA,
            HIGHEST,
            [exact, traced, turn],
            notes=[(fold.value, fold.u.max(), r"$\lambda_c$  ")],
        ),
        Graph(
            "Sensitivity of J = ∫u",
            LAMBDA,
            "dJ/dλ",
            slopes(branch, mean),
            low=-STEEPEST,
            high=STEEPEST,
            level=0.0,
        ),
        Graph(
            f"States for λ = {LEVEL:g}, and at the fold",
            "x",
            "u",
            [
                Curve(x, lower, "lower arm", BLUE),
                Curve(x, np.pad(fold.u, 1), "fold", INK),
                Curve(x, upper, "upper arm", VERMILLION, dashed=True),
            ],
        ),
        Graph(
            "Error of the fold",
            "mesh width h",
            r"$|\lambda_c(h) - \lambda_c|$",
            [
                Curve(h[-error.size :], np.maximum(error, 1e-16), name, color, marker="o")
                for error, name, color in zip(errors, names, colors, strict=True)
            ],
            logarithmic=(True, True),
        ),
    ]
    subtitle = rf"$\lambda_c$ = {limit:.14f} extrapolated from meshes of up to {n} points; published {EXACT:.14f}"
    write_sheet(file, "Bratu's branch on a line, u″ + λeᵘ = 0", subtitle, plots, 2, 4.0)


def draw_square(branches: list[Branch], points: tuple[int, int], file: Path) -> None:
    """Both branches, states of one λ at rest, the fold's state in the flow, and −dλ_c/ds at rest and in the flow."""
    rest, flow = branches
    lower, upper = (state.u.reshape(points) for state in rest.states(LEVEL))
    cell = 1.0 / np.prod(np.add(points, 1))
    densities = [-branch.fold.gradient[1:].reshape(points) / cell for branch in branches]
    unit, fall, side = "u", r"$-d\lambda_c/ds$ per unit of area", (1.0, 1.0)
    plots: list[Plot] = [
        Graph(
            "Branches, dashed beyond the fold",
            LAMBDA,
            HIGHEST,
            arcs(rest, BLUE, "at rest") + arcs(flow, VERMILLION, "in a flow"),
            notes=[
                (each.fold.value, each.fold.u.max(), f"  {each.fold.value:.3f}")
                for each in branches
            ],
        ),
        Map(f"At rest, λ = {LEVEL:g}, lower arm", lower, side, unit, length=""),
        Map(f"At rest, λ = {LEVEL:g}, upper arm", upper, side, unit, length=""),
        Map("In the flow, at the fold", flow.fold.u.reshape(points), side, unit, length=""),
        Map(r"At rest: effect of reactivity on $\lambda_c$", densities[0], side, fall, length=""),
        Map(
            r"In the flow: effect of reactivity on $\lambda_c$", densities[1], side, fall, length=""
        ),
    ]
    subtitle = (
        f"{points[0]} × {points[1]} points, $\\lambda_c$ = {rest.fold.value:.5f} at rest, {flow.fold.value:.5f} in a "
        r"flow to the right; $d\lambda_c/ds$ at all points is one vjp with the left null vector"
    )
    write_sheet(file, "Ignition on a square, −∇²u + β ∂u/∂x = λ s eᵘ", subtitle, plots, 3, 3.35)
