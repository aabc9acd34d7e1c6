"""The array types of the public interface, and what values share that hold arrays: sums, and pickles."""

from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""A real (float64) or complex (complex128) array; the docstring of its user gives the shape."""


Trans: TypeAlias = Literal["N", "T", "H"]
"""Which system is solved: A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H")."""
