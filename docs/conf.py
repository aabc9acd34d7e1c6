"""Sphinx: `python -m sphinx docs docs/_build`, with the extra `docs`."""

project = "sparse-adjoint"
author = "The sparse-adjoint authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "results"]
html_theme = "furo"
html_title = "sparse-adjoint"
