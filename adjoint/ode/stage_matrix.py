"""The matrix of one stage, M − hγ J."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array, Trans
from .algebra import Algebra, Inverse
from .product import add_product


@dataclass(frozen=True, eq=False)
class SingleStage:
    """M − hγ J: algebra: M and how to factor; J: (n, n) at the stage; hg: hγ."""

    algebra: Algebra
    J: Array | sparse.csc_array
    hg: float

    @property
    def dense(self) -> bool:
        """Whether J is an array."""
        return isinstance(self.J, np.ndarray)

    def product(self, v: Array, trans: Trans) -> Array:
        """(M − hγ J) v, or (M − hγ J)ᴴ v; v: (n,) or (n, j)."""
        assert not isinstance(self.J, np.ndarray)
        M = self.algebra.mass
        Mv = v.copy() if M is None else add_product(M, v, trans, np.zeros_like(v))
        return add_product(self.J, -self.hg * v, trans, Mv)

    def inverse(self) -> Inverse:
        """Factors; raises SingularMatrix, NonFinite."""
        return self.algebra.inverse(self.J, self.hg)
