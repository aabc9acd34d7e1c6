"""The convergence report of one run or of several runs: figures, page, files, notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from .._dataclasses import short_repr
from .._files import whole
from .._validation import as_path
from .figures import style as look
from .figures.comparison import comparison_figure
from .figures.convergence import convergence_figure
from .figures.modes import mode_plots
from .figures.panels import Panel
from .figures.plots import Plot
from .figures.sheet import sheet
from .html.page import page
from .html.svg import FRAME
from .runs import Run, read_runs

DPI = 150
FILES = ("report.html", "report.png", "report.pdf")


@dataclass(frozen=True, eq=False)
class Report:
    """The report of one run, or of several runs side by side; a notebook shows its page.

    Parameters
    ----------
    runs : sequence of Run
        The runs, at least one.
    plots : sequence of Plot
        Plots of your own, such as a fit or a field. With one run they are part of its
        result; with several runs they stand below the comparison.

    Raises
    ------
    ValueError
        If there are no runs.

    Examples
    --------
    ::

        report = Report([read_run("run")], plots=[fit])
        report.write("run")
    """

    runs: Sequence[Run]
    plots: Sequence[Plot] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("Report: got no runs, expected at least one")

    @property
    def page(self) -> str:
        """The HTML document of the report, which needs no other file."""
        further = [
            Panel(plot.title, partial(plot.draw, room=FRAME), f"{plot.title}.")
            for plot in self.plots
        ]
        return page(self.runs, further)

    @property
    def figures(self) -> list[Figure]:
        """The figures of the report.

        For one run: one figure. For several runs: the comparison, one figure for each run,
        and a sheet of your own plots if there are plots.
        """
        if len(self.runs) == 1:
            (run,) = self.runs
            plots = [*mode_plots(run.modes), *self.plots]
            return [convergence_figure(run.history, run.designs, plots)]
        each = [
            convergence_figure(run.history, run.designs, mode_plots(run.modes)) for run in self.runs
        ]
        further = (
            [sheet("Further figures", "", self.plots, min(2, len(self.plots)), 5.5)]
            if self.plots
            else []
        )
        return [comparison_figure(self.runs), *each, *further]

    def write(self, out: Path | str) -> list[Path]:
        """Write report.html, report.png (the first figure) and report.pdf (all figures).

        Parameters
        ----------
        out : path
            The directory, which is made if it does not exist.

        Returns
        -------
        list of Path
            The three files. If an error occurs, all three files stay as they were.
        """
        folder = as_path("Report.write", "out", out)
        folder.mkdir(parents=True, exist_ok=True)
        html, png, pdf = (folder / name for name in FILES)
        page = self.page
        with (
            look.drawing(),
            whole(html) as a,
            whole(png) as b,
            whole(pdf) as c,
        ):  # Either all three files are replaced, or none.
            a.write_text(page, encoding="utf-8")
            figures = self.figures
            figures[0].savefig(b, dpi=DPI)
            with PdfPages(c, metadata={"CreationDate": None, "ModDate": None}) as pages:
                for figure in figures:
                    pages.savefig(figure)
        return [html, png, pdf]

    def _repr_html_(self) -> str:
        """The page in an iframe, so that its style and its script do not affect the notebook."""
        return (
            f'<iframe srcdoc="{escape(self.page)}" sandbox="allow-scripts" '
            'title="Convergence report" '
            'style="width: 100%; height: 50rem; border: 0"></iframe>'
        )


def convergence_report(
    runs: Sequence[Run | Path | str], out: Path | str, plots: Sequence[Plot] = ()
) -> list[Path]:
    """Write the report of runs as report.html, report.png and report.pdf.

    Parameters
    ----------
    runs : sequence of Run or path
        The runs, or the directories of the runs; at least one.
    out : path
        The directory of the report, which is made if it does not exist.
    plots : sequence of Plot
        Plots of your own; see `Report`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        If there are no runs, if a directory does not hold a run, if the designs of a run
        have different shapes, or if a density is not in [0, 1].
    """
    named = {place: each for place, each in enumerate(runs) if isinstance(each, Run)}
    read = iter(read_runs([each for each in runs if not isinstance(each, Run)]))
    return Report(
        [named[place] if place in named else next(read) for place in range(len(runs))], plots
    ).write(out)
