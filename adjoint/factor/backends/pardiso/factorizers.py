"""`lu`, `cholesky` and `ldl` by Pardiso of MKL: on all cores, with static pivoting.

Factorizations are supernodal, and preceded by a matching of rows and columns with large
entries.

Schenk & Gärtner (2004), Solving unsymmetric sparse systems of linear equations with
PARDISO, Future Gener. Comput. Syst. 20, 475; (2006), On fast factorization pivoting
methods for symmetric indefinite systems, ETNA 23, 158.

The values that the function `parameters` returns were found by experiment. Without
matching (iparm 13), a third of the pivots of random unsymmetric matrices are perturbed,
and solutions become nan. With a matching, solutions with 2×2 pivots (iparm 21) had
errors of 10⁻², and solutions with 1×1 pivots had errors of 10⁻¹³. MKL's own scaling
(iparm 11) would hide the determinant; therefore badly scaled matrices are equilibrated
here. MKL's scaling is used only if the factors without MKL's scaling, and GMRES with
these factors, fail to solve a random system. Then log |det A| is not available.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, gmres

from ....errors import SolveError, singular
from ....typing import Array
from ...backward_error import Symmetry, absolute_sums, probe_vector
from ...counts import count, phase
from ...csc import columns_of
from ...direct import Direct
from ...fork_safety import entering_threads
from ..equilibration import Scaling, equilibration
from .factors import GROWTH, Layout, PardisoFactors, factored
from .mkl import Handle, failure, missing

SMALL = 50_000
"""Number of unknowns of an unsymmetric matrix up to which minimum degree is used. For
2·32² to 2·128² unknowns of two reacting species the time of solves was 0.65 to 0.8,
that of factorizations 0.8 to 1.2, relative to nested dissection."""

MISSED = 1e-2
"""Residual, relative to ‖b‖, above which the error after refinement cannot be
rounding."""

MET = 1e-6
"""Residual, relative to a random right-hand side r, that shows that a matrix is
regular. The residual for a singular matrix is below MET with a probability of about
10⁻⁶ √n. Regular matrices with units of 10^±6 reach 10⁻⁷."""

ITERATIONS = 30
"""Length of a cycle of GMRES. Two cycles are made before a matrix with replaced pivots
is refused."""


def parameters(symmetry: Symmetry, n: int) -> Array:
    """Pardiso's parameters iparm, (64,), for n unknowns.

    The entry iparm[i] is called iparm(i + 1) in MKL's manual.
    """
    iparm = np.zeros(64, dtype=np.int32)
    iparm[0] = 1  # no defaults
    # Minimum degree leaves fewer entries in the factors of small grids, nested
    # dissection (METIS) in the factors of large grids.
    iparm[1] = 0 if symmetry == "none" and n <= SMALL else 2
    iparm[9] = 13 if symmetry == "none" else 11  # perturb pivots below 10⁻¹³ ‖A‖, or 10⁻¹¹ ‖A‖
    iparm[12] = symmetry != "hermitian"  # with a matching
    iparm[23] = 10  # two-level factorization: fastest, and the same bits each time
    iparm[34] = 1  # numbers from 0
    iparm[55] = 1  # keep the pivots for `pardiso_getdiag`
    return iparm


@dataclass(eq=False)
class _Matched:
    """A handle whose matching of rows and columns was made for the values of one matrix.

    An object has a memory: the number of perturbed pivots and the growth max |pivot| /
    max |a_ij| of the first factorization, with which later factorizations are compared.
    """

    handle: Handle
    _first: tuple[int, float] | None = field(default=None, init=False)

    def suits(self, perturbed: int, growth: float) -> bool:
        """True if a factorization is about as good as the first factorization with this matching.

        perturbed: its number of perturbed pivots; growth: its max |pivot| / max |a_ij|.
        The first call stores both numbers.
        """
        if self._first is None:
            self._first = perturbed, growth
        return perturbed <= 2 * self._first[0] and growth <= max(GROWTH, 10 * self._first[1])


@dataclass(eq=False)
class _Analysis:
    """The analysis of one pattern, for matrices with different values.

    An object has a memory: the handle that was matched last. If its matching does not
    suit the values of a later matrix, another handle replaces the remembered handle.
    """

    layout: Layout
    symmetry: Symmetry
    matched: _Matched | None = None

    def prepared(self, A: sparse.csc_array) -> tuple[Array, Scaling]:
        """Return the entries of R A C for Pardiso, and (R, C); (None, None) without scaling."""
        if self.symmetry == "hermitian":
            return self.layout.values(A.data), (None, None)
        r, c = equilibration(A, self.symmetry)
        data = A.data if r is None or c is None else A.data * r[A.indices] * c[columns_of(A)]
        return self.layout.values(data), (r, c)

    def match(self, values: Array, name: str) -> _Matched:
        """Reorder, match (unless A is definite) and analyse. Raise SolveError if Pardiso fails."""
        handle, error = Handle.analysed(
            self.layout.pattern, parameters(self.symmetry, self.layout.pattern.n), values
        )
        if error:
            # The matching of MKL fails for matrices of 2×2 blocks, with an error about
            # memory. This is an analysis without matching.
            handle, error = Handle.analysed(
                self.layout.pattern, parameters("hermitian", self.layout.pattern.n), values
            )
        if error:
            raise failure(error, self.layout.pattern.mtype, 0, name)
        self.matched = _Matched(handle)
        return self.matched

    def factor(self, A: sparse.csc_array, name: str) -> PardisoFactors:
        """See `protocols.Analysis`."""
        entering_threads(name)
        values, scaling = self.prepared(A)
        matched = self.matched or self.match(values, name)
        if slot := matched.handle.reserve():
            factors = factored(matched.handle, slot, A, values, scaling, name)
            if self.symmetry == "hermitian" or matched.suits(factors.perturbed, factors.grown):
                return self._trusted(A, factors)
            del factors
        # The matching does not suit these values, or all slots of the handle are in
        # use.
        with phase("analysis"):
            count(symbolic=1)
            matched = self.match(values, name)
        factors = factored(matched.handle, matched.handle.reserve(), A, values, scaling, name)
        matched.suits(factors.perturbed, factors.grown)
        return self._trusted(A, factors)

    def _trusted(self, A: sparse.csc_array, factors: PardisoFactors) -> PardisoFactors:
        """Return `factors` if they solve a random system; otherwise try more careful factors.

        Refinement corrects the effect of perturbed pivots unless these pivots were zero
        up to rounding. The more careful factors are returned only if they show that A
        is regular. Otherwise SingularMatrix is raised if pivots were replaced and the
        solution of the random system is large or not finite; in all other cases
        `factors` is returned.
        """
        if factors.doubt == 0.0:
            return factors
        missed, size = _missed(A, factors)
        if missed <= MISSED or _shown_regular(A, factors):
            return factors
        careful = self._careful(A, factors)
        if careful is not None and _shown_regular(A, careful):
            return careful
        if factors.perturbed and not size <= GROWTH:
            raise singular(
                factors.name,
                f"met {factors.perturbed} pivot(s) that are zero up to rounding: it is singular, "
                "or too nearly so",
            )
        return factors

    def _careful(self, A: sparse.csc_array, factors: PardisoFactors) -> PardisoFactors | None:
        """Factors with nested dissection, MKL's scaling and larger replacements of pivots.

        Returns None if Pardiso fails. Measured on five flows in cavities (pressure
        fixed): these factors solved all five systems; the first factors solved none
        (‖MA − I‖ up to 10²³, where M are solves with the first factors).
        """
        with phase("analysis"):
            count(symbolic=1)
            iparm = parameters(self.symmetry, self.layout.pattern.n)
            iparm[1], iparm[9], iparm[10] = 2, 8, 1
            handle, error = Handle.analysed(self.layout.pattern, iparm, factors.values)
        if error:
            return None
        try:
            return factored(
                handle,
                handle.reserve(),
                A,
                factors.values,
                factors.scaling,
                factors.name,
                scaled=True,
            )
        except SolveError:
            return None


def _missed(A: sparse.csc_array, factors: PardisoFactors) -> tuple[float, float]:
    """Return ‖b − Au‖/‖b‖ and ‖u‖ ‖A‖/‖b‖ for a random b and the solution u by the factors.

    A backward error would not show the failure: replaced pivots may make u so large
    that the backward error is small.
    """
    norm = float(np.abs(A).sum(axis=1).max())
    b = norm * np.random.default_rng(A.shape[0]).standard_normal((A.shape[0], 1))
    with np.errstate(all="ignore"):
        u = factors.solve(b.astype(A.dtype), "N")
        return float(np.abs(b - A @ u).max() / np.abs(b).max()), float(
            np.abs(u).max() if norm > 0.0 else np.inf
        )


def _shown_regular(A: sparse.csc_array, factors: PardisoFactors) -> bool:
    """True if GMRES, preconditioned by the factors, solves D⁻¹A u = r to MET ‖r‖, r random.

    D holds the sums of the rows of |A|. If A is singular, there is a vector y with
    yᴴD⁻¹A = 0. Then the norm of every residual is at least |yᴴr|/‖y‖₂, and this bound
    is not small for a random r.
    """
    sums, r = absolute_sums(A, "N"), probe_vector(A.shape[0])
    if not sums.min() > 0.0:
        return False
    operator = LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: (A @ v.ravel()) / sums)
    inverse = LinearOperator(
        A.shape,
        dtype=A.dtype,
        matvec=lambda v: factors.solve((v.ravel() * sums)[:, None].astype(A.dtype), "N")[:, 0],
    )
    with np.errstate(all="ignore"):
        u, _ = gmres(
            operator,
            r,
            M=inverse,
            rtol=0.1 * MET,
            atol=0.0,
            restart=min(r.size, ITERATIONS),
            maxiter=2,
        )
        return bool(np.linalg.norm(operator @ u - r) <= MET * np.linalg.norm(r))


def analyser(
    symmetry: Symmetry, real: int, complex: int
) -> Callable[[sparse.csc_array], _Analysis]:
    """Return the function A ↦ analysis of the pattern of A.

    real, complex: MKL's `mtype` for real and for complex matrices.
    """

    def analyse(A: sparse.csc_array) -> _Analysis:
        name = f"Pardiso's analysis of a {A.shape[0]}x{A.shape[1]} matrix"
        entering_threads(name)
        analysis = _Analysis(Layout.of(A, complex if A.dtype.kind == "c" else real), symmetry)
        analysis.match(analysis.prepared(A)[0], name)
        return analysis

    return analyse


lu = Direct("LU by Pardiso", "none", analyser("none", 11, 13), missing)


cholesky = Direct("Cholesky by Pardiso", "hermitian", analyser("hermitian", 2, 4), missing)


ldl = Direct("LDL by Pardiso", "symmetric", analyser("symmetric", -2, 6), missing)
