"""The panels of a convergence report: each draws one aspect of a history on given axes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from ..report import axes as look
from ..typing import Array
from .constrained import constraints
from .history import History
from .record import entries, measured, numbers
from .summary import badge, change, tolerance
from .times import times

WIDE_RANGE = 30.0  # ratio of the largest to the least objective from which a linear axis hides the end
STEPS = {
    "OptimalityCriteria": "move limit",
    **dict.fromkeys(("MMA", "GCMMA"), "asymptotes, over the bounds"),
    **dict.fromkeys(("NewtonCG", "GaussNewton"), "length of the step"),
    **dict.fromkeys(("SteepestDescent", "BFGS", "LBFGS", "SiMPL"), "step over its direction"),
}
"""What an algorithm calls a step."""
MOST_MEASURES = 4  # of the user's own that are drawn
MOST_DECADES = 1e-14  # least value over the largest on an axis of residuals


@dataclass(frozen=True, eq=False)
class Panel:
    """A title, the function that draws, and a sentence for those who cannot see it.

    legend: whether lines are named above the frame.
    """

    title: str
    draw: Callable[[Axes], None]
    description: str
    legend: bool = True


def objective(ax: Axes, history: History) -> None:
    """Accepted objectives as a line, rejected trials as faint dots; those beyond the axis at its edge."""
    x, y = history.numbers, history.series("objective")
    look.line(ax, x, y, "accepted", look.BLUE)
    look.iterations_along(ax, history)
    ax.set_ylabel("objective")
    accepted = y[np.isfinite(y)]
    if accepted.size:
        if accepted.min() > 0 and accepted.max() > WIDE_RANGE * accepted.min():
            look.logarithmic(ax, accepted)
        else:
            look.linear(ax, accepted, "objective")
        _rejected(ax, history)
    if look.stages(history).size:
        ax.plot([], [], linestyle=look.DASHES, color=look.GRAY, linewidth=0.9, label="new stage")
    look.legend(ax)


def _rejected(ax: Axes, history: History) -> None:
    """Rejected trials as dots; above the axis (a failed solve too) or below it, triangles at its edge."""
    trials = [numbers(record, "rejected") for record in history.iterations]
    at = np.repeat(history.numbers, [trial.size for trial in trials])
    values = np.concatenate([np.empty(0), *trials])
    if history.result is not None and history.numbers.size:  # Those that ended the run.
        last = numbers(history.result, "rejected")
        at, values = np.append(at, np.full(last.size, history.numbers[-1])), np.append(values, last)
    low, high = ax.get_ylim()
    inside, below = (values >= low) & (values <= high), values < low
    if inside.any():
        look.dots(ax, at[inside], values[inside], "rejected trial", look.GRAY, ".")
    label = "rejected, off the axis"
    for off, edge, marker in ((~(inside | below), high, "^"), (below, low, "v")):
        if off.any():
            look.dots(ax, at[off], np.full(off.sum(), edge), label, look.GRAY, marker)
            label = "_nolegend_"


def optimality(ax: Axes, history: History) -> None:
    """Projected gradient, KKT residual and constraint violation, with their tolerances."""
    names = ("projected_gradient", "kkt", "constraint_violation")
    _decades(ax, history, names)
    labels = ("projected gradient", "KKT residual", "violation")
    colors = (look.BLUE, look.VERMILLION, look.GREEN)
    for name, label, color in zip(names, labels, colors, strict=True):
        y = history.series(name)
        gap = y < ax.get_ylim()[0]
        if gap.any():
            ax.plot([], [], color=color, label=f"{label} (gap ≈ 0)")
        look.line(ax, history.numbers, np.where(gap, np.nan, y), "_" if gap.any() else label, color)
        _tolerance(ax, history, name, color)
    look.iterations_along(ax, history)
    look.legend(ax)


def steps(ax: Axes, history: History) -> None:
    """Step lengths as dots (each is a choice of its own) and the largest change of the design as a line."""
    _decades(ax, history, ("step", "change"))
    step = _positive(history, "step")
    if np.isfinite(step).any():
        algorithm = str(history.header.get("algorithm") or "").split("(")[0]
        look.dots(ax, history.numbers, step, STEPS.get(algorithm, "step"), look.ORANGE, ".")
    look.line(ax, history.numbers, _positive(history, "change"), "design change", look.BLUE)
    _tolerance(ax, history, "change", look.BLUE)
    look.iterations_along(ax, history)
    look.legend(ax)


def _positive(history: History, name: str) -> Array:
    """A series, nan where it has no place on a logarithmic axis."""
    y = history.series(name)
    return np.where(y > 0, y, np.nan)


def _tolerance(ax: Axes, history: History, name: str, color: str) -> None:
    """The tolerance on a series, where the run recorded both and the axis reaches it, as a dashed line."""
    asked = tolerance(history, name)
    if asked > ax.get_ylim()[0] and np.isfinite(history.series(name)).any():
        ax.axhline(asked, color=color, linestyle="--", linewidth=1.0, label=f"tol. {asked:.3g}")


def _decades(ax: Axes, history: History, names: tuple[str, ...]) -> None:
    """A logarithmic axis for the series and their tolerances, cut where one of them sinks to rounding."""
    bounds = [tolerance(history, name) for name in names if np.isfinite(history.series(name)).any()]
    values = np.concatenate([*(_positive(history, name) for name in names), bounds])
    values = values[values > 0]
    if values.size:
        look.logarithmic(ax, values[values >= MOST_DECADES * values.max()])


def material(ax: Axes, history: History) -> None:
    """Volume and grayness as fractions, on an axis that begins at zero and holds one."""
    for label, name, color in (("volume", "volume", look.BLUE), ("grayness", "grayness", look.ORANGE)):
        look.line(ax, history.numbers, history.series(name), label, color)
    both = np.concatenate([history.series("volume"), history.series("grayness"), [0.0, 1.0]])
    ax.set_ylim(1.04 * np.nanmin(both), 1.04 * np.nanmax(both))
    ax.set_ylabel("fraction")
    look.iterations_along(ax, history)
    look.legend(ax)


def taylor(ax: Axes, history: History) -> None:
    """Remainders of the Taylor test over the step, each on a pale band of the slope theory asks for."""
    test = entries(history.header, "taylor")
    h, orders, rows = numbers(test, "steps"), numbers(test, "orders"), test.get("remainders")
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        remainder = numbers({"row": row}, "row")
        good = (remainder > 0) & (h > 0)
        if good.any():
            color = (look.BLUE, look.VERMILLION, look.GREEN)[index % 3]
            widest = np.flatnonzero(good)[np.argmax(h[good])]
            expected = remainder[widest] * (h[good] / h[widest]) ** (index + 1)
            ax.loglog(h[good], expected, "-", color=color, alpha=0.25, linewidth=5.0)
            label = f"order {orders[index]:.2f} (expected {index + 1})"
            ax.loglog(h[good], remainder[good], "o-", color=color, markersize=3.2, label=label)
    ax.set_xlabel("step")
    ax.set_ylabel("remainder")
    look.legend(ax)


def measure(name: str, ax: Axes, history: History) -> None:
    """A number of the user's own."""
    y = history.series(name)
    look.line(ax, history.numbers, y, name, look.BLUE)
    look.iterations_along(ax, history)
    if np.isfinite(y).any():
        look.linear(ax, y[np.isfinite(y)], name)
    look.legend(ax)


def panels(history: History) -> list[Panel]:
    """How the run went, as far as it was recorded; objective, optimality, steps and times in any case."""
    own = [name for name in dict.fromkeys(name for record in history.iterations for name in measured(record))]
    found = [
        Panel("Objective", partial(objective, history=history), f"Objective {change(history, 'objective')}."),
        Panel("Optimality and feasibility", partial(optimality, history=history), _described(history)),
        Panel(
            "Step and design change",
            partial(steps, history=history),
            f"Step {change(history, 'step')}, design change {change(history, 'change')}; logarithmic axis.",
        ),
    ]
    if history.lists("constraints").size:
        number = history.lists("constraints").shape[1]
        text = f"{number} constraints, (c − bound)/scale, over the iterations, and their multipliers below."
        found.append(Panel("Constraints and multipliers", partial(constraints, history=history), text))
    if np.isfinite([history.series("volume"), history.series("grayness")]).any():
        text = f"Volume {change(history, 'volume')}, grayness {change(history, 'grayness')}."
        found.append(Panel("Volume and grayness", partial(material, history=history), text))
    for name in own[:MOST_MEASURES]:
        text = f"{name} {change(history, name)}."
        found.append(Panel(name[:1].upper() + name[1:], partial(measure, name, history=history), text))
    text = "Times of each iteration, stacked by phase, and the cumulative number of factorizations."
    return [*found, Panel("Time per iteration by phase", partial(times, history=history), text)]


def gradient_panels(history: History) -> list[Panel]:
    """The Taylor test, where there was one."""
    if not entries(history.header, "taylor"):
        return []
    text = f"Remainders over the step, {', '.join(badge(history).evidence)}."
    return [Panel("Taylor test of the gradient", partial(taylor, history=history), text)]


def _described(history: History) -> str:
    return (
        f"Projected gradient {change(history, 'projected_gradient')}, KKT residual {change(history, 'kkt')}, "
        f"constraint violation {change(history, 'constraint_violation')}; logarithmic axis."
    )
