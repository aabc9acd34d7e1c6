"""Dense output: the weights b_i(θ) with u(t + θh) = u + h Σ b_i(θ) K_i, from the A of a method."""

import numpy as np

from ...typing import Array


def continuous(A: Array) -> Array:
    """Weights of a C¹ dense output of order 4 (order 3 for s < 6) for stages of order 2.

    The conditions of order 4 for such stages are Σ b_i(θ) = θ, Σ b_i(θ) c_i = θ²/2, Σ
    b_i(θ) c_i² = θ³/3, Σ b_i(θ) c_i³ = θ⁴/4 and Σ b_i(θ) a_ij c_j² = θ⁴/12. The
    conditions b(0) = 0, b'(0) = e₁, b(1) = b, b'(1) = e_s make the output C¹. The
    solution of least norm is returned.

    Parameters
    ----------
    A : (s, s) array
        The coefficients of the method, with b as the last row.

    Returns
    -------
    (s, 4) or (s, 3) array
        `dense` of a `Tableau`.

    References
    ----------
    Hairer, Nørsett & Wanner (1993), Solving ODEs I, section II.6, with the
    simplification C(2).
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


def hermite(A: Array) -> Array:
    """Weights of the cubic from u to u' with slopes K₁ and K_s, a C¹ dense output of order ≤ 3.

    u and u' are the states at the start and at the end of the step.

    Parameters
    ----------
    A : (s, s) array
        The coefficients of the method, with a₁₁ = 0 and b as the last row.

    Returns
    -------
    (s, 3) array
        `dense` of a `Tableau`.
    """
    first, last, b = np.eye(A.shape[0])[0], np.eye(A.shape[0])[-1], A[-1]
    return np.stack([first, 3.0 * b - 2.0 * first - last, first + last - 2.0 * b], axis=1)


def through_stage_values(A: Array) -> Array:
    """Weights Aᵀ l(θ) of u + Σ l_i(θ) (Y_i − u), a polynomial through the stage values: (s, d).

    Algebraic unknowns have no derivative, but their stage values are as good as those
    of the other unknowns. The error is O(h⁴) if stages have order 2 and Σ l_i c_i = θ,
    Σ l_i c_i² = θ², Σ l_i c_i³ = θ³, Σ l_i a_ij c_j² = θ³/3. With fewer stages, or
    stages of order 1, the output meets as many of these conditions and of
    Σ l_i a_ij c_j = θ²/2 as possible. The end of the step is exact: l(1) = e_s.
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
