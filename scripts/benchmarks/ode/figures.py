"""Work–precision diagrams: error of a gradient over its seconds."""

from pathlib import Path

import numpy as np

from adjoint.report.figures import style as look
from adjoint.report.figures.plots import Curve, Graph
from adjoint.report.figures.sheet import write_sheet

OURS = ((look.BLUE, "o"), (look.SKY, "o"), (look.GREEN, "o"), (look.BLUE, "v"), (look.GREEN, "v"))
THEIRS = {
    "diffrax, reverse": (look.VERMILLION, "s"),
    "diffrax, forward mode": (look.VERMILLION, "^"),
    "torchdiffeq, backprop": (look.ORANGE, "s"),
    "torchdiffeq, adjoint": (look.ORANGE, "^"),
    "CasADi (CVODES)": (look.PURPLE, "s"),
    "sundials4py (CVODES)": (look.PURPLE, "^"),
    "scikit-sundae (CVODE)": (look.PURPLE, "D"),
    "pydiffsol": (look.GRAY, "s"),
}
WIDTH = 7.0  # inches

Row = dict[str, float | str]


def work_precision(path: Path, title: str, subtitle: str, rows: list[Row]) -> None:
    """Draw one curve per library: ours solid, others dashed."""
    known = [row for row in rows if "error" in row]
    curves, ours = [], iter(OURS)
    for name in dict.fromkeys(str(row["library"]) for row in known):
        seconds, errors = (
            np.array([float(r[key]) for r in known if r["library"] == name])
            for key in ("seconds", "error")
        )
        color, marker = THEIRS.get(name) or next(ours)
        curves.append(Curve(seconds, errors, name, color, dashed=name in THEIRS, marker=marker))
    graph = Graph(
        "",
        "value and gradient / s",
        "relative error of the gradient",
        curves,
        logarithmic=(True, True),
    )
    write_sheet(path, title, subtitle, [graph], columns=1, frame=WIDTH)
