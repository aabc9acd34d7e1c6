"""States kept for sweeps, in memory or on disk, and states that are computed again.

The modules: `policies` holds the memory policies that a user chooses. `schedules`
decides which states the first pass keeps, and `binomial` has the optimal positions of
checkpoints. `store` gives the sweeps their states, and computes missing states again.
`storage` and `disk` hold the states; `records` holds the records of steps (stages and
factors). See docs/math/time.md, section 13.
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
