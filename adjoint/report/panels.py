"""The panels of a convergence report: each draws one aspect of a history on given axes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ..arrays import Array
from . import axes as look
from .history import History
from .record import entries, number, numbers
from .summary import badge, change
from .times import times

WIDE_RANGE = 30.0  # ratio of the largest to the least objective from which a linear axis hides the end
MOST_DECADES = 1e-14  # least value over the largest on an axis of residuals


@dataclass(frozen=True, eq=False)
class Panel:
    """A title, the function that draws, and a sentence for those who cannot see it."""

    title: str
    draw: Callable[[Axes, History], None]
    describe: Callable[[History], str]


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
        ax.plot([], [], ":", color=look.GRAY, linewidth=1.0, label="new stage")
    look.legend(ax)


def _rejected(ax: Axes, history: History) -> None:
    """Rejected trials as dots; above the axis (a failed solve too) or below it, triangles at its edge."""
    trials = [numbers(record, "rejected") for record in history.iterations]
    at = np.repeat(history.numbers, [trial.size for trial in trials])
    values = np.concatenate([np.empty(0), *trials])
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
        look.dots(ax, history.numbers, step, "step", look.ORANGE, ".")
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
    tolerance = number(entries(history.header, "tolerances").get(name))
    if tolerance > ax.get_ylim()[0] and np.isfinite(history.series(name)).any():
        ax.axhline(tolerance, color=color, linestyle="--", linewidth=1.0, label=f"tol. {tolerance:.3g}")


def _decades(ax: Axes, history: History, names: tuple[str, ...]) -> None:
    """A logarithmic axis for the series and their tolerances, cut where one of them sinks to rounding."""
    tolerances = entries(history.header, "tolerances")
    bounds = [number(tolerances.get(name)) for name in names if np.isfinite(history.series(name)).any()]
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


PANELS = (
    Panel("Objective", objective, lambda history: f"Objective {change(history, 'objective')}."),
    Panel(
        "Optimality and feasibility",
        optimality,
        lambda history: (
            f"Projected gradient {change(history, 'projected_gradient')}, KKT residual "
            f"{change(history, 'kkt')}, constraint violation {change(history, 'constraint_violation')}; "
            "logarithmic axis."
        ),
    ),
    Panel(
        "Step and design change",
        steps,
        lambda history: f"Step {change(history, 'step')}, design change {change(history, 'change')}; logarithmic axis.",
    ),
    Panel(
        "Volume and grayness",
        material,
        lambda history: f"Volume {change(history, 'volume')}, grayness {change(history, 'grayness')}.",
    ),
    Panel(
        "Taylor test of the gradient",
        taylor,
        lambda history: f"Remainders over the step, {', '.join(badge(history).evidence)}.",
    ),
    Panel(
        "Time per iteration by phase",
        times,
        lambda history: "Times of each iteration, stacked by phase, and the cumulative number of factorizations.",
    ),
)


def panels(history: History) -> tuple[Panel, ...]:
    """The panels a history has data for: all of them, or all but the Taylor test."""
    return PANELS if entries(history.header, "taylor") else tuple(each for each in PANELS if each.draw is not taylor)
