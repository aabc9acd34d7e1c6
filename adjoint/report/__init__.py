"""Convergence reports: the history of a run, its figure, its page, its designs as PNG and VTK; sheets of plots."""

from .bands import Band
from .environment import environment
from .figure import convergence_figure
from .history import History, HistoryWriter, read_history
from .images import design_png, write_design
from .page import write_report
from .plots import Curve, Graph, Map, Plot, Shades
from .raster import Raster
from .recorder import Recorder
from .sheet import write_sheet
from .vti import write_vti

__all__ = [
    "Band",
    "Curve",
    "Graph",
    "History",
    "HistoryWriter",
    "Map",
    "Plot",
    "Raster",
    "Recorder",
    "Shades",
    "convergence_figure",
    "design_png",
    "environment",
    "read_history",
    "write_design",
    "write_report",
    "write_sheet",
    "write_vti",
]
