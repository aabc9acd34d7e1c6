"""Sphinx: `python -m sphinx -W docs docs/_build`, with the extra `docs`."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

import adjoint

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "sparse-adjoint"
author = "The sparse-adjoint authors"
copyright = "the sparse-adjoint authors"
version = release = installed("sparse-adjoint")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "citations",
    "mathml",
    "public_names",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

html_math_renderer = "mathml"

default_role = "py:obj"
autodoc_mock_imports = ["nlopt", "cyipopt"]
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
# Types are shapes in words, "(n,) array", not names to look up.
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "pydata_sphinx_theme"
html_title = "sparse-adjoint"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "changelog", "design", "release")}
html_theme_options = {
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# Its short signature is for `help`; links need the full names of the types.
del adjoint.ODEProblem.__signature__
