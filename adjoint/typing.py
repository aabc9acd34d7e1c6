"""Types of the public interface."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
else:
    Array = np.ndarray  # The plain class, so that signatures in `help` stay short.
"""An array, float64 or complex128; docstrings give its shape."""

Trans: TypeAlias = Literal["N", "T", "H"]
"""The system that is solved: A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H")."""
