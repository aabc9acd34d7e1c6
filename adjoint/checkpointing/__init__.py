"""States kept for sweeps, in memory or on disk, and states that are computed again.

`policies`: what a user asks for. `schedules` decide which states the first pass keeps;
`binomial` has the optimal positions; `store` serves the sweeps, and computes missing states
again; `storage` and `disk` hold the bytes, `records` what belongs to a state. See
docs/math/time.md, section 13.
"""

from .binomial import minimal_advances
from .policies import Budget, Checkpoints, Disk, Everything, Memory, States
from .store import SweepEvent, Usage

__all__ = [
    # Policies
    "Everything",
    "States",
    "Checkpoints",
    "Budget",
    "Disk",
    "Memory",
    # Costs
    "Usage",
    "minimal_advances",
    # Progress of a solve or a sweep
    "SweepEvent",
]
