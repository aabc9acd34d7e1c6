"""Markers of the tests, by folder and by name; see "The tests" in CONTRIBUTING.md."""

from pathlib import Path

import pytest

from adjoint import factor

TESTS = Path(__file__).parent

SLOW = frozenset(
    line for line in (TESTS / "slow.txt").read_text().splitlines() if not line.startswith("#")
)
"""Names of the slow test functions."""

PLACES = {
    "factor/backends": "backend",
    "scripts": "scripts",
    "test_docs.py": "docs",
    "test_api_pages.py": "docs",
}
"""Folder or file ↦ the marker of its tests."""

# Without Pardiso the laws of its backend have no subject. test_failures tests the error that
# names the missing package. CI installs Pardiso.
collect_ignore = ["factor/backends/test_pardiso.py"] if factor.pardiso.missing() else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the markers."""
    for item in items:
        if getattr(item, "originalname", None) in SLOW:
            item.add_marker("slow")
        for place, marker in PLACES.items():
            if item.path.is_relative_to(TESTS / place):
                item.add_marker(marker)
