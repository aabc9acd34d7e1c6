"""What a selected inverse needs of a factored matrix."""

from typing import Protocol

import scipy.sparse as sparse

from ...typing import Array, Trans
from ..backward_error import Symmetry
from ..protocols import Factors


class Factored(Protocol):
    """A factored matrix; `Factorization` is one."""

    @property
    def A(self) -> sparse.csc_array:
        """The matrix, (n, n)."""

    @property
    def factors(self) -> Factors:
        """Its factors, by a backend."""

    @property
    def symmetry(self) -> Symmetry:
        """The symmetry of A that the factors assume."""

    @property
    def name(self) -> str:
        """The name for messages."""

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve, verify and refine."""

    def unverified(self, b: Array, trans: Trans = "N") -> Array:
        """Solve by the factors alone."""
