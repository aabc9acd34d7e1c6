"""Runge–Kutta methods as data: coefficients, orders, error weights, dense output."""

import dataclasses
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...typing import Array
from ..discontinuities.knots import Interval

NODE = 1e-12
"""Distance of a node c from 0 or 1 that is rounding."""


@dataclass(frozen=True, eq=False)
class Eigenpair:
    """λ of A, with its left and right eigenvectors, (s,) each, left · right = 1, and how often it counts."""

    value: complex
    row: Array
    column: Array
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Tableau:
    """M K_i = f(t + c_i h, Y_i), Y_i = u + h Σ_j a_ij K_j, and u' = Y_s.

    See docs/math/time.md, eq. 49.

    The coefficients of a Runge–Kutta method; `Method(Tableau(...))` is then a method as any other. The last stage is
    the new state: where a method is not stated so, a stage with the weights b as its row is added.

    Parameters
    ----------
    name : what evidence and messages call the method.
    order : the order of the method.
    A : (s, s). The last row holds the weights b. A is lower triangular; its diagonal is zero (explicit), or the same γ
        in each implicit stage. A first stage with a₁₁ = 0 is the last one of the step before, K₁ = K_s. Otherwise the
        stages are coupled: A is regular, and γ is its real eigenvalue.
    errors : weights (s,) of embedded error estimates h Σ_i e_i K_i, that is b minus the embedded weights. One, or two
        as in DOP853; none for methods on a given grid only. Coupled methods add hγ M⁻¹f(t, u) to it.
    error_order : k, where the first error estimate is O(hᵏ).
    dense : (s + e, d), u(t + θh) = u + h Σ_i (Σ_j dense_ij θʲ⁺¹) K_i; `hermite(A)` makes a cubic where a₁₁ = 0.
    extra : (e, s + e), rows of further explicit stages for dense output.
    ends : the stage whose value is u', None for the last one.

    Raises
    ------
    ValueError : for coefficients that are no Runge–Kutta method of this form.

    References
    ----------
    Hairer, Nørsett & Wanner (1993), Solving ODEs I, chapter II; Hairer & Wanner (1996), Solving ODEs II, chapter IV.
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
                f"Tableau: the last row of A sums up to {A[self.last].sum():.6g}, expected the weights b, whose sum is "
                "1: the last stage is the new state"
            )
        if not np.triu(A, 1).any():
            self._require_one_diagonal(A)
        e = np.shape(self.extra)[0]
        if np.shape(self.dense)[:1] != (s + e,) or (e and np.shape(self.extra) != (e, s + e)):
            raise ValueError(
                f"Tableau: got dense of shape {np.shape(self.dense)} and extra of shape {np.shape(self.extra)}, "
                f"expected ({s} + e, d) and (e, {s} + e)"
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
        diagonal = np.diag(A)
        if not np.all(diagonal[1:] == diagonal[-1]) or diagonal[0] not in (0.0, diagonal[-1]):
            raise ValueError(
                f"Tableau: the diagonal of A is {diagonal}, expected zeros, or the same number in each implicit stage"
            )

    def _require_errors(self, s: int) -> None:
        if len(self.errors) > 2 or not all(np.shape(e) == (s,) for e in self.errors):
            raise ValueError(
                f"Tableau: got errors of shapes {[np.shape(e) for e in self.errors]}, expected at most two of ({s},)"
            )
        for e in self.errors:
            total = float(np.sum(e)) + (self.gamma if self.coupled else 0.0)
            if not abs(total) <= CONSISTENT:
                raise ValueError(
                    f"Tableau: the weights of an error estimate sum up to {total:.3g}, expected 0: b minus the "
                    "embedded weights"
                )

    def __repr__(self) -> str:
        return f"{self.name} (order {self.order}, {self.stages} stages)"

    @property
    def stages(self) -> int:
        """s."""
        return self.A.shape[0]

    @cached_property
    def c(self) -> Array:
        """c_i = Σ_j a_ij, (s,); exactly 1 in the last stage, which ends where the next step begins."""
        c = self.A.sum(axis=1)
        c[self.last] = 1.0
        return c

    @cached_property
    def _nodes(self) -> list[float]:
        """c, exactly 0 and 1 where rounding alone keeps it from being."""
        c = np.where(np.abs(self.c - 1.0) < NODE, 1.0, np.where(np.abs(self.c) < NODE, 0.0, self.c))
        return [float(ci) for ci in c]

    def times(self, step: Interval) -> list[float]:
        """The times at which the stages of a step see f: t + c_i h, and its own side of a knot at either end."""
        t, h, first, final = step.t, step.h, step.first, step.final
        return [
            t + c * h if 0.0 != c != 1.0 else (first if c == 0.0 else final) for c in self._nodes
        ]

    @cached_property
    def gamma(self) -> float:
        """The diagonal entry of the implicit stages, 0 without any; the real eigenvalue of coupled ones."""
        return (
            float(self._spectrum[0][0].real)
            if self.coupled
            else float(self.A[self.last, self.last])
        )

    @cached_property
    def coupled(self) -> bool:
        """Whether the stages depend on each other."""
        return bool(np.triu(self.A, 1).any())

    def eigenpairs(self, every: bool) -> list[Eigenpair]:
        """The eigenvalues of A, the real one first; one of each pair, which counts twice, or every one."""
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
        values, T = np.linalg.eig(self.A)
        order = np.argsort(np.abs(values.imag), kind="stable")
        assert values[order[0]].imag == 0.0
        return values[order], T[:, order]

    @cached_property
    def continues(self) -> bool:
        """Whether the first stage is the last one of the step before."""
        return bool(self.A[0, 0] == 0.0)

    @property
    def b(self) -> Array:
        """The weights of the step, (s,): the last row of A."""
        return self.A[self.last]

    @cached_property
    def quadrature(self) -> list[tuple[int, float, float]]:
        """(i, b_i, c_i) of the stages that count in an integral: ∫ℓ dt ≈ h Σ b_i ℓ(t + c_i h, Y_i)."""
        return [(int(i), float(self.b[i]), float(self.c[i])) for i in np.flatnonzero(self.b)]

    @cached_property
    def integrated(self) -> list[int]:
        """The stages at which ℓ is needed for an integral and for its error estimate."""
        weights = np.abs(self.b) + sum(np.abs(e) for e in self.errors)
        return [int(i) for i in np.flatnonzero(weights)]

    @cached_property
    def integral_weights(self) -> tuple[Array, Array]:
        """|b_i|, (k,), and the weights of the error estimates, (1 or 2, k), of those stages."""
        return np.abs(self.b[self.integrated]), np.array([e[self.integrated] for e in self.errors])

    @property
    def last(self) -> int:
        """The stage whose value is u'."""
        return self.ends if self.ends is not None else self.A.shape[0] - 1

    @cached_property
    def extended(self) -> "Tableau":
        """The same with the further stages of the dense output."""
        s, e = self.A.shape[0], self.extra.shape[0]
        if not e:
            return self
        A = np.zeros((s + e, s + e))
        A[:s, :s], A[s:] = self.A, self.extra
        return replace(self, A=A, extra=np.zeros((0, s + e)), ends=s - 1)

    @cached_property
    def algebraic(self) -> "Tableau":
        """The same with a dense output that serves the algebraic unknowns of a DAE as well; that of coupled stages, a
        polynomial through their values, does."""
        if self.coupled:
            return self
        return replace(self, dense=collocated(self.A), extra=np.zeros((0, 0)))

    def weights(self, theta: float) -> Array:
        """b_i(θ), of the extended stages: u(t + θh) = u + h Σ b_i(θ) K_i."""
        return np.asarray(self.dense @ theta ** np.arange(1.0, self.dense.shape[1] + 1.0))

    def slopes(self, theta: float) -> Array:
        """b_i'(θ)."""
        powers = np.arange(1.0, self.dense.shape[1] + 1.0)
        return np.asarray(self.dense @ (powers * theta ** (powers - 1.0)))

    @cached_property
    def predictor(self) -> Array:
        """(s, s): K_i is first guessed as Σ_j<i predictor_ij K_j, by a polynomial in c fitted to the stages before."""
        P, c = np.zeros(self.A.shape), self.c
        for i in range(1, self.stages):
            degree = min(PREDICTED, np.unique(np.round(c[:i], 12)).size - 1)
            P[i, :i] = np.linalg.pinv(np.vander(c[:i], degree + 1, increasing=True)).T @ c[
                i
            ] ** np.arange(degree + 1)
        return P

    def extrapolation(self, ratio: float) -> Array:
        """(s, s): K is first guessed as this times K of the step before, where a step is `ratio` times as long as that:
        by a polynomial in time through those stages, or near them where they are many."""
        powers = np.ones(self._fit.shape[::-1])
        powers[:, 1:] = (1.0 + ratio * self.c)[:, None]
        return np.asarray(np.multiply.accumulate(powers, axis=1).dot(self._fit))

    @cached_property
    def _fit(self) -> Array:
        """The coefficients of the polynomial, (d + 1, s)."""
        return np.linalg.pinv(
            np.vander(self.c, min(self.stages, EXTRAPOLATED + 1), increasing=True)
        )


CONSISTENT = 1e-8
"""By how much sums of coefficients may be off: published ones are often rounded to 10 or 15 digits."""


EXTRAPOLATED = 3
"""Degree of the extrapolation at most."""


def handed(tableau: Tableau, K: Array) -> Array:
    """Of the stages, a copy of what the next step begins with or is guessed from: K_s, (n,), or all of coupled ones."""
    return (K if tableau.coupled else K[-1]).copy()


PREDICTED = 2
"""Degree of the predictor at most: higher ones amplify what the stages of stiff components differ by."""


def continuous(A: Array) -> Array:
    """Weights of a C¹ dense output of order 4, or 3 for few stages, of stages of order 2: (s, 4) or (s, 3).

    The conditions Σ b_i(θ) = θ, Σ b_i(θ) c_i = θ²/2, Σ b_i(θ) c_i² = θ³/3, Σ b_i(θ) c_i³ = θ⁴/4,
    Σ b_i(θ) a_ij c_j² = θ⁴/12 are those of order 4 where the stages are of order 2 (Hairer, Nørsett & Wanner 1993,
    section II.6, with the simplification C(2)); b(0) = 0, b'(0) = e₁, b(1) = b, b'(1) = e_s make it C¹. The solution of
    least norm is taken.
    """
    s, c = A.shape[0], A.sum(axis=1)
    degree = 4 if s >= 6 else 3
    rows = [np.ones(s), c, c**2] + ([c**3, A @ c**2] if degree == 4 else [])
    of_power = [(0, 1.0), (1, 0.5), (2, 1.0 / 3.0)] + (
        [(3, 0.25), (3, 1.0 / 12.0)] if degree == 4 else []
    )
    equations, rhs = [], []
    for power in range(degree):
        for row, (at, value) in zip(rows, of_power, strict=True):
            equations.append(np.kron(row, np.eye(degree)[power]))
            rhs.append(value if at == power else 0.0)
    ends = (
        (np.eye(degree)[0], np.eye(s)[0]),
        (np.ones(degree), A[-1]),
        (np.arange(1.0, degree + 1), np.eye(s)[-1]),
    )
    for powers, weights in ends:
        for i in range(s):
            equations.append(np.kron(np.eye(s)[i], powers))
            rhs.append(weights[i])
    solution = np.linalg.lstsq(np.array(equations), np.array(rhs))[0]
    return solution.reshape(s, degree)


def collocated(A: Array) -> Array:
    """Weights Aᵀ l(θ) of u + Σ l_i(θ) (Y_i − u), a polynomial through the stages' values: (s, d).

    Algebraic unknowns have no derivatives of their own, but their values at the stages are as good as the others'. The
    error is O(h⁴) for stages of order 2 and Σ l_i c_i = θ, Σ l_i c_i² = θ², Σ l_i c_i³ = θ³, Σ l_i a_ij c_j² = θ³/3;
    with fewer stages, or of order 1, as many of those and of Σ l_i a_ij c_j = θ²/2 are met as can be. l(1) = e_s.
    """
    s, c = A.shape[0], A.sum(axis=1)
    conditions = [
        (c, 0, 1.0),
        (c**2, 1, 1.0),
        (A @ c, 1, 0.5),
        (c**3, 2, 1.0),
        (A @ c**2, 2, 1.0 / 3.0),
    ]
    degree = min(3, np.unique(np.round(c[c > 0.0], 12)).size)
    equations, rhs = [], []
    for row, at, value in conditions:
        if at < degree:
            for power in range(degree):
                equations.append(np.kron(row, np.eye(degree)[power]))
                rhs.append(value if at == power else 0.0)
    for i in range(s):
        equations.append(np.kron(np.eye(s)[i], np.ones(degree)))
        rhs.append(float(i == s - 1))
    l = np.linalg.lstsq(np.array(equations), np.array(rhs))[0].reshape(s, degree)  # noqa: E741
    return np.asarray(A.T @ l)


def hermite(A: Array) -> Array:
    """Weights of the cubic that meets u, K₁, u', K_s: C¹ and of order 3 at most; (s, 3)."""
    first, last, b = np.eye(A.shape[0])[0], np.eye(A.shape[0])[-1], A[-1]
    return np.stack([first, 3.0 * b - 2.0 * first - last, first + last - 2.0 * b], axis=1)
