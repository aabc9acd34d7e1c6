"""Performance profiles: how often, and by how much, each of several solvers is cheapest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..._dataclasses import short_repr
from ..._validation import as_array
from ...typing import Array
from . import style as look
from .comparison import look_of

LEAST = 2.0  # minimum ratio at the end of the axis
FEW = 50.0  # largest ratio up to which the axis has numbers between the powers of ten


def performance_profile(costs: Array) -> tuple[Array, Array]:
    """ρ_s(τ) = |{p : c_sp ≤ τ min_s c_sp}| / |{p}| for solver s, with costs c_sp of problem p.

    ρ_s(τ) is the share of problems that solver s solves within τ times the least cost.

    Parameters
    ----------
    costs : (solvers, problems) array
        Costs, positive; inf if the solver failed. A problem that no solver has solved
        counts as a failure of each solver.

    Returns
    -------
    tau : (k,) array
        Values of τ, increasing from 1, at which at least one of the curves has a step.
    rho : (solvers, k) array
        The shares ρ_s(τ).

    Raises
    ------
    ValueError
        If a cost is nan or not positive, or if there are no solvers or no problems.

    References
    ----------
    Dolan & Moré (2002), Math. Program. 91, 201, section 2.
    """
    ratios = _ratios(costs)
    tau = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    solved = ratios[:, :, None] <= tau
    return tau, solved.mean(axis=1)


def _ratios(costs: Array) -> Array:
    """c_sp / min_s c_sp, (solvers, problems); inf if the solver failed."""
    costs = as_array("performance_profile", "costs", costs).astype(float)
    if costs.ndim != 2 or costs.size == 0:
        raise ValueError(
            f"performance_profile: got costs of shape {costs.shape}, expected (solvers, problems)"
        )
    if not (costs > 0.0).all():
        bad = tuple(int(i) for i in np.argwhere(~(costs > 0.0))[0])
        raise ValueError(
            f"performance_profile: got the cost {costs[bad]} at {bad}, expected positive "
            "numbers, or inf"
        )
    least = costs.min(axis=0)
    return np.where(np.isfinite(costs), costs / np.where(np.isfinite(least), least, 1.0), np.inf)


@dataclass(frozen=True, eq=False)
class Profile:
    """The performance profile of several solvers: a `Plot` for a sheet or a report.

    Parameters
    ----------
    title : str
        Title above the frame.
    names : sequence of str
        Names of the solvers.
    costs : (solvers, problems) array
        Costs, positive; inf if the solver failed.
    unit : str
        Unit of the costs, such as "factorizations".

    Raises
    ------
    ValueError
        If the number of names is not the number of solvers, or if `performance_profile`
        raises for these costs.
    """

    title: str
    names: Sequence[str]
    costs: Array
    unit: str = "factorizations"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if len(self.names) != len(_ratios(self.costs)):
            raise ValueError(
                f"Profile: got {len(self.names)} names and {len(self.costs)} solvers, expected "
                "one each"
            )

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw ρ_s(τ) as steps; the last value is the share of problems that solver s solves."""
        tau, rho = performance_profile(self.costs)
        end = max(LEAST, 1.1 * tau[-1])
        for place, (name, share) in enumerate(zip(self.names, rho, strict=True)):
            color, style = look_of(place)
            solved = int(np.isfinite(self.costs[place]).sum())
            label = f"{name} ({solved} of {self.costs.shape[1]})"
            ax.step(
                np.append(tau, end),
                np.append(share, share[-1]),
                style,
                where="post",
                color=color,
                label=label,
            )
        ax.set_xscale("log")
        ax.set_xlim(1.0, end)
        ax.set_ylim(0.0, 1.03)
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if end <= FEW else (1.0,)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[2, 5, 10]))
        ax.set_xlabel(f"{self.unit} over the least of any solver, at most")
        ax.set_ylabel("share of problems solved")
        look.legend(ax)
