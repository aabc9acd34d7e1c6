"""Histories, designs, and readers of figures and pages, for the laws of adjoint.report (test_report*.py)."""

import json
import math
from html.parser import HTMLParser

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from adjoint.report.history import PHASES

STEPS = [0.01 * 0.5**k for k in range(6)]
TAYLOR = {
    "steps": STEPS,
    "remainders": [[3 * h for h in STEPS], [2 * h * h for h in STEPS]],
    "orders": [1.0, 2.0],
    "relative_error": 3e-10,
    "dot_product_error": 1e-15,
    "ok": True,
}
HEADER = {
    "kind": "header",
    "title": "Beam",
    "problem": {"nelx": 300, "unknowns": 60502, "load cases": [1, 2], "material": {"E": 1.0}},
    "environment": {"solver": "CHOLMOD", "threads": 2},
    "algorithm": "OptimalityCriteria",
    "started": "2025-11-21T22:14:03",
    "seed": 0,
    "tolerances": {"change": 0.01, "kkt": 1e-6},
    "taylor": TAYLOR,
}
RESULT = {
    "kind": "result",
    "status": "the design changed by less than 0.01",
    "iterations": 3,
    "seconds": 83.2,
}


def iteration(k, **fields):
    record = {
        "kind": "iteration",
        "iteration": k,
        "stage": k // 20,
        "objective": 200 + 800 * math.exp(-k / 5),
        "projected_gradient": 10 * math.exp(-k / 10),
        "kkt": math.exp(-k / 10),
        "multiplier": 0.1,
        "step": 0.5,
        "change": 0.2,
        "volume": 0.5,
        "constraint_violation": 0.0 if k % 2 else 1e-9,
        "grayness": math.exp(-k / 30),
        "rejected": [],
        "counts": {"symbolic": 1, "numeric": k + 1, "solves": k + 1, "transposed": 0, "rhs": k + 1},
        "seconds": dict.fromkeys(PHASES, 0.01),
        "peak_rss_mb": 100.0,
    }
    return {**record, **fields}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def designs(numbers, shape=(20, 60)):
    random = np.random.default_rng(7)
    return [(k, random.random(shape)) for k in numbers]


def drawn_texts(figure):
    """The texts one sees: those of the figure, of its axes and legends, and of ticks within the axes."""
    yield from figure.texts
    for axes in figure.axes:
        yield from axes.texts
        if axes.get_legend():
            yield from axes.get_legend().get_texts()
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_visible():
                yield axis.label
                low, high = sorted(axis.get_view_interval())
                labels = axis.get_majorticklabels()  # None, where they are switched off.
                ticks = zip(axis.get_majorticklocs(), labels, strict=bool(labels))
                yield from (label for place, label in ticks if low <= place <= high)


def stay_apart(figure):
    """No two texts overlap, and none leaves the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in drawn_texts(figure) if text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer()).extents) for text in texts]
    assert len(boxes) > 20
    for index, (words, (left, bottom, right, top)) in enumerate(boxes):
        assert -1 <= left <= right <= figure.bbox.width + 1, words
        assert -1 <= bottom <= top <= figure.bbox.height + 1, words
        for others, (left2, bottom2, right2, top2) in boxes[index + 1 :]:
            across, along = min(right, right2) - max(left, left2), min(top, top2) - max(bottom, bottom2)
            assert min(across, along) <= 1, (words, others)


VOID = {"meta", "img", "input", "br", "path", "use"}


class Page(HTMLParser):
    """Collects tags and text, and checks that what opens closes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
