"""Types of the public interface."""

from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array, float64 or complex128; docstrings give its shape."""

Trans: TypeAlias = Literal["N", "T", "H"]
"""The system that is solved: A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H")."""
