"""The panels of a convergence report: each draws one aspect of a history on given axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ...typing import Array
from ..history import PHASES, History, entries, measured, numbers
from ..summary import algorithm, badge, change, name_of, tolerance
from . import style as look

WIDE_RANGE = 30.0
"""Ratio of the largest to the least objective above which the axis is logarithmic.

On a linear axis such an objective looks flat at its end.
"""
FLAT_SHARE = 0.05
"""Share of the axis up to which the last quarter of the curve of f looks flat."""
FEWEST_ITERATIONS = 10
"""Number of iterations below which the last quarter of the curve of f is not examined."""
ROUNDING = 1e-3
"""Change of f during a run, relative to |f|, below which f is drawn, not f − f_min."""
STEP_NAMES = {
    "optimalitycriteria": "move limit",
    **dict.fromkeys(("mma", "gcmma"), "asymptotes"),
    **dict.fromkeys(("newtoncg", "gaussnewton"), "length of the step"),
    **dict.fromkeys(("steepestdescent", "bfgs", "lbfgs", "simpl"), "step length"),
}
"""Meaning of the step, by the algorithm's name in lower case; see `summary.TERMS`."""
MEASURES = {
    "projected gradient": ("projected_gradient", look.BLUE),
    "KKT residual": ("kkt", look.VERMILLION),
    "violation": ("constraint_violation", look.GREEN),
}
"""The measures of optimality: label ↦ (series, colour)."""
MOST_MEASURES = 4
"""Maximum number of the user's own measures that have a panel."""
SMALLEST_RESIDUAL = 1e-14
"""Smallest value on an axis of residuals, relative to the largest."""
CONSTRAINT_COLORS = (
    look.BLUE,
    look.VERMILLION,
    look.GREEN,
    look.PURPLE,
    look.ORANGE,
    look.SKY,
)
"""Colours of the constraints that are named; all other constraints are gray."""
CONSTRAINT_ROUNDING = 1e-9
"""Value of a scaled constraint up to which the constraint is met up to rounding."""
DWARFING = 8.0
"""Ratio of the largest value in the first quarter of a run to the largest later value.

Above this ratio the axis is fitted to the later values.
"""
BARS = {
    "assembly": (("assembly",), look.SKY),
    "factor": (("analysis", "factor"), look.BLUE),
    "solve": (("solve",), look.GREEN),
    "gradient": (("gradient",), look.PURPLE),
    "filter": (("filter",), look.ORANGE),
    "model": (("model",), look.YELLOW),
    "optimizer": (("optimizer",), look.VERMILLION),
    "output": (("output",), look.GRAY),
}
"""The parts of a bar of times: label ↦ (phases, colour).

The analysis is done once per run. Its time is drawn together with the time of the
factorizations; the tables show these two times separately.
"""
MOST_BARS = 150
"""Maximum number of bars: more iterations than this are averaged in groups."""
OUTLIER = 4.0
"""Ratio of a bar to the 95th percentile above which the bar is cut.

The value of the highest bar is then written beside it.
"""
FEWEST_BARS = 10
"""Number of bars below which no bar is cut: a percentile of fewer bars means little."""
THOUSANDS = 5000.0
"""Number of factorizations above which the axis counts in thousands."""
TIMES_SHARE = 0.62
"""Share of the frame for the times; the rest is for the factorizations below."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel: its title, the function that draws it, and a description of the drawing as text.

    terms: the terms in the drawing that `summary.TERMS` explains; legend: True if the
    lines are named above the frame.
    """

    title: str
    draw: Callable[[Axes], None]
    description: str
    terms: Sequence[str] = ()
    legend: bool = True


def panels(history: History) -> list[Panel]:
    """Return the panels of a run.

    Panels for objective, optimality, steps and times are always drawn. Each other
    panel is drawn only if its data were recorded.
    """
    own = list(dict.fromkeys(name for record in history.iterations for name in measured(record)))
    found = [
        _panel(
            "Objective",
            objective,
            history,
            f"Objective {change(history, 'objective')}.",
            *_objective_terms(history),
        ),
        _panel(
            "Optimality and feasibility",
            optimality,
            history,
            _optimality_description(history),
            *_optimality_terms(history),
        ),
        _panel(
            "Step and design change",
            steps,
            history,
            f"Step {change(history, 'step')}, design change {change(history, 'change')}; "
            "logarithmic axis.",
            *((step_name(history),) if np.isfinite(_positive(history, "step")).any() else ()),
            "design change",
        ),
    ]
    if history.lists("constraints").size:
        number = history.lists("constraints").shape[1]
        text = f"{number} constraints, (c − bound)/scale, over the iterations; multipliers below."
        found.append(
            _panel(
                "Constraints and multipliers",
                constraints,
                history,
                text,
                "constraint",
                "multiplier",
            )
        )
    if np.isfinite([history.series("volume"), history.series("grayness")]).any():
        text = f"Volume {change(history, 'volume')}, grayness {change(history, 'grayness')}."
        found.append(_panel("Volume and grayness", material, history, text, "volume", "grayness"))
    for name in own[:MOST_MEASURES]:
        draw = partial(user_measure, name)
        found.append(
            _panel(name[:1].upper() + name[1:], draw, history, f"{name} {change(history, name)}.")
        )
    text = "Times of each iteration, stacked by phase, and the cumulative number of factorizations."
    return [
        *found,
        _panel("Time per iteration by phase", times, history, text, *_phase_terms(history)),
    ]


def gradient_panels(history: History) -> list[Panel]:
    """Return the panel of the Taylor test in a list; [] if no Taylor test was recorded."""
    if not entries(history.header, "taylor"):
        return []
    text = f"Remainders over the step, {', '.join(badge(history).evidence)}."
    return [_panel("Taylor test of the gradient", taylor, history, text, "Taylor test")]


def _panel(
    title: str, draw: Callable[..., None], history: History, description: str, *terms: str
) -> Panel:
    return Panel(title, partial(draw, history=history), description, terms)


def objective(ax: Axes, history: History) -> None:
    """Draw accepted objectives as a line, and rejected trials as dots.

    A trial outside the limits of the axis is drawn at the edge. If the end of the line
    would look flat, f − f_min is drawn on a logarithmic axis, where f_min is the least
    accepted value.
    """
    least = _minimum_if_flat(history)
    shift = least if np.isfinite(least) else 0.0
    x, y = history.numbers, history.series("objective") - shift
    y = np.where(y > 0.0, y, np.nan) if np.isfinite(least) else y
    look.line(ax, x, y, "accepted", look.BLUE)
    look.iterations_along(ax, history)
    ax.set_ylabel("objective")
    accepted = y[np.isfinite(y)]
    if accepted.size:
        if np.isfinite(least):
            look.logarithmic(ax, accepted)
            ax.set_ylabel(
                f"objective − {shift:.7g}" if shift >= 0.0 else f"objective + {-shift:.7g}"
            )
        elif _spans_decades(accepted):
            look.logarithmic(ax, accepted)
        else:
            look.linear(ax, accepted, "objective")
        _draw_rejected(ax, history, shift)
    if look.stages(history).size:
        ax.plot([], [], linestyle=look.DASHES, color=look.GRAY, linewidth=0.9, label="new stage")
    look.legend(ax)


def _objective_terms(history: History) -> list[str]:
    """Return the names of the terms that occur in the panel of the objective."""
    least = np.isfinite(_minimum_if_flat(history))
    rejected = any(numbers(record, "rejected").size for record in history.iterations)
    return [
        "objective",
        *(["f − f_min"] if least else []),
        *(["rejected trial"] if rejected else []),
    ]


def _minimum_if_flat(history: History) -> float:
    """Return min f if the last quarter of the curve of f looks flat, else nan.

    The panel draws f − min f in the first case, and f in the second case.
    """
    y = history.series("objective")
    y = y[np.isfinite(y)]
    # Different stages have different objectives, which have no common minimum.
    if look.stages(history).size or y.size < FEWEST_ITERATIONS:
        return np.nan
    heights = np.log(y) if _spans_decades(y) else y
    flat = np.ptp(heights[3 * y.size // 4 :]) <= FLAT_SHARE * np.ptp(heights)
    return float(y.min()) if flat and np.ptp(y) > ROUNDING * np.abs(y).max() else np.nan


def _spans_decades(y: Array) -> bool:
    """True if all values are positive and their ratio exceeds WIDE_RANGE."""
    return bool(y.min() > 0.0 and y.max() > WIDE_RANGE * y.min())


def _draw_rejected(ax: Axes, history: History, shift: float) -> None:
    """Draw the values of rejected trials, minus `shift`, as dots.

    A value outside the limits of the axis is drawn as a triangle at the edge.
    """
    trials = [numbers(record, "rejected") - shift for record in history.iterations]
    at = np.repeat(history.numbers, [trial.size for trial in trials])
    values = np.concatenate([np.empty(0), *trials])
    if history.result is not None and history.numbers.size:  # Trials after the last iterate.
        last = numbers(history.result, "rejected") - shift
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
    """Draw projected gradient, KKT residual and constraint violation, with their tolerances."""
    shown = _optimality_measures(history)
    _logarithmic_axis(ax, history, tuple(MEASURES[label][0] for label in shown))
    for label, y in shown.items():
        color = MEASURES[label][1]
        gap = y < ax.get_ylim()[0]
        if gap.any():
            ax.plot([], [], color=color, label=f"{label} (gap ≈ 0)")
        look.line(ax, history.numbers, np.where(gap, np.nan, y), "_" if gap.any() else label, color)
    _draw_tolerances(ax, history, [MEASURES[label] for label in shown])
    look.iterations_along(ax, history)
    look.legend(ax)


def _optimality_measures(history: History) -> dict[str, Array]:
    """Return the recorded measures of optimality: label ↦ values, (n,).

    The violation is one of these measures only if the run has constraints.
    """
    known = {label: history.series(name) for label, (name, _) in MEASURES.items()}
    constrained = np.nan_to_num(known["violation"]).any() or history.lists("constraints").size
    return {
        label: y
        for label, y in known.items()
        if np.isfinite(y).any() and (constrained or label != "violation")
    }


def _optimality_terms(history: History) -> list[str]:
    """Return the names of the terms that occur in the panel of optimality.

    "gap" is one of the terms if a measure is zero at an iteration.
    """
    shown = _optimality_measures(history)
    return [*shown, *(["gap"] if any((y == 0.0).any() for y in shown.values()) else [])]


def _optimality_description(history: History) -> str:
    """Return the description of the panel of optimality as text."""
    return (
        f"Projected gradient {change(history, 'projected_gradient')}, KKT residual "
        f"{change(history, 'kkt')}, constraint violation "
        f"{change(history, 'constraint_violation')}; logarithmic axis."
    )


def _logarithmic_axis(ax: Axes, history: History, names: tuple[str, ...]) -> None:
    """Set a logarithmic axis that shows the series `names` and their tolerances.

    Values below SMALLEST_RESIDUAL times the largest value are rounding errors, and may be
    outside the limits of the axis.
    """
    bounds = [tolerance(history, name) for name in names if np.isfinite(history.series(name)).any()]
    values = np.concatenate([*(_positive(history, name) for name in names), bounds])
    values = values[values > 0]
    if values.size:
        look.logarithmic(ax, values[values >= SMALLEST_RESIDUAL * values.max()])


def _draw_tolerances(ax: Axes, history: History, series: Sequence[tuple[str, str]]) -> None:
    """Draw the tolerances of series as dashed lines in the colours of the series.

    series: pairs (name, colour). Tolerances below the lower limit of the axis are not
    drawn. If only one tolerance is drawn, the legend states its value.
    """
    tolerances = {
        color: tolerance(history, name)
        for name, color in series
        if np.isfinite(history.series(name)).any()
    }
    drawn = {color: value for color, value in tolerances.items() if value > ax.get_ylim()[0]}
    for color, value in drawn.items():
        label = f"tolerance {value:.3g}" if len(drawn) == 1 else "_nolegend_"
        ax.axhline(value, color=color, linestyle="--", linewidth=1.0, label=label)
    if len(drawn) > 1:
        ax.plot([], [], color=look.GRAY, linestyle="--", linewidth=1.0, label="tolerances")


def _positive(history: History, name: str) -> Array:
    """Return a series for a logarithmic axis: values that are not positive become nan."""
    y = history.series(name)
    return np.where(y > 0, y, np.nan)


def steps(ax: Axes, history: History) -> None:
    """Draw steps as dots, and the largest change of a design variable as a line."""
    _logarithmic_axis(ax, history, ("step", "change"))
    step = _positive(history, "step")
    if np.isfinite(step).any():
        look.dots(ax, history.numbers, step, step_name(history), look.ORANGE, ".")
    look.line(ax, history.numbers, _positive(history, "change"), "design change", look.BLUE)
    _draw_tolerances(ax, history, [("change", look.BLUE)])
    look.iterations_along(ax, history)
    look.legend(ax)


def step_name(history: History) -> str:
    """Return the meaning of a step in the algorithm of the run, such as "move limit"."""
    return STEP_NAMES.get(algorithm(history).lower(), "step")


def constraints(ax: Axes, history: History) -> None:
    """Draw the constraints, and the multipliers in separate axes below the constraints.

    The constraints with the largest multipliers have colours and names.
    """
    c, multipliers = history.lists("constraints"), history.lists("multipliers")
    lower = look.stacked(ax, 0.5 * (1.0 - look.BETWEEN))
    named = _constraints_to_name(c, multipliers)
    _draw_series(ax, history, c, named)
    _draw_series(lower, history, multipliers, named)
    # If all constraints are met up to rounding, the axis must not magnify the rounding errors.
    rounding = (
        CONSTRAINT_ROUNDING
        if np.abs(_values_in_view(c)).max(initial=0.0) < CONSTRAINT_ROUNDING
        else 0.0
    )
    both = ((ax, c, "constraint", rounding), (lower, multipliers, "multiplier", 0.0))
    for axes, table, label, least in both:
        largest = _set_limits(axes, table, least)  # Before the ticks: their power depends on it.
        look.iterations_along(axes, history)
        look.powers(axes, largest, label, 4)
    _shade_infeasible(ax)
    if any(_beginning_dwarfs_rest(table) for table in (c, multipliers)):
        ax.plot([], [], " ", label="(beginning cut)")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if not np.isfinite(multipliers).any():
        look.absent(lower)
    look.legend(ax)


def _constraints_to_name(c: Array, multipliers: Array) -> list[int]:
    """Return the indices of the constraints that are named in the legend.

    These constraints have the largest multipliers or, among equal multipliers, the largest
    values. c, multipliers: (n, k).
    """
    sizes = np.zeros((2, c.shape[1]))
    for row, table in enumerate((c, np.abs(multipliers))):
        known = np.where(np.isfinite(table), table, -np.inf).max(axis=0, initial=-np.inf)
        sizes[row, : known.size] = known[: c.shape[1]]
    return sorted(np.lexsort(sizes)[::-1][: len(CONSTRAINT_COLORS)].tolist())


def _draw_series(ax: Axes, history: History, table: Array, named: Sequence[int]) -> None:
    """Draw the columns of a table over the iterations.

    The columns whose indices are in `named` have colours and names; the others are gray.
    """
    others = [index for index in range(table.shape[1]) if index not in named]
    if others:
        lines = ax.plot(
            history.numbers, table[:, others], color=look.GRAY, linewidth=0.6, alpha=0.6, zorder=1.3
        )
        lines[0].set_label(f"{len(others)} more")
    for place, index in enumerate(named):
        if index < table.shape[1]:
            label = name_of(index, history.header.get("constraints"))
            look.line(ax, history.numbers, table[:, index], label, CONSTRAINT_COLORS[place])


def _beginning_dwarfs_rest(table: Array) -> bool:
    """True if the first quarter of the rows exceeds DWARFING times all later values."""
    first, later = (
        np.abs(rows[np.isfinite(rows)]).max(initial=0.0)
        for rows in np.split(table, [len(table) // 4])
    )
    return bool(first > DWARFING * later > 0.0)


def _values_in_view(table: Array) -> Array:
    """Return the values to which the axis is fitted, (k,)."""
    rows = table[len(table) // 4 :] if _beginning_dwarfs_rest(table) else table
    return rows[np.isfinite(rows)]


def _set_limits(ax: Axes, table: Array, least: float) -> float:
    """Set limits that contain 0, ±`least` and the values in view.

    Returns the largest modulus of these numbers.
    """
    shown = np.append(_values_in_view(table), [-least, least])
    low, high = shown.min(initial=0.0), shown.max(initial=0.0)
    span = (high - low) or 1.0
    ax.set_ylim(low - 0.08 * span, high + 0.08 * span)
    return float(np.abs(shown).max(initial=0.0))


def _shade_infeasible(ax: Axes) -> None:
    """Shade the part of the frame in which constraints are violated."""
    ax.axhspan(0.0, ax.get_ylim()[1], color=look.VERMILLION, alpha=0.12, linewidth=0.0, zorder=1.0)
    ax.axhline(0.0, color=look.VERMILLION, linewidth=0.7, zorder=1.1)


def material(ax: Axes, history: History) -> None:
    """Draw volume and grayness, two fractions, on an axis from zero to one."""
    for label, name, color in (
        ("volume", "volume", look.BLUE),
        ("grayness", "grayness", look.ORANGE),
    ):
        look.line(ax, history.numbers, history.series(name), label, color)
    both = np.concatenate([history.series("volume"), history.series("grayness"), [0.0, 1.0]])
    ax.set_ylim(1.04 * np.nanmin(both), 1.04 * np.nanmax(both))
    ax.set_ylabel("fraction")
    look.iterations_along(ax, history)
    look.legend(ax)


def user_measure(name: str, ax: Axes, history: History) -> None:
    """Draw one of the user's own measures."""
    y = history.series(name)
    look.line(ax, history.numbers, y, name, look.BLUE)
    look.iterations_along(ax, history)
    if np.isfinite(y).any():
        look.linear(ax, y[np.isfinite(y)], name)
    look.legend(ax)


def times(ax: Axes, history: History) -> None:
    """Draw the seconds per iteration, stacked by phase, above the number of factorizations."""
    x = history.numbers
    lower = (
        look.stacked(ax, TIMES_SHARE)
        if np.nan_to_num(history.parts("counts", "numeric")).any()
        else None
    )
    width = max(1, -(-x.size // MOST_BARS))
    starts = np.arange(0, x.size, width)
    edges = np.append(x[starts] - 0.5, x[-1:] + 0.5)
    spent = {
        name: _means(
            np.sum([np.nan_to_num(history.parts("seconds", phase)) for phase in phases], axis=0),
            starts,
        )
        for name, (phases, _) in BARS.items()
    }
    total = sum(spent.values(), np.zeros(starts.size))
    unit, scale = ("s", 1.0) if total.max(initial=0.0) >= 1 else ("ms", 1000.0)
    base = np.zeros(starts.size)
    for name, seconds in spent.items():
        if seconds.any():
            top = base + scale * seconds
            ax.stairs(
                top, edges, baseline=base, fill=True, color=BARS[name][1], linewidth=0, label=name
            )
            base = top
    if base.any():
        _limit_bars(ax, base, edges, unit)
    ax.set_ylabel(f"{unit} per iteration" if width == 1 else f"{unit}, mean over {width}")
    look.whole_numbers(ax, history)
    if lower is not None:
        _draw_factorizations(lower, history)
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    look.legend(ax)


def _phase_terms(history: History) -> list[str]:
    """Return the names of the phases that took time."""
    return [name for name in PHASES if np.nan_to_num(history.parts("seconds", name)).any()]


def _means(seconds: Array, starts: Array) -> Array:
    """Return the means of `seconds` over the groups of iterations that begin at `starts`."""
    counts = np.diff(np.append(starts, seconds.size))
    return np.add.reduceat(seconds, starts) / counts if starts.size else seconds


def _limit_bars(ax: Axes, total: Array, edges: Array, unit: str) -> None:
    """Fit the y axis to the bars; a few bars that are much higher are cut.

    The highest of the cut bars is labelled with its value. total: heights of the bars;
    edges: x of the edges of the bars.
    """
    usual = np.quantile(total, 0.95, method="lower") if total.size >= FEWEST_BARS else np.inf
    cut = np.flatnonzero(total > OUTLIER * usual) if usual > 0 else np.empty(0, dtype=int)
    ax.set_ylim(0, 1.08 * (max(np.delete(total, cut)) if cut.size else total.max()))
    if cut.size:
        worst = cut[np.argmax(total[cut])]
        first, last = round(edges[worst] + 0.5), round(edges[worst + 1] - 0.5)
        where = f"iteration {first}" if first == last else f"iterations {first} to {last}"
        others = f", {cut.size - 1} more cut" if cut.size > 1 else ""
        late = worst > 0.5 * total.size
        ax.annotate(
            f"{where}: {total[worst]:.3g} {unit}{others}",
            (0.5 * (edges[worst] + edges[worst + 1]), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-8 if late else 8, -4),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            bbox={"facecolor": look.PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )


def _draw_factorizations(ax: Axes, history: History) -> None:
    """Draw the number of factorizations from the start to each iteration."""
    count = history.parts("counts", "numeric")
    look.line(ax, history.numbers, count, "factorizations", look.INK)
    most = max(1.0, np.nanmax(count))
    ax.set_ylim(0, 1.08 * most)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True, min_n_ticks=1))
    unit, words = (
        (1e3, "thousand factorizations so far")
        if most >= THOUSANDS
        else (1.0, "factorizations so far")
    )
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    # The axis is too short for the words. The line rises from zero, so the upper left is free.
    ax.text(0.015, 0.93, words, transform=ax.transAxes, ha="left", va="top")
    look.whole_numbers(ax, history)


def taylor(ax: Axes, history: History) -> None:
    """Draw the remainders of the Taylor test over the step.

    Behind each remainder a pale line shows the slope of the expected order.
    """
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
