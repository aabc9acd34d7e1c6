"""What the backends of scikit-sparse share: which version is there, and how it takes and refuses a matrix."""

import copy
import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ...errors import SolveError
from ...typing import Array

IndexType: TypeAlias = np.dtype[np.signedinteger]
"""int32 or int64: scikit-sparse analyses and factors for one of them."""


Solve: TypeAlias = Callable[[Array], Array]
"""b ↦ A⁻¹ b, or A⁻ᵀ b; b: (n, k)."""


def unloadable(module: str, remedy: str) -> str:
    """Why `sksparse.<module>` does not load, and the remedy; "" if it loads."""
    try:
        importlib.import_module(f"sksparse.{module}")
    except ImportError as error:
        return f"sksparse.{module} does not load ({error}). {remedy}"
    return ""


@cache
def version() -> str:
    """Of scikit-sparse: its modules do not tell."""
    return importlib.metadata.version("scikit-sparse")


def since_0_5() -> bool:
    """Whether scikit-sparse has the interface of 0.5 (CholeskyFactor, KLU, UMFPACK)."""
    major, minor = version().split(".")[:2]
    return (int(major), int(minor)) >= (0, 5)


def with_indices(A: sparse.csc_array, index: IndexType) -> sparse.csc_array:
    """A with indices of the analysis' type, in an object of its own: scikit-sparse sets flags in it."""
    # Not csc_array((data, indices, indptr)): where the values fit, that makes int32 of int64.
    A = copy.copy(A)
    A.indices = A.indices.astype(index, copy=False)
    A.indptr = A.indptr.astype(index, copy=False)
    return A


@contextmanager
def translating(error_class: type[Exception], what: str) -> Iterator[None]:
    """Turn the package's errors, other than those caught within, into SolveError."""
    try:
        yield
    except error_class as error:
        raise SolveError(
            f"{what} failed: {error}. Usual causes: too little memory for the factors (use an iterative "
            "solver), or factors of more than 2^31 entries (give A.indices and A.indptr the dtype int64)."
        ) from error


def unwarned(solve: Solve, category: type[Warning], rcond: float, n: int) -> Solve:
    """`solve`, silent where 0.5 would warn of a small pivot; n: unknowns, rcond: min/max of the pivots.

    Whether the solution is good the backward error tells, and the probe whether A is singular: rows scaled
    far apart have small pivots too. The filters of `warnings` belong to all threads: they are left alone
    where there is nothing to silence.
    """
    if rcond >= n * np.finfo(float).eps:
        return solve

    def silent(b: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category)
            return solve(b)

    return silent
