"""States kept for sweeps, in memory or on disk, and states that are computed again.

See docs/math/time.md, section 13.
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
