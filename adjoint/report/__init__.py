"""Convergence reports: the history of a run, its figure, its page, its designs as PNG and VTK."""

from adjoint.report.figure import convergence_figure
from adjoint.report.history import History, HistoryWriter, read_history
from adjoint.report.images import design_png, write_design
from adjoint.report.page import write_report
from adjoint.report.vti import write_vti

__all__ = [
    "History",
    "HistoryWriter",
    "convergence_figure",
    "design_png",
    "read_history",
    "write_design",
    "write_report",
    "write_vti",
]
