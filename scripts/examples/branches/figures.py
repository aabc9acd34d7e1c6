"""The figures of Bratu's branch on the line and on the square."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Plot, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, INK, ORANGE, VERMILLION
from adjoint.typing import Array
from scripts.examples.branches.branch import Branch

LEVEL = 2.0  # λ of the states that are drawn
STEEPEST = 2.5  # limit of the axis of dJ/dλ, which is infinite at the fold
EXACT = 3.51383071912516  # λ_c on the line
LAMBDA, HIGHEST = "λ", "largest u"
ARMS = ((BLUE, "lower arm", False), (VERMILLION, "upper arm", True))


def arcs(branch: Branch, color: str, label: str) -> list[Curve]:
    """Plot max u over λ for both arms, the upper arm dashed, and the fold as a dot."""
    fold, (lower, upper) = branch.fold, branch.arms()
    turn = [(fold.value, fold.u.max())]
    below, above = ([(point.value, point.u.max()) for point in arm] for arm in (lower, upper))
    return [
        Curve(*np.array(below + turn).T, label, color),
        Curve(*np.array(turn + above).T, "_beyond", color, dashed=True),
        Curve(*np.array(turn).T, "_fold", INK, marker="o", loose=True),
    ]


def slopes(branch: Branch, mean: Array) -> list[Curve]:
    """Plot dJ/dλ along both arms, J = mean · u: one adjoint solve per point."""
    curves = []
    for arm, (color, name, dashed) in zip(branch.arms(), ARMS, strict=True):
        values = [(point.value, point.solution.vjp(mean)[0]) for point in arm]
        curves.append(Curve(*np.array(values).T, name, color, dashed=dashed))
    return curves


def line_graph(branch: Branch) -> Graph:
    """Plot the traced points over the closed form λ = ½θ²/cosh²(¼θ), u(½) = 2 ln cosh(¼θ).

    Mohsen (2014), Comput. Math. Appl. 67, 26.
    """
    fold, theta = branch.fold, np.linspace(0.3, 18.7, 200)
    cosh = np.cosh(0.25 * theta)
    exact = Curve(0.5 * (theta / cosh) ** 2, 2.0 * np.log(cosh), "closed form", GRAY)
    shown = branch.points[:: len(branch.points) // 30]
    points = np.array([(point.value, point.u.max()) for point in shown]).T
    traced = Curve(*points, "traced", BLUE, marker="o", loose=True)
    top = np.array([fold.value]), np.array([fold.u.max()])
    turn = Curve(*top, "fold", VERMILLION, marker="D", loose=True)
    notes = [(fold.value, fold.u.max(), r"$\lambda_c$  ")]
    return Graph("Branch", LAMBDA, HIGHEST, [exact, traced, turn], notes=notes)


def draw_line(branch: Branch, mean: Array, h: Array, table: list[Array], file: Path) -> None:
    """Draw the branch, dJ/dλ, states, and the error of λ_c over the mesh width.

    mean: J = mean · u; h: mesh widths; table: columns of the Richardson table of λ_c.
    """
    fold, n = branch.fold, mean.size
    x = np.arange(n + 2) / (n + 1)
    lower, upper = (np.pad(state.u, 1) for state in branch.states(LEVEL))
    errors = [np.abs(column - EXACT) for column in table[:3]]
    names, colors = (r"$\lambda_c(h)$", "extrapolated once", "twice"), (BLUE, ORANGE, GREEN)
    limit = table[-1][0]
    plots: list[Plot] = [
        line_graph(branch),
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
    subtitle = (
        rf"$\lambda_c$ = {limit:.14f} extrapolated from meshes of up to {n} points; "
        f"published {EXACT:.14f}"
    )
    write_sheet(file, "Bratu's branch on a line, u″ + λeᵘ = 0", subtitle, plots, 2, 4.0)


def draw_square(branches: list[Branch], points: tuple[int, int], file: Path) -> None:
    """Draw branches and states at rest and in a flow, and the density of −dλ_c/ds.

    branches: at rest, in the flow; points: interior points along x and y.
    """
    rest, flow = branches
    lower, upper = (state.u.reshape(points) for state in rest.states(LEVEL))
    cell = 1.0 / np.prod(np.add(points, 1))
    densities = [-branch.fold.gradient[1:].reshape(points) / cell for branch in branches]
    unit, fall, side = "u", r"$-d\lambda_c/ds$ per unit of area", (1.0, 1.0)

    def shown(title: str, values: Array, label: str) -> Map:
        return Map(title, values, side, label, length="")

    folds = [(each.fold.value, each.fold.u.max(), f"  {each.fold.value:.3f}") for each in branches]
    plots: list[Plot] = [
        Graph(
            "Branches, dashed beyond the fold",
            LAMBDA,
            HIGHEST,
            arcs(rest, BLUE, "at rest") + arcs(flow, VERMILLION, "in a flow"),
            notes=folds,
        ),
        shown(f"At rest, λ = {LEVEL:g}, lower arm", lower, unit),
        shown(f"At rest, λ = {LEVEL:g}, upper arm", upper, unit),
        shown("In the flow, at the fold", flow.fold.u.reshape(points), unit),
        shown(r"At rest: effect of reactivity on $\lambda_c$", densities[0], fall),
        shown(r"In the flow: effect of reactivity on $\lambda_c$", densities[1], fall),
    ]
    subtitle = (
        f"{points[0]} × {points[1]} points, $\\lambda_c$ = {rest.fold.value:.5f} at rest, "
        f"{flow.fold.value:.5f} in a flow to the right; "
        r"$d\lambda_c/ds$ at all points is one vjp with the left null vector"
    )
    write_sheet(file, "Ignition on a square, −∇²u + β ∂u/∂x = λ s eᵘ", subtitle, plots, 3, 3.35)
