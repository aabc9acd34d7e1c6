"""What happens during a solve or a sweep, as it happens."""

from dataclasses import dataclass

from .._repr import short_repr


@dataclass(frozen=True)
class SweepEvent:
    """One event, for progress bars and timelines.

    kind: "forward", a step was taken; "rejected", one was tried in vain; "store", the state before step `step` was
    kept; "advance", a step was repeated for a sweep; "reverse" and "tangent", a sweep has done a step.
    step: k = 0 … N − 1, from state k to state k + 1. t: the time before the step (nan for recurrences).
    """

    kind: str
    step: int
    t: float

    __repr__ = short_repr
