"""The solvers of this machine: their packages, BLAS and speed, and possible improvements."""

import ctypes
import math
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
import threadpoolctl

from .errors import SolveError
from .factor.backends import cholmod, klu, superlu, umfpack
from .factor.backends.pardiso import factorizers as pardiso
from .factor.direct import Direct
from .factor.krylov import cg
from .factor.preconditioners import amg, missing_amg
from .typing import Array

GRID = 200
"""Points per side of the grid on which solvers are timed: 40 000 unknowns, some 0.1 s."""


AVX2_KERNELS = {"Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "SapphireRapids"}
"""Kernels of OpenBLAS for x86 processors that use AVX2 or better.

Other kernels do at most half the work per cycle.
"""


REFERENCE = "reference BLAS"


BLAS_NAMES = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS", "flexiblas": "FlexiBLAS"}


@dataclass(frozen=True)
class Candidate:
    """A solver that `doctor` tries.

    distribution: name of the package. missing: function that returns the reason why the
    solver cannot run, or "". solve: function (A, b) ↦ u with A u = b.
    """

    distribution: str
    missing: Callable[[], str]
    solve: Callable[[sparse.csc_array, Array], Array]


def _direct(distribution: str, factorize: Direct) -> Candidate:
    def solve(A: sparse.csc_array, b: Array) -> Array:
        factorize.forget()
        return factorize(A).solve(b)

    return Candidate(distribution, factorize.missing, solve)


def _multigrid(A: sparse.csc_array, b: Array) -> Array:
    return cg(amg())(A).solve(b)


CANDIDATES = {
    "SuperLU": _direct("scipy", superlu.cholesky),
    "CHOLMOD": _direct("scikit-sparse", cholmod.cholesky),
    "Pardiso": _direct("pypardiso", pardiso.cholesky),
    "UMFPACK": _direct("scikit-sparse", umfpack.lu),
    "KLU": _direct("scikit-sparse", klu.lu),
    "AMG": Candidate("pyamg", missing_amg, _multigrid),
}


@dataclass(frozen=True)
class Blas:
    """A BLAS library that this process has loaded.

    kernels: name of the processor that OpenBLAS has detected; "" for another BLAS.
    """

    name: str
    kernels: str
    threads: int
    path: str

    def __str__(self) -> str:
        kernels = f"{self.kernels}, " if self.kernels else ""
        return f"{self.name} ({kernels}{self.threads} thread{'' if self.threads == 1 else 's'})"


@dataclass(frozen=True)
class Solver:
    """The result of trying a solver.

    seconds: time to analyse, factor and solve (nan: not timed). fault: the error, or "".
    """

    name: str
    package: str
    blas: Blas | None
    seconds: float
    fault: str


def laplacian(points: int) -> sparse.csc_array:
    """Return −Δ by five-point differences on a grid of points × points, (points², points²).

    u is zero outside of the grid.
    """
    ones = np.ones(points)
    line = sparse.diags_array([-ones[1:], 2.0 * ones, -ones[1:]], offsets=[-1, 0, 1])
    eye = sparse.eye_array(points)
    return sparse.csc_array(sparse.kron(line, eye) + sparse.kron(eye, line))


def shared_libraries() -> list[str]:
    """Return the paths of the shared libraries in this process; [] except on Linux."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return sorted({line.split(maxsplit=5)[5] for line in lines if "/" in line and ".so" in line})


def blas_in_memory(pools: Iterable[Mapping[str, object]], libraries: Iterable[str]) -> list[Blas]:
    """Return the BLAS libraries in this process.

    pools: result of `threadpoolctl.threadpool_info`; libraries: paths of the shared
    libraries in this process.
    """
    found = [
        Blas(
            f"{BLAS_NAMES.get(str(pool['internal_api']), pool['internal_api'])} "
            f"{str(pool['version']).removesuffix('-Product')}",
            str(pool.get("architecture", "")) if pool["internal_api"] == "openblas" else "",
            int(str(pool["num_threads"])),
            str(pool["filepath"]),
        )
        for pool in pools
        if pool["user_api"] == "blas"
    ]
    # The reference BLAS has no threads to control, so threadpoolctl does not know it.
    # Debian keeps it in a folder blas/; the libblas.so.3 of another folder
    # (openblas-pthread/) hands over to one of those above.
    reference = [
        path for path in libraries if re.search(r"/(blas|lib|lib64)/lib(ref)?blas\.so", path)
    ]
    return found + [Blas(REFERENCE, "", 1, path) for path in reference]


def blas_of(name: str, found: Iterable[Blas]) -> Blas | None:
    """Return the BLAS that a solver calls; None if the solver calls none, or an unknown BLAS.

    SuperLU calls SciPy's BLAS, or the system's; Pardiso calls MKL; CHOLMOD and UMFPACK
    call the system's BLAS.
    """
    found = list(found)
    system = [blas for blas in found if not re.search(r"\.libs/|mkl_rt", blas.path)]
    bundled = [blas for blas in found if "/scipy.libs/" in blas.path]
    choice = {
        "SuperLU": bundled or system,
        "CHOLMOD": system,
        "UMFPACK": system,
        "Pardiso": [blas for blas in found if "mkl_rt" in blas.path],
    }
    return next(iter(choice.get(name, [])), None)


def suitesparse_version(libraries: Iterable[str]) -> str:
    """Return the version of SuiteSparse in this process; "" if SuiteSparse is not loaded."""
    for path in libraries:
        if "/libsuitesparseconfig" in path:
            numbers = (ctypes.c_int * 3)()
            ctypes.CDLL(path).SuiteSparse_version(numbers)
            return ".".join(str(number) for number in numbers)
    return ""


def installed(distribution: str) -> str:
    """Return name and version of a package, or its name with "(not installed)"."""
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"{distribution} (not installed)"


def attempt(candidate: Candidate, points: int) -> tuple[float, str]:
    """Return the seconds to solve −Δu = 1 (the better of two tries), and the error.

    The seconds are nan after an error; the error is "" after a success.
    """
    if reason := candidate.missing():
        return math.nan, reason
    tries = []
    try:
        for size in (5, points, points):  # The first try loads libraries and starts threads.
            A = laplacian(size)
            started = time.perf_counter()
            candidate.solve(A, np.ones(A.shape[0]))
            tries.append(time.perf_counter() - started)
    except SolveError as error:
        return math.nan, str(error)
    return min(tries[1:]), ""


def solvers(points: int) -> list[Solver]:
    """Try every solver on the Laplacian of points × points."""
    outcomes = {name: attempt(candidate, points) for name, candidate in CANDIDATES.items()}
    libraries = shared_libraries()
    found = blas_in_memory(threadpoolctl.threadpool_info(), libraries)
    suitesparse = suitesparse_version(libraries)
    tried = []
    for name, (seconds, fault) in outcomes.items():
        package = installed(CANDIDATES[name].distribution)
        if package.startswith("scikit-sparse"):
            package += f", SuiteSparse {suitesparse}"
        tried.append(Solver(name, package, None if fault else blas_of(name, found), seconds, fault))
    return tried


def environment() -> list[str]:
    """Return three lines with versions, processor and memory."""
    cores = f"{os.cpu_count()} cores"
    if sys.platform == "linux":
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        cores = f"{len(os.sched_getaffinity(0))} of {cores}, {memory:.0f} GiB of memory"
    return [
        f"{installed('sparse-adjoint')}, Python {platform.python_version()}",
        ", ".join(installed(name) for name in ("numpy", "scipy", "matplotlib")),
        f"{platform.system()} {platform.machine()}, {cores}",
    ]


def processor_has_avx2() -> bool:
    """True for an x86 processor with AVX2; False except on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and cpuinfo.exists() and " avx2 " in cpuinfo.read_text()


def findings(tried: Iterable[Solver], avx2: bool) -> list[str]:
    """Return the causes of slow solves on this machine, each cause with its remedy.

    avx2: True if the processor has AVX2.
    """
    working = {one.name: one for one in tried if not one.fault}
    cholesky = working.get("CHOLMOD")
    if cholesky is None:
        if "Pardiso" in working:
            return []
        return [
            "Cholesky runs on SuperLU, several times slower than on CHOLMOD. Remedy: "
            "./scripts/setup.sh with root rights, or the remedy given for CHOLMOD above."
        ]
    found = []
    blas = cholesky.blas
    if blas is not None and blas.name == REFERENCE:
        found.append(
            "CHOLMOD runs on the reference BLAS, 4 to 10 times slower on large problems than on "
            "OpenBLAS. Remedy: apt-get install libopenblas0-pthread."
        )
    if blas is not None and avx2 and blas.kernels and blas.kernels not in AVX2_KERNELS:
        found.append(
            f"The {blas.name} that CHOLMOD calls takes this processor for a {blas.kernels} and "
            "leaves its AVX2 units idle. Remedy: export OPENBLAS_CORETYPE=Haswell."
        )
    if "SuperLU" in working and cholesky.seconds > 2.0 * working["SuperLU"].seconds:
        found.append(
            "CHOLMOD took longer than SuperLU, although it should be faster. Usual cause: BLAS "
            "threads waiting for cores that other programs hold. Remedy: try again on an idle "
            "machine, or export OPENBLAS_NUM_THREADS=1."
        )
    return found


def verdict(tried: Sequence[Solver], avx2: bool) -> str:
    """Return the result of all tests in one or two sentences."""
    working = {one.name: one for one in tried if not one.fault}
    if not working:
        return "nothing here solves a sparse system. Remedy: reinstall NumPy and SciPy."
    if slow := findings(tried, avx2):
        return " ".join(["it works, but slower than it could.", *slow])
    best = working.get("CHOLMOD") or working["Pardiso"]
    return f"good. Cholesky runs on {best.name} with {best.blas}."
