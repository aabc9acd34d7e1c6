"""The binding to Pardiso by ctypes: one analysis of a pattern, many factorizations.

A handle is MKL's memory for one analysis. Each slot of a handle (MKL: `mnum`, at most
`maxfct`) holds one factorization, and is filled, used and freed separately. The package
pypardiso only finds and loads the library.
"""

import ctypes
import os
import re
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from ....errors import NotPositiveDefinite, SolveError, singular
from ....typing import Array
from ...fork_safety import entering_threads

ARGUMENTS = 16
"""Number of arguments of the function `pardiso`. All of them are pointers."""

SLOTS = 1024
"""Number of factorizations that one handle can hold. An empty slot takes 8 bytes."""

CAUSES = {
    -1: "its input is inconsistent (a fault of this adapter: please report it)",
    -2: "not enough memory. Use adjoint.cholesky or ldl if A is symmetric, or adjoint.cg or gmres",
    -3: "the reordering failed",
    -5: "an unclassified internal error",
    -6: "the reordering failed",
    -8: "an overflow of 32-bit integers: the factors are too large. Use adjoint.cg or gmres",
    -13: "interrupted from outside",
    -15: "an internal error of the two-level factorization",
}
"""Texts for the error numbers of `pardiso`."""

_NOT_DEFINITE, _ZERO_PIVOT = -4, (-4, -7)


@dataclass(frozen=True, eq=False)
class Library:
    """The functions of the library mkl_rt, and its version."""

    pardiso: "ctypes._NamedFuncPointer"
    getdiag: "ctypes._NamedFuncPointer"
    max_threads: "ctypes._NamedFuncPointer"
    version: str

    @property
    def name(self) -> str:
        """The name of the package, its version and its number of threads, as one text."""
        threads = int(self.max_threads())
        return f"Pardiso (MKL {self.version}, {threads} thread{'s' if threads > 1 else ''})"


@cache
def library() -> Library:
    """Load mkl_rt.

    Raises ImportError or OSError if the library cannot be loaded, or if it runs with
    64-bit integers.
    """
    from pypardiso import PyPardisoSolver

    mkl = PyPardisoSolver().libmkl
    if mkl["MKL_Set_Interface_Layer"](0) & 1:
        raise ImportError("MKL already runs with 64-bit integers here (ILP64)")
    text = ctypes.create_string_buffer(256)
    mkl["mkl_get_version_string"](text, 256)
    version = re.search(rb"Version (\d[\d.]*)", text.value)
    # mkl["name"] makes a new function object. The object mkl.name is shared with
    # pypardiso, which sets its argument types.
    functions = mkl["pardiso"], mkl["pardiso_getdiag"], mkl["mkl_get_max_threads"]
    functions[0].argtypes = [ctypes.c_void_p] * ARGUMENTS
    return Library(*functions, version=version[1].decode() if version else "of unknown version")


@cache
def missing() -> str:
    """The reason why Pardiso cannot be used; "" if it can be used."""
    try:
        library()
    except (ImportError, OSError) as error:
        return f"MKL's Pardiso does not load ({error}). On x86-64: pip install pypardiso."
    return ""


def _pointer(array: Array | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(_address(array))


def _address(array: Array | None) -> int | None:
    return None if array is None else array.__array_interface__["data"][0]


def _int(value: int) -> "ctypes._CArgObject":
    return ctypes.byref(ctypes.c_int32(value))


@dataclass(frozen=True, eq=False)
class Pattern:
    """A CSR pattern for Pardiso.

    The column indices are sorted, of type int32, and counted from 0. If `mtype` is
    symmetric, the pattern is that of one triangle.
    """

    mtype: int
    indptr: Array
    indices: Array

    @property
    def n(self) -> int:
        """Number of unknowns."""
        return self.indptr.size - 1

    @cached_property
    def _fixed(self) -> tuple[Any, ...]:
        """The arguments that all calls share.

        They are made once, because making them takes 1/10 of the time of a small solve.
        """
        return (
            _int(SLOTS),
            _int(self.mtype),
            _int(self.n),
            _address(self.indptr),
            _address(self.indices),
            _int(0),
        )

    def run(
        self, pt: Array, phase: int, slot: int, iparm: Array, a: Array | None, b: Array | None
    ) -> tuple[Array, int]:
        """Call `pardiso`; return the solution (empty if b is None) and the error number."""
        x = np.empty(0) if b is None else np.empty_like(b, order="F")
        slots, mtype, n, indptr, indices, silent = self._fixed
        error = ctypes.c_int32(0)
        columns = _int(1 if b is None else b.shape[1])
        matrix = (slots, _int(slot), mtype, _int(phase), n, _address(a), indptr, indices, None)
        library().pardiso(
            _address(pt),
            *matrix,
            columns,
            _address(iparm),
            silent,
            _address(b),
            _address(x),
            ctypes.byref(error),
        )
        return x, error.value


@dataclass(eq=False)
class Handle:
    """MKL's memory for the analysis of one pattern; this memory is freed with the last factors.

    iparm: the 64 parameters of Pardiso after the analysis. pt: MKL's pointers.

    A handle has a memory: the slots in use (`live`), the free slots (`free`), and the
    free slots that still hold factors (`stale`). `dead` holds slots whose factors were
    deleted. Deletion may happen in a garbage collection while the lock is held;
    therefore the next holder of the lock moves dead slots to `free` and `stale`.

    The next factorization overwrites a free slot. Stale factors are freed only if no
    factors are in use: if one slot is freed while others are in use, `pardiso_getdiag`
    of MKL 2026.2 crashes (18 of 18 runs). Solves do not crash (10 584 correct solves).
    """

    pattern: Pattern
    iparm: Array
    pt: Array = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    lock: threading.Lock = field(default_factory=threading.Lock)
    free: list[int] = field(default_factory=lambda: list(range(SLOTS, 0, -1)))
    dead: deque[int] = field(default_factory=deque)
    live: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)
    owner: int = field(default_factory=os.getpid)

    @classmethod
    def analysed(cls, pattern: Pattern, iparm: Array, a: Array) -> tuple["Handle", int]:
        """Analyse a pattern with the values a; return the handle and Pardiso's error number."""
        handle = cls(pattern, iparm.copy())
        weakref.finalize(handle, _release, handle.pt, pattern, handle.owner).atexit = False
        return handle, pattern.run(handle.pt, 11, 1, handle.iparm, a, None)[1]

    def reserve(self) -> int:
        """Reserve a free slot and return its number; return 0 if no slot is free."""
        with self.lock:
            self._sweep()
            slot = self.free.pop() if self.free else 0
            if slot:
                self.live.add(slot)
                self.stale.discard(slot)
            return slot

    def factor(self, slot: int, a: Array, name: str) -> int:
        """Factor the values a into a reserved slot; return the number of perturbed pivots."""
        iparm = self.iparm.copy()
        with self.lock:
            error = self.pattern.run(self.pt, 22, slot, iparm, a, None)[1]
        if error:
            self.drop(slot)
            raise failure(error, self.pattern.mtype, int(iparm[29]), name)
        return int(iparm[13])

    def solve(self, slot: int, form: int, refinements: int, a: Array, b: Array) -> Array:
        """Solve with the factors in a slot.

        form: 0 for the stored CSR matrix, 1 for its conjugate transpose, 2 for its
        transpose.
        """
        return self._run(33, slot, form, refinements, a, b)

    def part(self, phase: int, slot: int, form: int, a: Array, b: Array) -> Array:
        """Return the result of one part of a solve; its entries are in Pardiso's order.

        phase: 331 for the forward substitution, 332 for the solve with D, 333 for the
        backward substitution.
        """
        return self._run(phase, slot, form, 0, a, b)

    def _run(self, phase: int, slot: int, form: int, refinements: int, a: Array, b: Array) -> Array:
        entering_threads("Pardiso solve")
        iparm = self.iparm.copy()
        iparm[7], iparm[11] = refinements, form
        with self.lock:
            x, error = self.pattern.run(self.pt, phase, slot, iparm, a, b)
        if error:
            raise failure(error, self.pattern.mtype, int(iparm[29]), "Pardiso's solve")
        return x

    def diagonal(self, slot: int, dtype: "np.dtype[np.generic]") -> Array:
        """Return the pivots up to signs, (n,).

        They are the entries of D for L D Lᵀ, the diagonal of U for L U, and the squares
        of the diagonal of L for L Lᴴ.
        """
        pivots, entries = np.empty(self.pattern.n, dtype), np.empty(self.pattern.n, dtype)
        with self.lock:
            library().getdiag(
                _pointer(self.pt),
                _pointer(pivots),
                _pointer(entries),
                _int(slot),
                ctypes.byref(ctypes.c_int32(0)),
            )
        return pivots

    def drop(self, slot: int) -> None:
        """Return a slot to the handle: now, or, if the lock is held, when it is acquired next."""
        self.dead.append(slot)
        if self.lock.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self.lock.release()

    def _sweep(self) -> None:
        """Add dead slots to `free`. If no factors are in use, free the memory of stale factors."""
        while self.dead:
            slot = self.dead.popleft()
            self.live.discard(slot)
            self.stale.add(slot)
            self.free.append(slot)
        while self.stale and not self.live and self.owner == os.getpid():
            self.pattern.run(self.pt, 0, self.stale.pop(), self.iparm.copy(), None, None)


def _release(pt: Array, pattern: Pattern, owner: int) -> None:
    if owner == os.getpid():  # In a forked child MKL has lost its threads.
        pattern.run(pt, -1, 1, np.zeros(64, dtype=np.int32), None, None)


def failure(error: int, mtype: int, equation: int, name: str) -> SolveError:
    """Return the SolveError for an error number of Pardiso.

    equation: iparm(30), the row in which a Cholesky pivot was not positive.
    """
    if error == _NOT_DEFINITE and mtype in (2, 4):
        return NotPositiveDefinite(
            f"{name} met a pivot that is not positive at equation {equation}. Usual causes: an "
            "indefinite problem (saddle point, Helmholtz: use adjoint.ldl or adjoint.lu), a "
            "missing boundary condition, a negative stiffness."
        )
    if error in _ZERO_PIVOT:
        return singular(name, f"met a pivot that is exactly zero (Pardiso's error {error})")
    return SolveError(
        f"{name}: Pardiso stopped with error {error}: "
        f"{CAUSES.get(error, 'unknown to this adapter')}."
    )
