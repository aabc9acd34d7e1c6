"""Direct factorizers: one analysis per sparsity pattern, one factorization per matrix."""

import importlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ..errors import (
    BackendMissing,
    InaccurateSolve,
    NotPositiveDefinite,
    OutOfMemory,
    SingularMatrix,
    SolveError,
    out_of_memory,
)
from ..typing import Array, SparseMatrix
from .backward_error import ACCEPT, REFINE, Accuracy, Symmetry, require_symmetric
from .counts import Counts, collecting, count, phase
from .csc import as_csc, require_full_structure
from .diagnosis import diagnose
from .factorization import Factorization, doubt_of
from .protocols import Analysis, Factors

REMEMBERED = 4
"""Number of patterns whose analysis a factorizer keeps: enough for a few models used in
turn."""

CONFIRMED = 200_000
"""Number of unknowns up to which a matrix that looks singular is factored again, with
full pivoting. At this size the second factorization may take a minute."""

LOST = 1e14
"""Growth of pivots above which no digits are left."""


@dataclass(frozen=True, eq=False)
class Direct:
    """A direct factorizer: `Direct(...)(A)` factors A.

    A `Direct` has a memory: it keeps the symbolic analyses of the last 4 sparsity
    patterns, so that a further matrix with one of these patterns needs only its
    numerical factorization. `forget` drops the analyses; pickles do not contain them.

    Parameters
    ----------
    label : str
        Kind and backend, for messages: "Cholesky by CHOLMOD".
    symmetry : {"none", "symmetric", "hermitian"}
        The symmetry of A that the backend assumes. It is verified.
    analyse : callable
        A ↦ `Analysis`, the symbolic analysis of the pattern of A by the backend.
    missing : callable
        () ↦ the reason why the backend cannot be used, or "" if it can be used.
    """

    label: str
    symmetry: Symmetry
    analyse: Callable[[sparse.csc_array], Analysis]
    missing: Callable[[], str]
    _memory: "list[_AnalysedPattern]" = field(default_factory=list, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __repr__(self) -> str:
        return f"Direct({self.label})"

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A: (n, n), sparse or dense, float64 or complex128.

        Raises SingularMatrix, NotPositiveDefinite or InaccurateSolve if A has no such
        factors; OutOfMemory, BackendMissing or ForkedProcess if the backend cannot be
        used; NonFinite for nan and inf; TypeError and ValueError unless A is a square
        matrix of floating-point numbers.
        """
        return self.factored(A, explain=True)

    def factored(self, A: SparseMatrix | Array, explain: bool) -> Factorization:
        """Factor A, and diagnose a refused matrix only if asked to.

        Parameters
        ----------
        A : (n, n) sparse matrix or array
            The matrix, float64 or complex128.
        explain : bool
            True: if A is refused, another factorization looks for the cause.

        Returns
        -------
        Factorization
            The factors of A.

        Raises
        ------
        SolveError, TypeError, ValueError
            As `lu(A)` does.
        """
        if reason := self.missing():
            raise BackendMissing(f"{self.label}: {reason}")
        A = as_csc(A)
        name = f"{self.label} of a {A.shape[0]}x{A.shape[1]} matrix"
        counts = Counts()
        with collecting(counts):
            with phase("analysis"):
                analysis = self._analysed(A, name)
            with phase("factor"):
                count(numeric=1)
                factors = self._factors(analysis, A, name, explain)
        return Factorization(
            A, factors, self.symmetry, Accuracy(REFINE, ACCEPT, True, True), name, counts
        )

    def _analysed(self, A: sparse.csc_array, name: str) -> Analysis:
        try:
            return self.analysis_of(A)
        except OutOfMemory:
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error

    def _factors(
        self, analysis: Analysis, A: sparse.csc_array, name: str, explain: bool
    ) -> Factors:
        try:
            return analysis.factor(A, name)
        except OutOfMemory:
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error
        except (NotPositiveDefinite, SingularMatrix) as error:
            if isinstance(error, NotPositiveDefinite):
                # All backends raise the same error for the same matrix: NotSymmetric or
                # SingularMatrix say more about it than NotPositiveDefinite.
                require_symmetric(A, self.symmetry, name)
            _raise_explained(A, name, error, explain)
            raise

    def analysis_of(self, A: sparse.csc_array) -> Analysis:
        """Return the symbolic analysis of the pattern of A, remembered or new.

        Parameters
        ----------
        A : (n, n) csc_array
            Matrix in canonical format.

        Returns
        -------
        Analysis
            The analysis, which `Analysis.factor` uses.

        Raises
        ------
        SingularMatrix
            If a row or a column of A has no entry.
        """
        with self._lock:
            for position, known in enumerate(self._memory):
                if known.is_of(A):
                    self._memory.insert(0, self._memory.pop(position))
                    return known.analysis
        require_full_structure(A)
        count(symbolic=1)
        made = _AnalysedPattern(A.indptr.copy(), A.indices.copy(), A.dtype, self.analyse(A))
        with self._lock:
            self._memory.insert(0, made)
            del self._memory[REMEMBERED:]
        return made.analysis

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle without analyses; the factorizers of this package are pickled by name."""
        return _by_name(self) or (Direct, (self.label, self.symmetry, self.analyse, self.missing))

    def forget(self) -> None:
        """Drop the remembered analyses (at 10⁶ unknowns they may take tens of megabytes)."""
        with self._lock:
            self._memory.clear()


@dataclass(frozen=True, eq=False)
class Fastest:
    """A factorizer that uses the first of its candidates that is installed.

    `lu`, `cholesky` and `ldl` are such factorizers.

    Parameters
    ----------
    label : str
        Kind of factorization, for messages: "LU".
    candidates : tuple of Direct
        Factorizers, the fastest one first. The last candidate must always be installed
        (SuperLU). It chooses each pivot during the factorization, and factors again the
        matrices that the other candidates refuse.
    """

    label: str
    candidates: tuple[Direct, ...]

    def __repr__(self) -> str:
        return f"Fastest({self.label})"

    @property
    def choice(self) -> Direct:
        """The candidate that factors here."""
        return next(direct for direct in self.candidates if not direct.missing())

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A by `choice`, or by the last candidate if `choice` fails; see `Direct.__call__`.

        Up to 200 000 unknowns the last candidate factors a matrix that looks singular
        to `choice`: pivots that are fixed in advance may cancel in a regular matrix
        (networks of ±1). The last candidate also factors a matrix whose pivots were
        replaced, or have grown too much, if a solve with a random right-hand side
        fails.
        """
        direct, careful = self.choice, self.candidates[-1]
        try:
            factorization = direct.factored(A, explain=direct is careful)
            doubt = doubt_of(factorization.factors)
            if direct is careful or np.shape(A)[0] > CONFIRMED or doubt == 0.0:
                return factorization
            if doubt <= LOST:
                factorization.examine()
                return factorization
        except (SingularMatrix, InaccurateSolve):
            if direct is careful or np.shape(A)[0] > CONFIRMED:
                raise
        except NotPositiveDefinite as error:
            name = f"{direct.label} of a {np.shape(A)[0]}x{np.shape(A)[1]} matrix"
            _raise_explained(as_csc(A), name, error, direct is not careful)
            raise
        return careful(A)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle by name, or by label and candidates; see `Direct.__reduce__`."""
        return _by_name(self) or (Fastest, (self.label, self.candidates))

    def forget(self) -> None:
        """Drop the remembered analyses of all candidates."""
        for direct in self.candidates:
            direct.forget()


@dataclass(frozen=True, eq=False)
class _AnalysedPattern:
    """A sparsity pattern, copied because the user may write to the original, and its analysis."""

    indptr: Array
    indices: Array
    dtype: np.dtype[np.generic]
    analysis: Analysis

    def is_of(self, A: sparse.csc_array) -> bool:
        """True if A has this pattern and dtype."""
        return (
            self.dtype == A.dtype
            and self.indices.size == A.indices.size
            and np.array_equal(self.indptr, A.indptr)
            and np.array_equal(self.indices, A.indices)
        )


def _by_name(factorizer: object) -> tuple[Callable[..., object], tuple[object, ...]] | None:
    """How a pickle finds a factorizer of this package: (function, arguments), or None."""
    names = [name for name, value in vars(sys.modules[__package__]).items() if value is factorizer]
    return (_named, (names[0],)) if names else None


def _named(name: str) -> object:
    """The factorizer of this package by its name."""
    return getattr(importlib.import_module(__package__), name)


def _raise_explained(A: sparse.csc_array, name: str, error: SolveError, explain: bool) -> None:
    """Raise the result of `diagnose` if it differs from `error`; explain: False does nothing."""
    told = diagnose(A, name, error) if explain else error
    try:
        if told is not error:
            raise told from error
    finally:
        # Otherwise this frame and the error would keep each other, and the factors,
        # alive until the next garbage collection.
        del told
