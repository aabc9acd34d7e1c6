"""Figures by matplotlib: panels of a report, sheets, and the plots that users put on them.

`convergence` lays out the report of one run from `panels`, `comparison` that of several runs,
`profile` performance profiles, `sheet` any plots side by side. `plots` are the plots that users
add, `style` has colours, fonts and widths.
"""
