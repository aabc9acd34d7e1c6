"""Convergence reports: the history of a run, its figure, its page, its designs as PNG and VTK; sheets of plots."""

from .bands import Band
from .environment import environment
from .figure import convergence_figure
from .history import History, read_history
from .images import design_png, write_design
from .keeper import DesignKeeper, read_designs
from .plots import Curve, Graph, Map, Plot, Shades
from .profile import Profile, performance_profile
from .progress import ProgressLine
from .raster import Raster
from .recorder import Recorder
from .report import Report, convergence_report
from .runs import Run, read_run
from .sheet import write_sheet
from .vti import write_vti
from .writer import HistoryWriter

__all__ = [
    "Band",
    "Curve",
    "DesignKeeper",
    "Graph",
    "History",
    "HistoryWriter",
    "Map",
    "Plot",
    "Profile",
    "ProgressLine",
    "Raster",
    "Recorder",
    "Report",
    "Run",
    "Shades",
    "convergence_figure",
    "convergence_report",
    "design_png",
    "environment",
    "performance_profile",
    "read_designs",
    "read_history",
    "read_run",
    "write_design",
    "write_sheet",
    "write_vti",
]
