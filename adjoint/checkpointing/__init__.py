"""Which states a reverse sweep finds in memory or on disk, and which it computes again (docs/math.md, section 13)."""

from .events import Event
from .policies import Budget, Checkpoints, Disk, Everything, Memory, States
from .schedules import minimal_advances
from .store import Usage

__all__ = ["Budget", "Checkpoints", "Disk", "Event", "Everything", "Memory", "States", "Usage", "minimal_advances"]
