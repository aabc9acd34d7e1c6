"""Figures of matplotlib: the panels of a report, its sheets, and the plots that users put on them."""
