"""Runge–Kutta methods as data: coefficients, orders, error weights, dense output."""

import dataclasses
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from .interpolants import through_stage_values

NODE = 1e-12
"""Distance of a node c from 0 or 1 below which the distance is rounding error."""


CONSISTENT = 1e-8
"""Largest error of a sum of coefficients. Coefficients are often published with 10 digits."""


PREDICTED = 2
"""Largest degree of the predictor: a higher degree amplifies the errors of stiff components."""


EXTRAPOLATED = 3
"""Largest degree of the extrapolation from the stages of the last step."""


@dataclass(frozen=True, eq=False)
class Eigenpair:
    """An eigenvalue λ of A with its left and right eigenvectors, (s,) each.

    value: λ. row, column: the left and the right eigenvector, row · column = 1. weight: 2
    if the object also represents the complex conjugate of λ, otherwise 1.
    """

    value: complex
    row: Array
    column: Array
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Tableau:
    """M K_i = f(t + c_i h, Y_i), Y_i = u + h Σ_j a_ij K_j; the new state is Y_s.

    See docs/math/time.md, eq. 49.

    The coefficients of a Runge–Kutta method; `Method(Tableau(...))` is a method like the
    methods of this package. The value of the last stage is the new state. If the last row
    of the published A is not b, add a stage whose row of A is b.

    Parameters
    ----------
    name : str
        Name of the method in evidence and messages.
    order : int
        Order of the method.
    A : (s, s) array
        Coefficients a_ij; the last row holds the weights b. Either A is lower triangular:
        its diagonal is zero (explicit), or has the same γ in each implicit stage; a first
        stage with a₁₁ = 0 is the last stage K_s of the step before. Or the stages are
        coupled: A is regular, and γ is its real eigenvalue.
    errors : tuple of (s,) arrays
        Weights e of embedded error estimates h Σ_i e_i K_i: b minus the embedded
        weights. The tuple has one array, or two arrays (DOP853). It is empty for
        methods that are used on a given grid only. For coupled stages hγ M⁻¹f(t, u) is
        added to the estimate.
    error_order : int
        k if the first error estimate is O(hᵏ).
    dense : (s + e, d) array
        Dense output u(t + θh) = u + h Σ_i (Σ_j dense_ij θʲ⁺¹) K_i. `hermite(A)` makes a
        cubic if a₁₁ = 0.
    extra : (e, s + e) array
        Rows of A of e additional explicit stages for the dense output. Default: e = 0.
    ends : int or None
        Index of the stage whose value is the new state. None, the default: the last stage.

    Attributes
    ----------
    c : (s,) array
        The nodes c_i = Σ_j a_ij.
    b : (s,) array
        The weights of the step.
    stages : int
        The number of stages s.
    gamma : float
        γ; 0 for explicit methods.
    coupled : bool
        True if the stages depend on each other.

    Raises
    ------
    ValueError
        If the coefficients are not a Runge–Kutta method of this form.

    References
    ----------
    Hairer, Nørsett & Wanner (1993), Solving ODEs I, chapter II; Hairer & Wanner (1996),
    Solving ODEs II, chapter IV.
    """

    name: str
    order: int
    A: Array
    errors: tuple[Array, ...]
    error_order: int
    dense: Array
    extra: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    ends: int | None = None

    def __post_init__(self) -> None:
        A, s = np.asarray(self.A), np.shape(self.A)[0] if np.ndim(self.A) else 0
        if A.shape != (s, s) or s == 0 or A.dtype.kind != "f" or not np.isfinite(A).all():
            raise ValueError(
                f"Tableau: got A of shape {A.shape}, dtype {A.dtype}; expected finite floats (s, s)"
            )
        if not abs(A[self.last].sum() - 1.0) <= CONSISTENT:
            raise ValueError(
                f"Tableau: the last row of A sums up to {A[self.last].sum():.6g}, expected the "
                "weights b, whose sum is 1: the last stage is the new state"
            )
        if not np.triu(A, 1).any():
            self._require_one_diagonal(A)
        e = np.shape(self.extra)[0]
        if np.shape(self.dense)[:1] != (s + e,) or (e and np.shape(self.extra) != (e, s + e)):
            raise ValueError(
                f"Tableau: got dense of shape {np.shape(self.dense)} and extra of shape "
                f"{np.shape(self.extra)}, expected ({s} + e, d) and (e, {s} + e)"
            )
        weights = np.sum(self.dense, axis=1)
        weights[:s] -= A[self.last]
        if not np.abs(weights).max() <= CONSISTENT:
            raise ValueError(
                "Tableau: dense does not end at the new state: expected Σ_j dense_ij = b_i"
            )
        if self.ends is None:
            self._require_errors(s)

    def _require_one_diagonal(self, A: Array) -> None:
        """Raise ValueError unless all implicit stages have the same γ."""
        diagonal = np.diag(A)
        if not np.all(diagonal[1:] == diagonal[-1]) or diagonal[0] not in (0.0, diagonal[-1]):
            raise ValueError(
                f"Tableau: the diagonal of A is {diagonal}, expected zeros, or the same number "
                "in each implicit stage"
            )

    def _require_errors(self, s: int) -> None:
        """Raise ValueError unless each error estimate is zero for a constant f."""
        if len(self.errors) > 2 or not all(np.shape(e) == (s,) for e in self.errors):
            raise ValueError(
                f"Tableau: got errors of shapes {[np.shape(e) for e in self.errors]}, expected "
                f"at most two of ({s},)"
            )
        for e in self.errors:
            total = float(np.sum(e)) + (self.gamma if self.coupled else 0.0)
            if not abs(total) <= CONSISTENT:
                raise ValueError(
                    f"Tableau: the weights of an error estimate sum up to {total:.3g}, expected "
                    "0: b minus the embedded weights"
                )

    def __repr__(self) -> str:
        return f"{self.name} (order {self.order}, {self.stages} stages)"

    @property
    def stages(self) -> int:
        """The number of stages, s."""
        return self.A.shape[0]

    @cached_property
    def c(self) -> Array:
        """The nodes c_i = Σ_j a_ij, (s,); c is exactly 1 for the stage at the end of the step."""
        c = self.A.sum(axis=1)
        c[self.last] = 1.0
        return c

    @cached_property
    def _nodes(self) -> list[float]:
        """The nodes c; nodes that differ from 0 or 1 by rounding are exactly 0 or 1."""
        c = np.where(np.abs(self.c - 1.0) < NODE, 1.0, np.where(np.abs(self.c) < NODE, 0.0, self.c))
        return [float(ci) for ci in c]

    def times(self, step: Interval) -> list[float]:
        """The times t + c_i h at which stages evaluate f; `first` for c_i = 0, `final` for c_i = 1.

        Parameters
        ----------
        step : Interval
            The start, length and end of the step, and its one-sided times t⁺, t⁻.

        Returns
        -------
        list of float
            One time per stage.
        """
        t, h, first, final = step.t, step.h, step.first, step.final
        return [
            t + c * h if 0.0 != c != 1.0 else (first if c == 0.0 else final) for c in self._nodes
        ]

    @cached_property
    def gamma(self) -> float:
        """γ: diagonal of implicit stages; 0 if explicit; real eigenvalue if coupled."""
        return (
            float(self._spectrum[0][0].real)
            if self.coupled
            else float(self.A[self.last, self.last])
        )

    @cached_property
    def coupled(self) -> bool:
        """True if the stages depend on each other."""
        return bool(np.triu(self.A, 1).any())

    def eigenpairs(self, every: bool) -> list[Eigenpair]:
        """The eigenvalues of A with eigenvectors, the real eigenvalue first.

        Parameters
        ----------
        every : bool
            True: all eigenvalues. False: one eigenvalue of each complex pair, with
            weight 2.

        Returns
        -------
        list of Eigenpair
            The eigenpairs.
        """
        values, T = self._spectrum
        rows, found = np.linalg.inv(T), []
        for i, value in enumerate(values.tolist()):
            if i == 0:
                found.append(Eigenpair(value.real, rows[0].real, T[:, 0].real, 1.0))
            elif every or value.imag > 0.0:
                found.append(Eigenpair(value, rows[i], T[:, i], 1.0 if every else 2.0))
        return found

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        """(eigenvalues, eigenvectors in columns) of A, the real eigenvalue first."""
        values, T = np.linalg.eig(self.A)
        order = np.argsort(np.abs(values.imag), kind="stable")
        assert values[order[0]].imag == 0.0
        return values[order], T[:, order]

    @cached_property
    def continues(self) -> bool:
        """True if the first stage is the last stage of the step before."""
        return bool(self.A[0, 0] == 0.0)

    @property
    def b(self) -> Array:
        """The weights of the step, (s,): the last row of A."""
        return self.A[self.last]

    @cached_property
    def quadrature(self) -> list[tuple[int, float, float]]:
        """[(i, b_i, c_i)] of the stages with b_i ≠ 0: ∫ℓ dt ≈ h Σ b_i ℓ(t + c_i h, Y_i)."""
        return [(int(i), float(self.b[i]), float(self.c[i])) for i in np.flatnonzero(self.b)]

    @cached_property
    def integrated(self) -> list[int]:
        """The indices of the k stages at which an integral or its error estimate needs ℓ."""
        weights = np.abs(self.b) + sum(np.abs(e) for e in self.errors)
        return [int(i) for i in np.flatnonzero(weights)]

    @cached_property
    def integral_weights(self) -> tuple[Array, Array]:
        """(|b_i|, error weights) at the k stages `integrated`, of shapes (k,) and (1 or 2, k)."""
        return np.abs(self.b[self.integrated]), np.array([e[self.integrated] for e in self.errors])

    @property
    def last(self) -> int:
        """The index of the stage whose value is the new state."""
        return self.ends if self.ends is not None else self.A.shape[0] - 1

    @cached_property
    def extended(self) -> "Tableau":
        """The tableau whose stages include the additional stages `extra` of the dense output."""
        s, e = self.A.shape[0], self.extra.shape[0]
        if not e:
            return self
        A = np.zeros((s + e, s + e))
        A[:s, :s], A[s:] = self.A, self.extra
        return replace(self, A=A, extra=np.zeros((0, s + e)), ends=s - 1)

    @cached_property
    def algebraic(self) -> "Tableau":
        """The tableau with a dense output that is valid for algebraic unknowns of a DAE, too.

        This dense output interpolates the values of the stages. Tableaux with coupled
        stages have such a dense output already, and are returned unchanged.
        """
        if self.coupled:
            return self
        return replace(self, dense=through_stage_values(self.A), extra=np.zeros((0, 0)))

    def weights(self, theta: float) -> Array:
        """The weights b_i(θ) of the extended stages: u(t + θh) = u + h Σ b_i(θ) K_i.

        Parameters
        ----------
        theta : float
            θ, in [0, 1].

        Returns
        -------
        (s + e,) array
            The weights.
        """
        return np.asarray(self.dense @ theta ** np.arange(1.0, self.dense.shape[1] + 1.0))

    def slopes(self, theta: float) -> Array:
        """The derivatives b_i'(θ) of the weights.

        Parameters
        ----------
        theta : float
            θ, in [0, 1].

        Returns
        -------
        (s + e,) array
            The derivatives.
        """
        powers = np.arange(1.0, self.dense.shape[1] + 1.0)
        return np.asarray(self.dense @ (powers * theta ** (powers - 1.0)))

    @cached_property
    def predictor(self) -> Array:
        """P (s, s): the first guess of K_i is Σ_j<i P_ij K_j, from a polynomial through the K_j."""
        P, c = np.zeros(self.A.shape), self.c
        for i in range(1, self.stages):
            degree = min(PREDICTED, np.unique(np.round(c[:i], 12)).size - 1)
            P[i, :i] = np.linalg.pinv(np.vander(c[:i], degree + 1, increasing=True)).T @ c[
                i
            ] ** np.arange(degree + 1)
        return P

    def extrapolation(self, ratio: float) -> Array:
        """E (s, s): the first guess of coupled stages is E K; K: the stages of the step before.

        A polynomial in time of degree at most `EXTRAPOLATED` is fitted to the old
        stages.

        Parameters
        ----------
        ratio : float
            Length of the step divided by the length of the step before.

        Returns
        -------
        (s, s) array
            E.
        """
        powers = np.ones(self._fit.shape[::-1])
        powers[:, 1:] = (1.0 + ratio * self.c)[:, None]
        return np.asarray(np.multiply.accumulate(powers, axis=1).dot(self._fit))

    @cached_property
    def _fit(self) -> Array:
        """F (d + 1, s): F K are the coefficients of a polynomial of degree d fitted to stages K."""
        return np.linalg.pinv(
            np.vander(self.c, min(self.stages, EXTRAPOLATED + 1), increasing=True)
        )


def carried_over(tableau: Tableau, K: Array) -> Array:
    """A copy of the stages that the next step uses: K_s, (n,); all stages, (s, n), if coupled."""
    return (K if tableau.coupled else K[-1]).copy()


def lower_triangular(rows: list[list[float]], gamma: float) -> Array:
    """A (s, s) from its rows below the diagonal, with γ in each diagonal entry, also in A[0, 0]."""
    A = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        A[i, : len(row)] = row
        A[i, i] = gamma
    return A
