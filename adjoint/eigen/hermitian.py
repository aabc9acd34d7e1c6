"""Eigenpairs of a Hermitian pencil K(p) φ = μ M(p) φ, and the derivatives of p ↦ (μ, φ).

See docs/math/spectra.md, eqs. 200–212.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .._dataclasses import Local
from .._optional_methods import checked_matrix_hvp
from .._validation import as_array, as_cotangent, as_parameters, first_nonfinite
from ..errors import CutCluster, KrylovStalled, NonFinite, NotSymmetric, RepeatedEigenvalue
from ..factor.counts import Counts, collecting, phase
from ..factor.evidence import Evidence
from ..protocols import Matrix, Objective
from ..steady.solution import SteadySolution
from ..typing import Array
from .cluster_blocks import GAUGE, RESOLUTION, ROTATION
from .complex_equations import (
    ComplexEigenEquations,
    ComplexEigenResidual,
    OfNormalized,
    PencilInverse,
    pencil,
)
from .deflated_cg import deflated_cg
from .equations import EigenEquations, EigenInverse, EigenResidual, OfVector, flat
from .hermitian_modes import MORE, HermitianModes, more_modes
from .pencils import RealPencil

Groups = Sequence[Sequence[int]]
"""Indices of modes whose common basis a cotangent does not depend on."""

NEAR = 1e-2
"""Relative gap below which clusters are united for functions that do not depend on the basis."""
CANCELLED = 1e-5
"""Largest accepted relative rounding error of second derivatives next to equal eigenvalues."""

SKEW = 1e-8
"""Relative skew part of ΦᴴK̇Φ and ΦᴴṀΦ that counts as zero."""

ADDITIONS = 3
"""Maximum number of times that guards are added because a derivative stalls."""


@dataclass(eq=False)
class _Known:
    """A memory of the modes known so far, and of the largest number of CG iterations."""

    modes: HermitianModes
    iterations: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class HermitianEigenSolution(Local):
    """Eigenpairs of a Hermitian pencil, and the derivative of p ↦ (μ, φ).

    Eigenvalues ascend. Each φ satisfies φᴴ M φ = 1, and one entry of φ is real and
    positive: the first entry whose modulus is within 10⁻³ of the largest. Vectors of a
    cluster of equal eigenvalues are an M-orthonormal basis of its space, the same in
    each run. All derivatives use the factors of K − σM.

    Attributes
    ----------
    u : (n + 1, k) array
        Row 0 holds the eigenvalues, rows 1 … n the eigenvectors.
    p : (m,) array
        The parameters.
    K, M : Matrix
        K(p) and M(p).
    pencil : RealPencil
        The matrices at p, with the factors of K − σM (internal).
    prebuckling : SteadySolution or None
        The displacements u(p) of a `LinearBuckling` problem, whose M(p) is −G(u(p), p).
    """

    portable = "the problem and the parameters, and solve there"

    u: Array
    p: Array
    K: Matrix
    M: Matrix
    pencil: RealPencil
    _counts: Counts
    _known: _Known = field(repr=False)
    prebuckling: SteadySolution | None = None

    def __repr__(self) -> str:
        return f"HermitianEigenSolution({self.values.size} eigenvalues, n = {self.pencil.n})"

    # The eigenpairs -------------------------------------------------------------------------------

    @property
    def values(self) -> Array:
        """Eigenvalues μ, (k,), real, ascending."""
        return self.u[0].real

    @property
    def vectors(self) -> Array:
        """Eigenvectors φ, (n, k), with φᴴ M φ = 1."""
        return self.u[1:]

    @property
    def left(self) -> Array:
        """Left eigenvectors, the right ones as the pencil is Hermitian; shape (n, k)."""
        return self.vectors

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the eigenvalues of each cluster; a simple eigenvalue is one index.

        Guards, which have indices ≥ k, are included: a cluster with a guard is cut by
        `count`.
        """
        k = self.values.size
        return tuple(cluster for cluster in self._known.modes.clusters if cluster[0] < k)

    @property
    def residuals(self) -> Array:
        """‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each eigenpair, (k,)."""
        return self.pencil.backward_errors(self.values, self.vectors)

    @property
    def iterations(self) -> int:
        """Largest number of iterations of a block solve for eigenvectors so far."""
        return self._known.iterations

    @property
    def evidence(self) -> Evidence:
        """The backward errors of the solves so far, and the counts of all work."""
        return replace(self.pencil.inverse.evidence, counts=self._counts.copy())

    def equations(
        self, objective: Objective
    ) -> tuple[EigenEquations | ComplexEigenEquations, Objective]:
        """Return the eigenpairs as a solution of equations, for `Point.accuracy`.

        See docs/math/accuracy.md, eqs. 342–345, and 346–349 for complex pencils.

        Parameters
        ----------
        objective : Objective
            J, a function of the packed state.

        Returns
        -------
        (SolutionOfEquations, Objective)
            The solution, and J as a function of its vector.

        Raises
        ------
        TypeError
            Of a buckling problem: the errors of u are not estimated.
        RepeatedEigenvalue
            If an eigenvalue is multiple: its equations are singular.
        """
        if self.prebuckling is not None:
            raise TypeError(
                "accuracy: got the solution of a LinearBuckling problem, expected that of an "
                "EigenProblem: the errors of the displacements u(p) are not estimated"
            )
        k = self.values.size
        for cluster in self._multiple():
            raise RepeatedEigenvalue(
                f"the equations of the cluster {self._named(cluster)} are singular, so that "
                "errors of its eigenpairs cannot be estimated"
            )
        M_vectors = np.asarray(self.pencil.apply_M(self.vectors))
        if self.u.dtype.kind == "c":
            resolvent = PencilInverse(
                self.vectors,
                self.vectors,
                M_vectors,
                M_vectors,
                lambda b, _: self._resolvent(b),
                self.evidence,
            )
            complex_residual = ComplexEigenResidual(pencil(self.K, self.M), M_vectors)
            return (
                ComplexEigenEquations(flat(self.u), self.p, complex_residual, resolvent),
                OfNormalized(objective, self._known.modes.anchors[:k], self.M),
            )
        inverse = EigenInverse(self.vectors, M_vectors, self._resolvent, self.evidence)
        residual = EigenResidual(self.K, self.M, k)
        return EigenEquations(flat(self.u), self.p, residual, inverse), OfVector(objective, k)

    # First derivatives ----------------------------------------------------------------------------

    def adjoint(self, u_bar: Array) -> Array:
        """Return the adjoint state of ū (docs/math/spectra.md, eq. 208).

        Parameters
        ----------
        u_bar : (n + 1, k) or (n + 1, k, j) array
            Cotangents of the values (row 0) and of the vectors; j objectives together.

        Returns
        -------
        array
            Of ū's shape: rows 1 … n hold λ with dJ = Re Σ λᴴ (dK − μ dM) φ + the part
            of the normalization. Row 0 holds ū's row 0.

        Raises
        ------
        RepeatedEigenvalue
            If the cotangent depends on the basis of a cluster.
        CutCluster
            If the cotangent depends on a cluster that `count` cuts.
        """
        u_bar = self._as_bar(u_bar)
        bars = u_bar.reshape(*self.u.shape, -1)
        return self._adjoint(bars, self._groups(bars[1:])).reshape(u_bar.shape)

    def _as_bar(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the packed cotangent as an array (n + 1, k) or (n + 1, k, j)."""
        u_bar = as_array("vjp", "u_bar", u_bar)
        n, k = self.vectors.shape
        if u_bar.shape == (k,) or vectors_bar is not None:
            if u_bar.shape != (k,):
                raise ValueError(f"got values_bar of shape {u_bar.shape}, expected ({k},)")
            rows = np.zeros((n, k)) if vectors_bar is None else vectors_bar
            rows = as_array("vjp", "vectors_bar", rows)
            if rows.shape != (n, k):
                raise ValueError(f"got vectors_bar of shape {rows.shape}, expected ({n}, {k})")
            u_bar = np.concatenate([u_bar[None], rows])
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        if found := first_nonfinite(u_bar):
            raise NonFinite(f"an entry of u_bar is {found[1]}, expected finite numbers")
        if u_bar.dtype.kind == "c" and self.u.dtype.kind != "c":
            raise TypeError(
                "got a complex u_bar, but the eigenpairs are real; expected real numbers"
            )
        return u_bar.astype(self.u.dtype)

    def _multiple(self) -> Iterator[list[int]]:
        """Yield the members of each cluster that has more than one, guards included."""
        for cluster in self.clusters:
            if len(cluster) > 1:
                yield list(cluster)

    def _groups(self, vectors_bar: Array) -> Groups:
        """Return the clusters; near ones are united if Φ̄ does not depend on the basis of both.

        Derivatives with respect to a rotation of two vectors are divided by the gap. For
        cotangents Φ̄ (n, k, j) of a function of the space these terms cancel. Without them
        the formulas hold for any gap, and no digits are lost.
        """
        groups = [list(cluster) for cluster in self.clusters]
        if not vectors_bar.any():
            return groups
        values, k = self._known.modes.values, self.values.size
        N = np.einsum("na,nbj->abj", self.vectors.conj(), vectors_bar)
        skew = np.abs(N - N.conj().transpose(1, 0, 2))
        sizes = np.linalg.norm(vectors_bar, axis=0)
        sizes = sizes * np.linalg.norm(self.vectors, axis=0).max()
        accepted = ROTATION * np.maximum(sizes[:, None], sizes[None, :])
        invariant = (skew <= accepted).all(axis=2)
        apart = np.abs(values[:k, None] - values[None, :k])
        scale = np.maximum(np.abs(values[:k, None]), np.abs(values[None, :k]))
        near = np.argwhere(np.triu(apart <= NEAR * scale, 1) & invariant)
        for a, b in near[np.argsort(apart[near[:, 0], near[:, 1]], kind="stable")]:
            one, other = (next(group for group in groups if x in group) for x in (a, b))
            union = sorted({*one, *other})
            if one is not other and union[-1] < k and invariant[np.ix_(union, union)].all():
                groups = [group for group in groups if group not in (one, other)] + [union]
        return groups

    def _multipliers(self, vectors_bar: Array, groups: Groups) -> tuple[Array, Array]:
        """Return (N, ν): N = −Φ_CᴴΦ̄_C for each group, as blocks of (c, k, j), and ν (k, j).

        ν is the multiplier of the phase, zero inside of groups.
        """
        modes, k = self._known.modes, self.values.size
        inside = np.einsum("nc,nkj->ckj", modes.vectors.conj(), vectors_bar)
        same = np.zeros((modes.values.size, k), dtype=bool)
        for group in groups:
            for b in group:
                same[b, [a for a in group if a < k]] = True
        N = np.where(same[:, :, None], -inside, 0.0)
        nu = np.zeros((k, vectors_bar.shape[2]))
        for group in groups:
            if len(group) == 1:  # The phase of a single mode is fixed; see `anchors`.
                a = group[0]
                nu[a] = N[a, a].imag / self._pivots[a]
                N[a, a] = N[a, a].real
        return N, nu

    @property
    def _pivots(self) -> Array:
        """The real positive entry of each φ, (k,)."""
        modes, k = self._known.modes, self.values.size
        return modes.vectors[modes.anchors[:k], np.arange(k)].real

    def _require_invariant(self, u_bar: Array, N: Array) -> None:
        """Raise RepeatedEigenvalue or CutCluster unless ū is invariant in all clusters."""
        k = self.values.size
        for cluster in self._multiple():
            wanted = [a for a in cluster if a < k]
            values_bar, vectors_bar = u_bar[0, wanted].real, u_bar[1:, wanted]
            if len(wanted) < len(cluster):
                if values_bar.any() or vectors_bar.any():
                    raise self._cut(cluster)
                continue
            size = np.abs(values_bar).max(axis=0)
            spread = np.abs(values_bar[:, None] - values_bar[None]) / np.where(size > 0, size, 1.0)
            accepted = self._spreads(cluster)[:, :, None]
            if not (spread <= accepted).all():
                raise self._repeated(cluster, "values", float(spread.max()))
            block = N[np.ix_(cluster, wanted)]
            skew = np.abs(block - block.conj().transpose(1, 0, 2)).max(axis=(0, 1))
            phi = np.linalg.norm(self.vectors[:, wanted], axis=0).max()
            size = np.linalg.norm(vectors_bar, axis=0).max(axis=0) * phi
            if (skew > ROTATION * size).any():
                part = float((skew / np.where(size > 0.0, size, 1.0)).max())
                raise self._repeated(cluster, "vectors", part)

    def _spreads(self, cluster: list[int]) -> Array:
        """Return the accepted relative differences of cotangents of a cluster's values, (r, r).

        Cotangents of a steep smooth function, such as PNorm(1000), differ in proportion to
        the values.
        """
        modes = self._known.modes
        values = modes.values[cluster]
        noise = np.maximum(modes.roundings, modes.residuals * np.abs(modes.values - modes.sigma))
        least = max(RESOLUTION * np.abs(values).max(), noise[cluster].max(), np.finfo(float).tiny)
        return np.asarray(GAUGE * np.maximum(1.0, np.abs(values[:, None] - values) / least))

    def _named(self, cluster: list[int]) -> str:
        values = ", ".join(f"{self._known.modes.values[i]:.12g}" for i in cluster)
        return f"{cluster} ({values})"

    def _repeated(self, cluster: list[int], what: str, part: float) -> RepeatedEigenvalue:
        accepted = GAUGE if what == "values" else ROTATION
        return RepeatedEigenvalue(
            f"the objective depends on single {what} of the cluster {self._named(cluster)}, which "
            f"are not differentiable there: the part of the cotangent that depends on the basis "
            f"is {part:.1e} of its size, accepted is {accepted:.0e}. Ask for a quantity of the "
            "whole cluster: EigenvalueSum, EigenvalueSmoothMin, EigenvalueSmoothMax or Projector. "
            "One-sided derivatives of the members: directional(p_dot). To maximize the smallest "
            "eigenvalue: BoundFormulation"
        )

    def _cut(self, cluster: list[int]) -> CutCluster:
        # The members are the wanted modes farthest from σ, then the first guards.
        low, high = sum(mode not in cluster for mode in range(self.values.size)), cluster[-1] + 1
        fewer = f"count={low} or " if low else ""
        return CutCluster(
            f"the objective depends on eigenvalues of the cluster {self._named(cluster)}, but "
            f"count={self.values.size} cuts the cluster. Ask for {fewer}count={high}"
        )

    def _adjoint(self, u_bar: Array, groups: Groups) -> Array:
        """Return the adjoint state of ū, (n + 1, k, j)."""
        modes, k = self._known.modes, self.values.size
        N, nu = self._multipliers(u_bar[1:], groups)
        self._require_invariant(u_bar, N)
        # ȳ = φ̄ + MΦ_C N + i ν e: orthogonal to the group.
        y_bar = u_bar[1:] + np.einsum("nc,ckj->nkj", modes.M_vectors, N)
        if nu.any():
            y_bar[modes.anchors[:k], np.arange(k)] += 1j * nu
        lam = np.empty_like(u_bar)
        lam[0] = u_bar[0]
        lam[1:] = u_bar[0].real[None] * self.vectors[:, :, None] - self._resolvent(y_bar, groups)
        return lam

    def _resolvent(self, rhs: Array, groups: Groups = ()) -> Array:
        """Solve (K − μ_i M) y_i = rhs_i without parts along the cluster of i; rhs: (n, k, j).

        groups: unions of clusters, which are left out as well. Parts along computed modes
        in closed form, the rest by deflated CG (docs/math/spectra.md, eqs. 203 and 204). If
        CG stalls next to a mode that is not known, more modes are computed, with the same
        factors.
        """
        k, j = self.values.size, rhs.shape[2]
        flat = rhs.reshape(rhs.shape[0], -1)
        used = np.flatnonzero(np.abs(flat).max(axis=0, initial=0.0) > 0.0)
        y = np.zeros_like(flat)
        if used.size:
            owner = np.repeat(np.arange(k), j)[used]
            with collecting(self._counts):
                y[:, used] = self._solved_with_guards(flat[:, used], owner, groups)
        return y.reshape(rhs.shape)

    def _solved_with_guards(self, rhs: Array, owner: Array, groups: Groups) -> Array:
        """Return `_solved`, with more guards where CG stalls; they stay known to the solution."""
        for addition in range(ADDITIONS):
            try:
                return self._solved(rhs, owner, groups)
            except KrylovStalled:
                self._known.modes = more_modes(self.pencil, self._known.modes, MORE * 2**addition)
        return self._solved(rhs, owner, groups)

    def _solved(self, rhs: Array, owner: Array, groups: Groups) -> Array:
        """Solve (K − μ_i M) y = rhs for columns that belong to the modes `owner`, (n, columns)."""
        modes, pencil = self._known.modes, self.pencil
        V, MV, values = modes.vectors, modes.M_vectors, modes.values
        along = V.conj().T @ rhs
        divisor = values[:, None] - values[None, owner]
        for group in (*modes.clusters, *groups):
            inside = np.isin(np.arange(values.size), group)
            divisor[np.outer(inside, np.isin(owner, group))] = np.inf
        y = V @ (along / divisor)
        if V.shape[1] < V.shape[0]:
            P, shifts = modes.complement, values[owner] - pencil.sigma
            b = pencil.inverse.solve(rhs - MV @ along)
            x, iterations = deflated_cg(
                pencil.S, pencil.apply_W, P, shifts, b, pencil.most_iterations
            )
            self._known.iterations = max(self._known.iterations, iterations)
            y = y + x
        return y

    def vjp(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the gradient (du/dp)ᴴ ū; block solves only if ū has parts along vectors.

        Parameters
        ----------
        u_bar : (n + 1, k) or (n + 1, k, j) array, or (k,) array
            Packed cotangents, or the cotangents of the values only.
        vectors_bar : (n, k) array, optional
            Cotangents of the vectors; u_bar then holds those of the values, (k,).

        Returns
        -------
        (m,) or (m, j) array
            g with dJ = Re(gᴴ dp).

        Raises
        ------
        RepeatedEigenvalue, CutCluster
            Under the conditions of `adjoint`.
        """
        u_bar = self._as_bar(u_bar, vectors_bar)
        bars = u_bar.reshape(*self.u.shape, -1)
        groups = self._groups(bars[1:])
        lam = self._adjoint(bars, groups)
        N, _ = self._multipliers(bars[1:], groups)
        with collecting(self._counts), phase("gradient"):
            columns = [self._pulled_back(lam[1:, :, j], N[:, :, j]) for j in range(bars.shape[2])]
        g = np.stack(columns, axis=-1) if columns else np.zeros((self.p.size, 0))
        return g if u_bar.ndim == 3 else g[:, 0]

    def _pulled_back(self, lam: Array, N: Array) -> Array:
        """Return g: Re(gᴴṗ) = Re Σ λᴴ(K̇ − μṀ)φ + ½ Re tr(Nᴴ Φ_CᴴṀΦ_C), (m,); lam: (n, k)."""
        phi = np.ascontiguousarray(self.vectors)
        stiff_left = np.ascontiguousarray(lam)
        # ½ tr(Nᴴ ΦᴴṀΦ) = ½ Σ_a (Φ_C N_a)ᴴ Ṁ φ_a
        mass_left = np.ascontiguousarray(0.5 * (self._known.modes.vectors @ N) - lam * self.values)
        gK = as_cotangent(self.K.vjp(self.p, phi, stiff_left), self.p, "the vjp of K")
        gM = as_cotangent(self.M.vjp(self.p, phi, mass_left), self.p, "the vjp of M")
        g = gK + gM
        if found := first_nonfinite(g):
            raise NonFinite(f"the vjp of K or M is {found[1]} at component {found[0]}")
        return g

    def jvp(self, p_dot: Array) -> Array:
        """Return the rates of u along ṗ, (n + 1, k) or (n + 1, k, j).

        Inside a cluster the rates of the values are those of `directional`, and the
        rates of the vectors are those of a basis that does not rotate inside of its
        space: they are right for functions that do not depend on the basis.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions, which are solved together.

        Returns
        -------
        array
            The rates, of u's shape, or with one more axis of length j.

        Raises
        ------
        ValueError
            If ṗ has the wrong shape.
        """
        p_dot = as_array("jvp", "p_dot", p_dot)
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != self.p.size:
            raise ValueError(
                f"got p_dot of shape {p_dot.shape}, expected ({self.p.size},) or ({self.p.size}, j)"
            )
        u_dot = self._tangent(p_dot.reshape(self.p.size, -1))
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    def _rates(self, p_dot: Array) -> tuple[Array, Array]:
        """Return ((K̇ − μ Ṁ) Φ, Ṁ Φ) along one direction (m,), each (n, c), guards included."""
        modes = self._known.modes
        phi = np.ascontiguousarray(modes.vectors)
        direction = as_parameters(p_dot, "p_dot")
        M_dot_phi = np.asarray(self.M.jvp(self.p, phi, direction))
        K_dot_phi = np.asarray(self.K.jvp(self.p, phi, direction))
        for name, rate in (("K", K_dot_phi), ("M", M_dot_phi)):
            _require_hermitian_rate(name, phi, rate)
        return K_dot_phi - M_dot_phi * modes.values, M_dot_phi

    def _blocks(self, rates: Array) -> Iterator[tuple[list[int], Array, Array]]:
        """Yield (cluster, ν, Q) with Φ_Cᴴ(K̇ − μṀ)Φ_C = Q diag(ν) Qᴴ, ν ascending."""
        phi = self._known.modes.vectors
        for cluster in map(list, self.clusters):
            block = phi[:, cluster].conj().T @ rates[:, cluster]
            nu, Q = np.linalg.eigh(0.5 * (block + block.conj().T))
            yield cluster, nu, Q

    def _tangent(self, p_dot: Array) -> Array:
        """Return the rates of u, (n + 1, k, j)."""
        modes, k = self._known.modes, self.values.size
        n, j = self.pencil.n, p_dot.shape[1]
        dtype = self.u.dtype
        rhs, A = np.empty((n, k, j), dtype=dtype), np.zeros((modes.values.size, k, j), dtype=dtype)
        u_dot = np.empty((n + 1, k, j), dtype=dtype)
        with collecting(self._counts), phase("gradient"):
            for i in range(j):
                rates, M_dot_phi = self._rates(p_dot[:, i])
                for cluster, nu, _ in self._blocks(rates):
                    wanted = [a for a in cluster if a < k]
                    u_dot[0, wanted, i] = self._nearest(nu, wanted)
                    A[np.ix_(cluster, wanted, [i])] = (
                        -0.5 * modes.vectors[:, cluster].conj().T @ M_dot_phi[:, wanted]
                    )[:, :, None]
                rhs[:, :, i] = -rates[:, :k]
        y = self._resolvent(rhs)
        modes = self._known.modes  # The solve may have added guards.
        u_dot[1:] = y + np.einsum("nc,ckj->nkj", modes.vectors[:, : A.shape[0]], A)
        if dtype.kind == "c":
            for single in self.clusters:
                if len(single) == 1:
                    a = single[0]
                    turn = y[modes.anchors[a], a].imag / self._pivots[a]
                    u_dot[1:, a] -= 1j * turn * self.vectors[:, a, None]
        return u_dot

    def directional(self, p_dot: Array) -> Array:
        """Return one-sided derivatives of the eigenvalues along ṗ.

        A cluster of r eigenvalues splits into μ + h ν_i for small h > 0, where ν_i are the
        eigenvalues of the r × r block Φᴴ(K̇ − μṀ)Φ of the cluster.

        Parameters
        ----------
        p_dot : (m,) array
            Direction.

        Returns
        -------
        (k,) array
            The derivatives, ascending within each cluster.
        """
        p_dot = as_parameters(p_dot, "p_dot")
        if p_dot.shape != self.p.shape:
            raise ValueError(f"got p_dot of shape {p_dot.shape}, expected {self.p.shape}")
        k = self.values.size
        mu_dot = np.empty(k)
        with collecting(self._counts), phase("gradient"):
            for cluster, nu, _ in self._blocks(self._rates(p_dot)[0]):
                wanted = [a for a in cluster if a < k]
                mu_dot[wanted] = self._nearest(nu, wanted)
        return mu_dot

    def _nearest(self, nu: Array, wanted: list[int]) -> Array:
        """Return the rates of the wanted members of a cluster: those that stay nearest to σ."""
        below = self.values[wanted[0]] < self.pencil.sigma
        return nu[nu.size - len(wanted) :] if below else nu[: len(wanted)]

    def rayleigh_gradients(self, T: Array) -> Array:
        """Return the gradients of the Rayleigh quotients of the fixed vectors Φ t_j.

        With t a unit vector this is φ_iᴴ (∂K/∂p − μ_i ∂M/∂p) φ_i: the gradient of μ_i
        if μ_i is simple, and an element of its generalized gradient (Clarke 1983) if
        not.

        Parameters
        ----------
        T : (k, q) array
            Coefficients of q vectors in the eigenvectors, each of norm 1.

        Returns
        -------
        (m, q) array
            One gradient per vector.
        """
        columns = []
        with collecting(self._counts), phase("gradient"):
            for t in np.asarray(T).T:
                rho = float((np.abs(t) ** 2) @ self.values)
                v = np.ascontiguousarray(self.vectors @ t)
                gK = as_cotangent(self.K.vjp(self.p, v, v), self.p, "the vjp of K")
                gM = as_cotangent(self.M.vjp(self.p, v, rho * v), self.p, "the vjp of M")
                columns.append(gK - gM)
        return np.stack(columns, axis=-1)

    # Second derivatives ---------------------------------------------------------------------------

    def linearized(self, p_dot: Array) -> "HermitianLinearization":
        """Return the eigenpairs, linearized along directions, for Hessian-vector products.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions, which are solved together.

        Returns
        -------
        HermitianLinearization
            u̇, and the rates of `vjp`.
        """
        return HermitianLinearization(self, np.asarray(p_dot), self.jvp(p_dot))


def _require_hermitian_rate(name: str, phi: Array, rate: Array) -> None:
    """Raise unless Φᴴ(ṀΦ) is Hermitian, and real if Φ is real; rate: K̇Φ or ṀΦ, (n, c)."""
    if rate.dtype.kind == "c" and phi.dtype.kind != "c":
        raise TypeError(
            f"the rate of {name} is complex, but {name}(p) and the eigenpairs are real; expected "
            f"a {name}(p) of complex dtype at each p"
        )
    block = phi.conj().T @ rate
    skew = np.abs(block - block.conj().T)
    sizes = np.outer(np.linalg.norm(phi, axis=0), np.linalg.norm(rate, axis=0))
    if (skew > SKEW * np.maximum(sizes, sizes.T)).any():
        raise NotSymmetric(
            f"the rate of {name} along p_dot is not symmetric (Hermitian): eigenpairs of a "
            f"symmetric pencil have no derivative there. The skew part is {skew.max():.1e} of "
            f"{np.abs(block).max():.1e}. Usual cause: parameters that change a_ij but not a_ji. "
            "Use adjoint.lu, or parameters of symmetric matrices"
        )


@dataclass(frozen=True, eq=False)
class HermitianLinearization:
    """Eigenpairs linearized along ṗ (docs/math/spectra.md, eqs. 209–212).

    solution: the eigenpairs; p_dot: ṗ, (m,) or (m, j); u_dot: u̇, of u's shape, or with
    one more axis of length j.
    """

    solution: HermitianEigenSolution
    p_dot: Array
    u_dot: Array

    def vjp_rate(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """Return the rate of p ↦ (du/dp)ᴴ ū along ṗ, while ū has the rate ū̇: (m,) or (m, j).

        Quantities of a whole cluster are differentiated with the block Φ_Cᴴ(K̇ −
        μṀ)Φ_C.

        Raises TypeError if K or M has no `hvp`, RepeatedEigenvalue or CutCluster under
        the conditions of `HermitianEigenSolution.adjoint`, RepeatedEigenvalue if terms of
        size 1/gap² cancel to fewer than five digits.
        """
        s = self.solution
        shape, m = s.u.shape, s.p.size
        bar = s._as_bar(u_bar)
        rates = np.asarray(u_bar_dot).astype(s.u.dtype).reshape(*shape, -1)
        if self.p_dot.ndim == 2 and self.p_dot.shape[1] == 0:
            return np.zeros((m, 0))
        u_dot, p_dot = self.u_dot.reshape(*shape, -1), self.p_dot.reshape(m, -1)
        groups = s._groups(bar[1:, :, None])
        N, _ = s._multipliers(bar[1:, :, None], groups)
        lam = s._adjoint(bar[:, :, None], groups)[1:, :, 0]
        steps = [
            _Rate.along(
                s, p_dot[:, i], u_dot[1:, :, i], bar, rates[:, :, i], groups, lam, N[:, :, 0]
            )
            for i in range(p_dot.shape[1])
        ]
        z = s._resolvent(np.stack([step.rhs for step in steps], axis=-1), groups)
        columns = [step.gradient(s, z[:, :, i], lam) for i, step in enumerate(steps)]
        for step, column, direction in zip(steps, columns, p_dot.T, strict=True):
            size = np.linalg.norm(column) * np.linalg.norm(direction)
            if not step.rounding <= CANCELLED * size:
                raise RepeatedEigenvalue(
                    "second derivative: eigenvalues are so close that the rates of single vectors, "
                    f"which are as large as 1/gap, leave a relative rounding error of about "
                    f"{step.rounding / size if size else np.inf:.0e}, accepted is {CANCELLED:.0e}. "
                    f"Eigenvalues: {np.array2string(s.values, precision=10)}. Remedy: functions "
                    "of the values, or of the space of all near vectors, such as Projector"
                )
        g = np.stack(columns, axis=-1)
        return g[:, 0] if self.p_dot.ndim == 1 else g


@dataclass(frozen=True, eq=False)
class _Rate:
    """The terms of a second derivative along one direction, before and after its block solve.

    phi_dot: Φ̇, (n, k); inside: the part of λ̇ in the clusters, (n, k); rhs: the
    right-hand side of the block solve, (n, k); mass_left_dot: the rate of the left
    vectors of Ṁ without λ̇, (n, k); mass_left: these vectors, (n, k); parts: rates of
    the vjps with fixed vectors, (m,); rounding: the size of the rounding errors of ṗᵀHṗ
    that rotations of single vectors leave.
    """

    phi_dot: Array
    inside: Array
    rhs: Array
    mass_left: Array
    mass_left_dot: Array
    parts: Array
    rounding: float

    @classmethod
    def along(
        cls,
        s: HermitianEigenSolution,
        p_dot: Array,
        phi_dot: Array,
        bar: Array,
        bar_dot: Array,
        groups: Groups,
        lam: Array,
        N: Array,
    ) -> "_Rate":
        """Assemble the terms (docs/math/spectra.md, eqs. 210 and 211).

        N: (c, k), multipliers of the normalization; zero for modes that `count` cuts off.
        """
        k, pencil = s.values.size, s.pencil
        phi, N = np.ascontiguousarray(s.vectors), N[:k]
        phi_dot = np.ascontiguousarray(phi_dot)
        with collecting(s._counts), phase("gradient"):
            of_K, M_dot_phi = s._rates(p_dot)
            M_dot_phi = M_dot_phi[:, :k]
            left = np.ascontiguousarray(lam)
            mass_left = np.ascontiguousarray(0.5 * phi @ N - lam * s.values)
            K_lam, pK = checked_matrix_hvp(s.K, s.p, phi, left, as_parameters(p_dot))
            M_left, pM = checked_matrix_hvp(s.M, s.p, phi, mass_left, as_parameters(p_dot))
        same, turning = np.zeros((k, k), dtype=bool), np.zeros((k, k), dtype=bool)
        for group in groups:
            wanted = [a for a in group if a < k]
            same[np.ix_(wanted, wanted)] = True
            turning[np.ix_(wanted, wanted)] = len(group) > 1
        for cluster in s._multiple():
            wanted = [a for a in cluster if a < k]
            turning[np.ix_(wanted, wanted)] = False
        gaps = s.values[:, None] - s.values[None, :]
        # Rates of φ along other modes, block/gap.
        turn = phi.conj().T @ (pencil.apply_M(phi_dot) + 0.5 * M_dot_phi)
        sizes = np.linalg.norm(bar[1:], axis=0) * np.linalg.norm(phi, axis=0).max()
        scale = np.maximum(np.abs(s.values[:, None]), np.abs(s.values[None, :]))
        rotating = ~same & (np.abs(gaps) <= NEAR * scale)
        squares = np.where(rotating, np.abs(turn) ** 2, 0.0)
        rounding = float(np.finfo(float).eps * (squares * np.maximum(sizes, sizes[:, None])).max())
        if turning.any():
            # The rotation of the bases of united clusters, and its part of the rate of Φ̄.
            turn = np.where(turning, turn, 0.0)
            phi_dot = np.ascontiguousarray(phi_dot - phi @ turn)
            bar_dot = np.concatenate([bar_dot[:1], bar_dot[1:] - bar[1:] @ turn])
        M_phi_dot, M_lam = pencil.apply_M(phi_dot), pencil.apply_M(left)
        block = phi.conj().T @ of_K[:, :k]
        L_dot = np.where(same, 0.5 * (block + block.conj().T), 0.0)
        values_bar = bar[0].real
        slopes = (values_bar[:, None] - values_bar[None, :]) / np.where(
            turning & (gaps != 0.0), gaps, np.inf
        )
        W_dot = slopes * L_dot + np.diag(bar_dot[0].real)
        for cluster, _, Q in s._blocks(of_K):
            wanted = [a for a in cluster if a < k]
            values_bar_dot = bar_dot[0, wanted].real
            if len(wanted) < len(cluster):
                if values_bar_dot.any() or bar_dot[1:, wanted].any():
                    raise s._cut(cluster)
                continue
            W_dot[np.ix_(wanted, wanted)] = (Q * values_bar_dot) @ Q.conj().T
        R = bar_dot[1:] + K_lam + M_left + 0.5 * M_dot_phi @ N + M_phi_dot @ N - M_lam @ L_dot
        N_dot = np.where(same, -(phi.conj().T @ R), 0.0)
        pivots = s._pivots
        if phi.dtype.kind == "c":
            anchors = s._known.modes.anchors[:k]
            for single in groups:
                if len(single) == 1:
                    a = single[0]
                    R[anchors[a], a] += 1j * N_dot[a, a].imag / pivots[a]
                    N_dot[a, a] = N_dot[a, a].real
        R = R + s._known.modes.M_vectors[:, :k] @ N_dot
        coordinates = np.where(same, W_dot - (M_dot_phi + M_phi_dot).conj().T @ lam, 0.0)
        N_dot = N_dot - gaps * coordinates
        mass_left_dot = 0.5 * (phi_dot @ N + phi @ N_dot) - lam @ L_dot
        return cls(phi_dot, phi @ coordinates, R, mass_left, mass_left_dot, pK + pM, rounding)

    def gradient(self, s: HermitianEigenSolution, z: Array, lam: Array) -> Array:
        """Return the rate of the gradient, (m,); z: the solution of the block solve, (n, k)."""
        phi, phi_dot = np.ascontiguousarray(s.vectors), self.phi_dot
        lam_dot = np.ascontiguousarray(self.inside - z)
        mass_left_dot = np.ascontiguousarray(self.mass_left_dot - lam_dot * s.values)
        with collecting(s._counts), phase("gradient"):
            g = (
                self.parts
                + s.K.vjp(s.p, phi_dot, np.ascontiguousarray(lam))
                + s.K.vjp(s.p, phi, lam_dot)
                + s.M.vjp(s.p, phi_dot, self.mass_left)
                + s.M.vjp(s.p, phi, mass_left_dot)
            )
        return as_cotangent(g, s.p, "the hvp of K or M")
