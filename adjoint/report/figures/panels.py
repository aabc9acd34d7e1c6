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

WIDE_RANGE = (
    30.0  # ratio of the largest to the least objective from which a linear axis hides the end
)
FLAT = 0.05  # share of the axis that the last quarter of f spans if its end looks flat
FEWEST = 10  # iterations from which the end of f is looked at
ROUNDING = 1e-3  # of |f|: the change of f in a run below which f itself is drawn
STEPS = {
    "optimalitycriteria": "move limit",
    **dict.fromkeys(("mma", "gcmma"), "asymptotes"),
    **dict.fromkeys(("newtoncg", "gaussnewton"), "length of the step"),
    **dict.fromkeys(("steepestdescent", "bfgs", "lbfgs", "simpl"), "step length"),
}
"""What an algorithm, in lower case, calls a step; see `summary.TERMS`."""
MEASURES = {
    "projected gradient": ("projected_gradient", look.BLUE),
    "KKT residual": ("kkt", look.VERMILLION),
    "violation": ("constraint_violation", look.GREEN),
}
"""The measures of optimality: series and colour."""
MOST_MEASURES = 4  # of the user's own that are drawn
MOST_DECADES = 1e-14  # least value over the largest on an axis of residuals


@dataclass(frozen=True, eq=False)
class Panel:
    """A title, the function that draws, and a description for readers who cannot see it.

    terms: the terms in the drawing that `summary.TERMS` explains; legend: True where
    lines are named above the frame.
    """

    title: str
    draw: Callable[[Axes], None]
    description: str
    terms: Sequence[str] = ()
    legend: bool = True


def objective(ax: Axes, history: History) -> None:
    """Accepted objectives as a line, rejected trials as dots, at the edge if beyond it.

    Where the end of the line looks flat: f − f_min over decades, f_min the least
    accepted value.
    """
    least = above_least(history)
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
        elif _over_decades(accepted):
            look.logarithmic(ax, accepted)
        else:
            look.linear(ax, accepted, "objective")
        _rejected(ax, history, shift)
    if look.stages(history).size:
        ax.plot([], [], linestyle=look.DASHES, color=look.GRAY, linewidth=0.9, label="new stage")
    look.legend(ax)


def above_least(history: History) -> float:
    """f_min if the end of f looks flat, and f − f_min is drawn; nan if f itself is drawn."""
    y = history.series("objective")
    y = y[np.isfinite(y)]
    if (
        look.stages(history).size or y.size < FEWEST
    ):  # Values of different stages are of different functions.
        return np.nan
    drawn = np.log(y) if _over_decades(y) else y
    flat = np.ptp(drawn[3 * y.size // 4 :]) <= FLAT * np.ptp(drawn)
    return float(y.min()) if flat and np.ptp(y) > ROUNDING * np.abs(y).max() else np.nan


def _over_decades(y: Array) -> bool:
    """True for positive values whose end a linear axis would hide."""
    return bool(y.min() > 0.0 and y.max() > WIDE_RANGE * y.min())


def _rejected(ax: Axes, history: History, shift: float) -> None:
    """Rejected trials minus `shift`; triangles at the edge for those beyond it."""
    trials = [numbers(record, "rejected") - shift for record in history.iterations]
    at = np.repeat(history.numbers, [trial.size for trial in trials])
    values = np.concatenate([np.empty(0), *trials])
    if history.result is not None and history.numbers.size:  # Those that ended the run.
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
    """Projected gradient, KKT residual and constraint violation, with their tolerances."""
    shown = _measured(history)
    _decades(ax, history, tuple(MEASURES[label][0] for label in shown))
    for label, y in shown.items():
        color = MEASURES[label][1]
        gap = y < ax.get_ylim()[0]
        if gap.any():
            ax.plot([], [], color=color, label=f"{label} (gap ≈ 0)")
        look.line(ax, history.numbers, np.where(gap, np.nan, y), "_" if gap.any() else label, color)
    _tolerances(ax, history, [MEASURES[label] for label in shown])
    look.iterations_along(ax, history)
    look.legend(ax)


def steps(ax: Axes, history: History) -> None:
    """Step lengths as dots, the largest change of the design as a line."""
    _decades(ax, history, ("step", "change"))
    step = _positive(history, "step")
    if np.isfinite(step).any():
        look.dots(ax, history.numbers, step, step_name(history), look.ORANGE, ".")
    look.line(ax, history.numbers, _positive(history, "change"), "design change", look.BLUE)
    _tolerances(ax, history, [("change", look.BLUE)])
    look.iterations_along(ax, history)
    look.legend(ax)


def step_name(history: History) -> str:
    """What the run's algorithm calls a step."""
    return STEPS.get(algorithm(history).lower(), "step")


def _positive(history: History, name: str) -> Array:
    """A series, nan where it has no place on a logarithmic axis."""
    y = history.series(name)
    return np.where(y > 0, y, np.nan)


def _tolerances(ax: Axes, history: History, series: Sequence[tuple[str, str]]) -> None:
    """The tolerances of series as dashed lines of their colours, if within the axis.

    series: names and colours. The legend has the value of a single tolerance.
    """
    asked = {
        color: tolerance(history, name)
        for name, color in series
        if np.isfinite(history.series(name)).any()
    }
    drawn = {color: value for color, value in asked.items() if value > ax.get_ylim()[0]}
    for color, value in drawn.items():
        label = f"tolerance {value:.3g}" if len(drawn) == 1 else "_nolegend_"
        ax.axhline(value, color=color, linestyle="--", linewidth=1.0, label=label)
    if len(drawn) > 1:
        ax.plot([], [], color=look.GRAY, linestyle="--", linewidth=1.0, label="tolerances")


def _decades(ax: Axes, history: History, names: tuple[str, ...]) -> None:
    """A logarithmic axis for the series and their tolerances, without values of rounding."""
    bounds = [tolerance(history, name) for name in names if np.isfinite(history.series(name)).any()]
    values = np.concatenate([*(_positive(history, name) for name in names), bounds])
    values = values[values > 0]
    if values.size:
        look.logarithmic(ax, values[values >= MOST_DECADES * values.max()])


def material(ax: Axes, history: History) -> None:
    """Volume and grayness as fractions, on an axis that begins at zero and holds one."""
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


def taylor(ax: Axes, history: History) -> None:
    """Remainders of the Taylor test over the step, each on a pale line of the expected slope."""
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
    """How the run went; objective, optimality, steps and times even if not recorded."""
    own = [
        name
        for name in dict.fromkeys(
            name for record in history.iterations for name in measured(record)
        )
    ]
    found = [
        _panel(
            "Objective",
            objective,
            history,
            f"Objective {change(history, 'objective')}.",
            *_rejections(history),
        ),
        _panel(
            "Optimality and feasibility",
            optimality,
            history,
            _described(history),
            *_measures(history),
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
        drawn = partial(measure, name)
        found.append(
            _panel(name[:1].upper() + name[1:], drawn, history, f"{name} {change(history, name)}.")
        )
    text = "Times of each iteration, stacked by phase, and the cumulative number of factorizations."
    return [*found, _panel("Time per iteration by phase", times, history, text, *_phases(history))]


def _panel(
    title: str, drawn: Callable[..., None], history: History, description: str, *terms: str
) -> Panel:
    return Panel(title, partial(drawn, history=history), description, terms)


def _rejections(history: History) -> list[str]:
    """The terms of the panel of the objective."""
    least = np.isfinite(above_least(history))
    rejected = any(numbers(each, "rejected").size for each in history.iterations)
    return [
        "objective",
        *(["f − f_min"] if least else []),
        *(["rejected trial"] if rejected else []),
    ]


def _measured(history: History) -> dict[str, Array]:
    """The measures of optimality that were recorded; no violation without constraints."""
    known = {label: history.series(name) for label, (name, _) in MEASURES.items()}
    idle = not (np.nan_to_num(known["violation"]).any() or history.lists("constraints").size)
    return {
        label: y
        for label, y in known.items()
        if np.isfinite(y).any() and not (idle and label == "violation")
    }


def _measures(history: History) -> list[str]:
    """The terms of the panel of optimality; "gap" if a measure is zero somewhere."""
    shown = _measured(history)
    return [*shown, *(["gap"] if any((y == 0.0).any() for y in shown.values()) else [])]


def _phases(history: History) -> list[str]:
    """The phases that took time."""
    return [name for name in PHASES if np.nan_to_num(history.parts("seconds", name)).any()]


def gradient_panels(history: History) -> list[Panel]:
    """The Taylor test, where there was one."""
    if not entries(history.header, "taylor"):
        return []
    text = f"Remainders over the step, {', '.join(badge(history).evidence)}."
    return [_panel("Taylor test of the gradient", taylor, history, text, "Taylor test")]


def _described(history: History) -> str:
    return (
        f"Projected gradient {change(history, 'projected_gradient')}, KKT residual "
        f"{change(history, 'kkt')}, constraint violation "
        f"{change(history, 'constraint_violation')}; logarithmic axis."
    )


COLORS = (look.BLUE, look.VERMILLION, look.GREEN, look.PURPLE, look.ORANGE, look.SKY)
"""Of as many constraints as are told apart; all others are gray."""
TINY = 1e-9  # scaled constraint that is met to rounding
DWARFED = 8.0  # times all later values: a beginning that is cut


def constraints(ax: Axes, history: History) -> None:
    """Values of the constraints, multipliers below; the largest multipliers are named."""
    c, multipliers = history.lists("constraints"), history.lists("multipliers")
    lower = look.stacked(ax, 0.5 * (1.0 - look.BETWEEN))
    named = _largest(c, multipliers)
    _lines(ax, history, c, named)
    _lines(lower, history, multipliers, named)
    # A constraint that is met to rounding looks so; of others that little is not seen.
    rounding = TINY if np.abs(_shown(c)).max(initial=0.0) < TINY else 0.0
    drawn = ((ax, c, "constraint", rounding), (lower, multipliers, "multiplier", 0.0))
    for axes, table, label, least in drawn:
        largest = _limits(axes, table, least)
        look.iterations_along(axes, history)
        look.powers(axes, largest, label, 4)
    _feasible(ax)
    if any(_dwarfed(table) for table in (c, multipliers)):
        ax.plot([], [], " ", label="(beginning cut)")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if not np.isfinite(multipliers).any():
        look.absent(lower)
    look.legend(ax)


def _largest(c: Array, multipliers: Array) -> list[int]:
    """The constraints to name: those with the largest multipliers, then the largest values."""
    sizes = np.zeros((2, c.shape[1]))
    for row, table in enumerate((c, np.abs(multipliers))):
        known = np.where(np.isfinite(table), table, -np.inf).max(axis=0, initial=-np.inf)
        sizes[row, : known.size] = known[: c.shape[1]]
    return sorted(np.lexsort(sizes)[::-1][: len(COLORS)].tolist())


def _lines(ax: Axes, history: History, table: Array, named: Sequence[int]) -> None:
    others = [index for index in range(table.shape[1]) if index not in named]
    if others:
        drawn = ax.plot(
            history.numbers, table[:, others], color=look.GRAY, linewidth=0.6, alpha=0.6, zorder=1.3
        )
        drawn[0].set_label(f"{len(others)} more")
    for place, index in enumerate(named):
        if index < table.shape[1]:
            label = name_of(index, history.header.get("constraints"))
            look.line(ax, history.numbers, table[:, index], label, COLORS[place])


def _dwarfed(table: Array) -> bool:
    """True if values of the first quarter are so large that the others would look flat."""
    first, later = (
        np.abs(rows[np.isfinite(rows)]).max(initial=0.0)
        for rows in np.split(table, [len(table) // 4])
    )
    return bool(first > DWARFED * later > 0.0)


def _shown(table: Array) -> Array:
    """The values that an axis has room for, (n,)."""
    rows = table[len(table) // 4 :] if _dwarfed(table) else table
    return rows[np.isfinite(rows)]


def _limits(ax: Axes, table: Array, least: float) -> float:
    """Let the axis hold zero, what is shown, and ± `least`; returns its largest modulus."""
    shown = np.append(_shown(table), [-least, least])
    low, high = shown.min(initial=0.0), shown.max(initial=0.0)
    span = (high - low) or 1.0
    ax.set_ylim(low - 0.08 * span, high + 0.08 * span)
    return float(np.abs(shown).max(initial=0.0))


def _feasible(ax: Axes) -> None:
    """What is violated is shaded."""
    ax.axhspan(0.0, ax.get_ylim()[1], color=look.VERMILLION, alpha=0.12, linewidth=0.0, zorder=1.0)
    ax.axhline(0.0, color=look.VERMILLION, linewidth=0.7, zorder=1.1)


DRAWN = {
    "assembly": (("assembly",), look.SKY),
    "factor": (("analysis", "factor"), look.BLUE),
    "solve": (("solve",), look.GREEN),
    "gradient": (("gradient",), look.PURPLE),
    "filter": (("filter",), look.ORANGE),
    "model": (("model",), look.YELLOW),
    "optimizer": (("optimizer",), look.VERMILLION),
    "output": (("output",), look.GRAY),
}  # an analysis, once a run, is drawn with the factorizations: the tables tell them apart
MOST_BARS = 150  # more iterations than this are averaged in groups
OUTLIER = 4.0  # times the 95th percentile: a bar beyond is cut, and its value written
FEWEST_BARS = 10  # from which a percentile means anything
THOUSANDS = 5000.0  # factorizations from which an axis counts them by the thousand
UPPER = 0.62  # of the frame: the times, above the factorizations


def times(ax: Axes, history: History) -> None:
    """Seconds per iteration, stacked by phase, over the factorizations so far."""
    x = history.numbers
    lower = (
        look.stacked(ax, UPPER) if np.nan_to_num(history.parts("counts", "numeric")).any() else None
    )
    width = max(1, -(-x.size // MOST_BARS))
    starts = np.arange(0, x.size, width)
    edges = np.append(x[starts] - 0.5, x[-1:] + 0.5)
    spent = {
        name: _means(
            np.sum([np.nan_to_num(history.parts("seconds", phase)) for phase in phases], axis=0),
            starts,
        )
        for name, (phases, _) in DRAWN.items()
    }
    total = sum(spent.values(), np.zeros(starts.size))
    unit, scale = ("s", 1.0) if total.max(initial=0.0) >= 1 else ("ms", 1000.0)
    base = np.zeros(starts.size)
    for name, seconds in spent.items():
        if seconds.any():
            top = base + scale * seconds
            ax.stairs(
                top, edges, baseline=base, fill=True, color=DRAWN[name][1], linewidth=0, label=name
            )
            base = top
    if base.any():
        _limit(ax, base, edges, unit)
    ax.set_ylabel(f"{unit} per iteration" if width == 1 else f"{unit}, mean over {width}")
    look.whole_numbers(ax, history)
    if lower is not None:
        _factorizations(lower, history)
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    look.legend(ax)


def _means(seconds: Array, starts: Array) -> Array:
    counts = np.diff(np.append(starts, seconds.size))
    return np.add.reduceat(seconds, starts) / counts if starts.size else seconds


def _limit(ax: Axes, total: Array, edges: Array, unit: str) -> None:
    """The y axis from zero to the highest bar; a few much higher ones are cut and labelled."""
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


def _factorizations(ax: Axes, history: History) -> None:
    """The count so far, from zero on."""
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
    # Inside, where a line that rises from zero leaves room: the axis is too short for the words.
    ax.text(0.015, 0.93, words, transform=ax.transAxes, ha="left", va="top")
    look.whole_numbers(ax, history)
