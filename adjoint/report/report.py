"""The convergence report of one run, or of several: figures, the page, files, the display in a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from .._files import whole
from .._validation import as_path
from ..report import axes as look
from .compared import comparison_figure
from .figure import convergence_figure
from .page import page
from .panels import Panel
from .plots import Plot
from .runs import Run, read_runs
from .sheet import sheet
from .vector import FRAME

DPI = 150
FILES = ("report.html", "report.png", "report.pdf")


@dataclass(frozen=True, eq=False)
class Report:
    """A report of these runs, one at least; a notebook shows its page. plots: further ones, such as a `Profile`."""

    runs: Sequence[Run]
    plots: Sequence[Plot] = ()

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("Report: got no runs, expected at least one")

    @property
    def page(self) -> str:
        """The HTML document, which needs no other file."""
        further = [Panel(plot.title, partial(plot.draw, room=FRAME), f"{plot.title}.") for plot in self.plots]
        return page(self.runs, further)

    @property
    def figures(self) -> list[Figure]:
        """The run; of several runs their comparison, then each of them; then the further plots."""
        each = [convergence_figure(run.history, run.designs) for run in self.runs]
        compared = [] if len(each) == 1 else [comparison_figure(self.runs)]
        further = [sheet("Further figures", "", self.plots, min(2, len(self.plots)), 5.5)] if self.plots else []
        return [*compared, *each, *further]

    def write(self, out: Path | str) -> list[Path]:
        """Write report.html, report.png (the first figure) and report.pdf (all, as vectors) into the directory."""
        folder = as_path("Report.write", "out", out)
        folder.mkdir(parents=True, exist_ok=True)
        html, png, pdf = (folder / name for name in FILES)
        page = self.page
        with look.drawing(), whole(html) as a, whole(png) as b, whole(pdf) as c:  # All three, or the old ones.
            a.write_text(page, encoding="utf-8")
            figures = self.figures
            figures[0].savefig(b, dpi=DPI)
            with PdfPages(c, metadata={"CreationDate": None, "ModDate": None}) as pages:
                for figure in figures:
                    pages.savefig(figure)
        return [html, png, pdf]

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its style and its script stay in it."""
        return (
            f'<iframe srcdoc="{escape(self.page)}" sandbox="allow-scripts" title="Convergence report" '
            'style="width: 100%; height: 50rem; border: 0"></iframe>'
        )


def convergence_report(runs: Sequence[Run | Path | str], out: Path | str, plots: Sequence[Plot] = ()) -> list[Path]:
    """Write report.html, report.png and report.pdf of runs, or of directories that hold them; the paths written.

    plots: see `Report`.
    Raises ValueError for no runs, for directories that hold none, and for designs that are none.
    """
    named = {place: each for place, each in enumerate(runs) if isinstance(each, Run)}
    read = iter(read_runs([each for each in runs if not isinstance(each, Run)]))
    return Report([named[place] if place in named else next(read) for place in range(len(runs))], plots).write(out)
