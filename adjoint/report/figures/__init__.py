"""Figures by matplotlib: panels of a report, sheets, and the plots that users put on them.

`convergence` lays out the report of one run from `panels`, and `comparison` the report
of several runs. `profile` draws performance profiles. `sheet` places any plots side by
side. `plots` has the plots that users add. `style` has colours, fonts and the style of
axes.
"""
