"""The pages are true: snippets run, print what they quote, and what is cited and linked exists.

Each page is a program of its own: its snippets run in order, in a namespace that is theirs alone.
"""

import math
import re
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BUILT = DOCS / "_build"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(page for page in DOCS.rglob("*.md") if BUILT not in page.parents),
    *sorted((ROOT / "scripts").rglob("README.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
MODULES = sorted((ROOT / "adjoint").rglob("*.py"))

FENCE = re.compile(r"^(```+)([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
CITED = re.compile(r"eqs?\.\s+(\d+)(?:\s*[–-]\s*(\d+))?((?:,\s*\d+|\s+and\s+\d+)*)")
PARAGRAPH = re.compile(r"\n\s*\n")


def name(page: Path) -> str:
    """The path from the root of the repository, as the id of a test."""
    return page.relative_to(ROOT).as_posix()


def fences(page: Path, *languages: str) -> list[re.Match[str]]:
    """The code blocks of a page in these languages."""
    return [fence for fence in FENCE.finditer(page.read_text()) if fence.group(2) in languages]


PROGRAMS = [page for page in PAGES if fences(page, "python")]
GUIDE = [page for page in PROGRAMS if page.parent == DOCS / "guide"]
pages = pytest.mark.parametrize("page", PAGES, ids=name)


def tags(text: str) -> list[int]:
    """The numbers of the equations that a text defines."""
    return [int(number) for number in re.findall(r"\\tag\{(\d+)\}", text)]


def equations() -> set[int]:
    """The numbers that equations of the mathematics have."""
    return {number for page in PAGES for number in tags(page.read_text())}


def cited(text: str) -> set[int]:
    """The equations that a text cites: "eq. 3", "eqs. 2–4", "eqs. 5, 7 and 9"."""
    numbers: set[int] = set()
    for first, last, others in CITED.findall(text):
        numbers |= set(range(int(first), int(last or first) + 1)) | {
            int(n) for n in re.findall(r"\d+", others)
        }
    return numbers


def agree(printed: str, quoted: str) -> bool:
    """The same words, and numbers equal to 1 in 1000 or 1e-6: backends round differently."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (printed, quoted)]
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, quoted)]
    return words[0] == words[1] and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-6) for a, b in zip(*numbers, strict=True)
    )


def anchor(heading: str) -> str:
    """The anchor that GitHub and MyST give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PROGRAMS, ids=name)
def test_snippets_run_and_print_what_they_quote(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    namespace: dict[str, object] = {"__name__": page.stem}
    text = page.read_text()
    printed = ""
    for fence in fences(page, "python", "text"):
        language, body = fence.group(2, 3)
        if language == "python":
            line = text.count("\n", 0, fence.start(3))
            exec(compile("\n" * line + body, str(page), "exec"), namespace)
            printed = capsys.readouterr().out
        else:
            assert agree(printed, body), (
                f"{page.name} quotes\n{body}\nbut its snippet prints\n{printed}"
            )


@pytest.mark.parametrize("page", GUIDE, ids=name)
def test_a_guide_page_begins_with_what_it_gives_and_an_example(page: Path) -> None:
    title, first, example, *_ = PARAGRAPH.split(page.read_text(), maxsplit=3)
    assert title.startswith("# ")
    assert first.startswith("This page shows how to")
    assert example.startswith("```python\n")


def test_the_guide_lists_its_pages() -> None:
    listed = re.findall(
        r"^\| \[[^]]*\]\((\w+\.md)\)", (DOCS / "guide" / "index.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(page.name for page in GUIDE)
    assert len(GUIDE) >= 12


def test_equations_have_each_number_once() -> None:
    numbers = sorted(number for page in PAGES for number in tags(page.read_text()))
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("page", [page for page in PAGES if tags(page.read_text())], ids=name)
def test_equations_of_a_page_are_numbered_in_order(page: Path) -> None:
    numbers = tags(page.read_text())
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_equations_cited_by_docstrings_are_on_the_page_that_they_name(module: Path) -> None:
    for page, citation in re.findall(
        r"(docs/math[\w/]*\.md),\s+(eqs?\.[^);]*)", module.read_text()
    ):
        absent = cited(citation) - set(tags((ROOT / page).read_text()))
        assert not absent, f"{page} has no such equation: {citation}"


@pages
def test_equations_cited_by_pages_exist(page: Path) -> None:
    assert cited(page.read_text()) <= equations()


@pages
def test_links_resolve(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    targets = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|href)="([^"]+)"', text)]
    for target in targets:
        if re.match(r"\w+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name(page)} links to {target}, which does not exist"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
            assert fragment in map(anchor, headings), (
                f"{name(page)} links to {target}: no such heading"
            )


@pages
def test_nobody_is_told_to_install_another_project(page: Path) -> None:
    assert not re.search(r"pip3? install\s+(?:-\S+\s+)*['\"]?adjoint\b", page.read_text())


def test_numbers_are_compared_with_a_tolerance() -> None:
    assert agree("order 2.0001, error 3.1e-11\n", "order 2.00, error 7e-12")
    assert not agree("order 2.0001, error 3.1e-11", "order 1.00, error 3.1e-11")
    assert not agree("order 2", "orders 2")


def test_ranges_of_equations_are_understood() -> None:
    assert cited("see eqs. 2–4, eq. 7 and eqs. 9, 11 and 12") == {2, 3, 4, 7, 9, 11, 12}


def test_the_citation_has_the_version_of_the_package() -> None:
    versions = [
        re.findall(r"^version\W+([\d.]+)", (ROOT / file).read_text(), re.MULTILINE)
        for file in ("pyproject.toml", "CITATION.cff")
    ]
    assert versions[0] == versions[1]
