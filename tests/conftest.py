"""Pytest's own settings that are not data."""

from adjoint import factor

# The laws of a backend that is not installed hold for nothing; that its absence is a named error is tested everywhere
# (test_failures). CI installs Pardiso.
collect_ignore = ["factor/backends/test_pardiso.py"] if factor.pardiso.missing() else []
