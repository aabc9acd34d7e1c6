"""The page in a real browser.

Its slider shows the designs, nothing is logged, and its policy lets nothing else in.
"""

import numpy as np
import pytest

from adjoint.report import Report, Run
from adjoint.report.history import History
from tests.fixtures.browser import Browser, chromium
from tests.fixtures.histories import HEADER, RESULT, iteration

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium here: apt-get install chromium"
)

DESIGNS = [(k, np.full((3, 5), k / 20)) for k in range(0, 21, 2)]
STATE = """(() => {
  const viewer = document.querySelectorAll(".viewer")[%d], image = viewer.querySelector("img");
  return [image.src, image.alt, viewer.querySelector("output").textContent, image.naturalWidth];
})()"""
MOVE = """(() => {
  const slider = document.querySelectorAll(".viewer input")[%d];
  slider.value = %d;
  slider.dispatchEvent(new Event("input"));
})()"""


def run(name):
    constrained = {"constraints": [0.0], "multipliers": [2.0]}
    return Run(
        name, History(HEADER, [iteration(k, **constrained) for k in range(21)], RESULT), DESIGNS
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of one run, and that of two."""
    folder = tmp_path_factory.mktemp("pages")
    for name, runs in (("one", [run("beam")]), ("two", [run("oc"), run("mma")])):
        (folder / f"{name}.html").write_text(Report(runs).page, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture
def opened(browser, pages):
    """A function that opens one of the pages."""

    def show(name):
        browser.faults.clear()
        browser.open(pages / f"{name}.html")
        return browser

    return show


def test_the_slider_shows_each_design_and_says_its_iteration(opened):
    page = opened("one")
    first = page.evaluate(STATE % 0)
    assert first[1:] == ["Design at iteration 20", "iteration 20", 5]
    pictures = {first[0]}
    for place, (k, _) in enumerate(DESIGNS[:-1]):
        page.evaluate(MOVE % (0, place))
        source, *words = page.evaluate(STATE % 0)
        assert words[:2] == [f"Design at iteration {k}", f"iteration {k}"]
        pictures.add(source)
    assert len(pictures) == len(DESIGNS)
    assert page.faults == []


def test_the_button_plays_the_designs_to_the_end(opened):
    page = opened("one")
    page.evaluate('document.querySelector(".viewer button").click()')
    assert page.evaluate(STATE % 0)[2] == "iteration 0"
    ended = page.evaluate("""new Promise((resolve) => new MutationObserver((_, observer) => {
      const text = document.querySelector("output").textContent;
      if (text === "iteration 20") { observer.disconnect(); resolve(text); }
    }).observe(
      document.querySelector("output"),
      {childList: true, characterData: true, subtree: true}
    ))""")
    assert ended == "iteration 20"
    assert page.faults == []


def test_each_of_several_runs_has_its_own_slider_and_a_link_that_opens_it(opened):
    page = opened("two")
    page.evaluate(MOVE % (1, 3))
    assert [page.evaluate(STATE % place)[2] for place in range(2)] == [
        "iteration 20",
        "iteration 6",
    ]
    page.evaluate("""document.querySelectorAll("table a")[1].click()""")
    opened_ones = page.evaluate(
        """[...document.querySelectorAll("section details")].map((each) => each.open)"""
    )
    assert opened_ones == [False, True]
    assert page.faults == []


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(opened, width, scheme):
    page = opened("two")
    page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    page.evaluate('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
    root = "document.documentElement"
    whole, visible = page.evaluate(f"[{root}.scrollWidth, {root}.clientWidth]")
    assert whole <= visible <= width
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert paper != ink


def test_a_term_explains_itself_when_it_is_reached(opened):
    page = opened("one")
    shown = """(() => { const term = [...document.querySelectorAll(".panels .term")]
      .find((each) => each.firstChild.textContent === "KKT residual"); %s
      const tip = term.querySelector(".tip"), box = tip.getBoundingClientRect();
      return [getComputedStyle(tip).display, box.left >= 0 && box.right <= innerWidth]; })()"""
    assert page.evaluate(shown % "")[0] == "none"
    assert page.evaluate(shown % "term.focus();") == ["block", True]


def test_tables_of_numbers_fit_a_narrow_window(opened):
    page = opened("one")
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=400,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    clipped = """[...document.querySelectorAll(".tables .scroll")]
      .filter((each) => each.scrollWidth > each.clientWidth)
      .map((each) => each.innerText.slice(0, 40))"""
    assert page.evaluate(clipped) == []


def test_the_policy_refuses_scripts_that_are_not_ours(opened):
    page = opened("one")
    page.evaluate("""(() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'taken over'";
      document.body.append(script);
    })()""")
    assert page.evaluate("document.title") == "Beam"
    assert "Content Security Policy" in str(page.faults)
