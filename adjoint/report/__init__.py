"""Convergence reports: the history of a run, its figure, its page, its designs as PNG and VTK."""

from .environment import environment
from .figure import convergence_figure
from .history import History, HistoryWriter, read_history
from .images import design_png, write_design
from .page import write_report
from .recorder import Recorder
from .vti import write_vti

__all__ = [
    "History",
    "HistoryWriter",
    "Recorder",
    "convergence_figure",
    "design_png",
    "environment",
    "read_history",
    "write_design",
    "write_report",
    "write_vti",
]
