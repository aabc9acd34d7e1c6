"""Convergence reports: history and designs of a run, its figure and page; sheets of plots.

Modules that draw are imported when one of their names is first used, because matplotlib
and Jinja2 take longer to import than the rest of `adjoint`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .designs import DesignKeeper, design_png, read_designs, write_design
from .history import History, read_history
from .meshes import MeshKeeper, write_vtu
from .modes import ModeKeeper, Modes, ModeShapes, read_modes
from .progress import LoopProgress, ProgressLine, SweepProgress
from .recorder import Recorder, environment
from .runs import Run, read_run
from .vti import write_vti
from .writer import HistoryWriter

if TYPE_CHECKING:
    from .figures.convergence import convergence_figure
    from .figures.plots import Band, Curve, Graph, Map, MeshMap, Plot, Raster, Shades
    from .figures.profile import Profile, performance_profile
    from .figures.sheet import write_sheet
    from .report import Report, convergence_report

__all__ = [
    "Band",
    "Curve",
    "DesignKeeper",
    "Graph",
    "History",
    "HistoryWriter",
    "LoopProgress",
    "Map",
    "MeshKeeper",
    "MeshMap",
    "ModeKeeper",
    "ModeShapes",
    "Modes",
    "Plot",
    "Profile",
    "ProgressLine",
    "Raster",
    "Recorder",
    "Report",
    "Run",
    "Shades",
    "SweepProgress",
    "convergence_figure",
    "convergence_report",
    "design_png",
    "environment",
    "performance_profile",
    "read_designs",
    "read_history",
    "read_modes",
    "read_run",
    "write_design",
    "write_sheet",
    "write_vti",
    "write_vtu",
]

_DRAWING = {
    **dict.fromkeys(
        ("Band", "Curve", "Graph", "Map", "MeshMap", "Plot", "Raster", "Shades"), ".figures.plots"
    ),
    **dict.fromkeys(("Profile", "performance_profile"), ".figures.profile"),
    **dict.fromkeys(("Report", "convergence_report"), ".report"),
    "convergence_figure": ".figures.convergence",
    "write_sheet": ".figures.sheet",
}
"""Names that need matplotlib or Jinja2 ↦ their modules, which are imported on first use."""


def __getattr__(name: str) -> object:
    if name not in _DRAWING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DRAWING[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
