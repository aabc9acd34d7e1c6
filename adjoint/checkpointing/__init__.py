"""Which states a reverse sweep finds in memory or on disk, and which it computes again.

See docs/math/time.md, section 13.
"""

from .events import SweepEvent
from .policies import Budget, Checkpoints, Disk, Everything, Memory, States
from .schedules import minimal_advances
from .store import Usage

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
    # What happens, as it happens
    "SweepEvent",
]
