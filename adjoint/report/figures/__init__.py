"""Figures by matplotlib: panels of a report, sheets, and the plots that users put on them."""
