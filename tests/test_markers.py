"""The markers name tests that exist."""

import ast
from pathlib import Path

import pytest

from tests.conftest import PLACES, SLOW, TESTS

FUNCTIONS = {
    node.name
    for path in TESTS.rglob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.FunctionDef)
}


def test_slow_tests_exist() -> None:
    assert sorted(SLOW - FUNCTIONS) == []


@pytest.mark.parametrize("place", PLACES)
def test_places_exist(place: str) -> None:
    assert Path(TESTS, place).exists()


def test_tests_of_scripts_are_marked(request: pytest.FixtureRequest) -> None:
    """The hook of conftest.py sees every collected test."""
    for item in request.session.items:
        inside = item.path.is_relative_to(TESTS / "scripts")
        assert (item.get_closest_marker("scripts") is not None) == inside
