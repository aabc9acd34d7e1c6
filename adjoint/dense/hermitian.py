"""Hermitian matrices: eigenvalues, eigenvectors, and functions f(A) = V f(Λ) Vᴴ."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._validation import as_array, first_nonfinite, require_function
from ..errors import InaccurateSolve, NonFinite, RepeatedEigenvalue
from ..typing import Array
from .arguments import as_hermitian
from .clusters import (
    clusters_of,
    first_repeated,
    require_equal,
    require_invariant,
    require_unsplit,
)
from .evaluation import Arrays, Evaluation, Rule, herm, only

CANCELLED = 4.0
"""Factor (|f_i| + |f_j|) / |f_i − f_j| from which a quotient of differences loses digits."""

TRUSTED = 8.0
"""Largest difference of a mean value of f′ and the quotient of differences, in units of the
rounding error of the quotient: f itself is accurate to a few units in the last place."""


BLURRED = 1e-8
"""Largest change of f by the rounding errors of an eigenvalue, relative to the largest |f|, at
which f′ may change by more than a factor 2 within the rounding errors."""


class Eigenpairs(NamedTuple):
    """A = V diag(λ) Vᴴ, or a tangent or cotangent of these.

    values: λ, (n,), ascending. vectors: V, (n, n), unitary, with a column for each value;
    the entry of largest modulus in each column is positive.
    """

    values: Array
    vectors: Array


def hermitian_function(
    A: Array, f: Callable[[Array], Array], derivative: Callable[[Array], Array]
) -> Evaluation[Array]:
    """f(A) = V f(Λ) Vᴴ; Ḟ = V (f[λ_i, λ_j] ∘ Vᴴ Ȧ V) Vᴴ, by Daleckii and Krein (eq. 381).

    Equation 381 is that of docs/math/matrix_functions.md. The divided differences f[λ_i, λ_j]
    = (f(λ_i) − f(λ_j)) / (λ_i − λ_j) of close or equal eigenvalues are mean values of f′, so
    that repeated eigenvalues cost no accuracy.

    Parameters
    ----------
    A : (n, n) array
        A Hermitian matrix; both triangles are read and compared.
    f : callable
        x ↦ f(x), real or complex, for real vectors of any length: `np.log`, for example.
    derivative : callable
        x ↦ f′(x), as f.

    Returns
    -------
    Evaluation
        f(A), (n, n), with vjp (Hermitian) and jvp; tangents are Hermitian.

    Raises
    ------
    NotSymmetric
        If A, or a tangent, is not Hermitian.
    NonFinite
        If A contains nan or inf, or if f or f′ is not finite at an eigenvalue.
    InaccurateSolve
        If an eigenvalue is so near to a singularity of f that its rounding error changes f.
    TypeError, ValueError
        If A is not a square matrix of numbers, if f or f′ is not a function, or does not
        return an array of the shape of its argument.

    References
    ----------
    Higham (2008), Functions of Matrices, theorem 3.25. Daleckii & Krein (1965), AMS
    Translations 47, 1.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint import dense
    >>> A = np.array([[2.0, 0.0], [0.0, 2.0]])
    >>> y = dense.hermitian_function(A, np.log, lambda x: 1.0 / x)
    >>> print(y.jvp(np.array([[0.0, 1.0], [1.0, 0.0]]))[0, 1])
    0.5
    """
    who = "hermitian_function"
    A = as_hermitian(who, "A", A)
    require_function(who, "f", f, "a function of a real array, such as np.log")
    require_function(who, "derivative", derivative, "the derivative of f, a function too")
    values, V = np.linalg.eigh(A)
    at = _called("f", f, values)
    _require_accurate(derivative, values, at)
    Y = (V * at) @ V.conj().T
    if at.dtype.kind != "c":
        Y = herm(Y)
    quotients = divided_differences(f, derivative, values)

    def push(dots: Arrays) -> Arrays:
        return (V @ (quotients * (V.conj().T @ dots[0] @ V)) @ V.conj().T,)

    def pull(bars: Arrays) -> Arrays:
        inner = V.conj().T @ bars[0] @ V
        return (herm(_like(A, V @ (quotients.conj() * inner) @ V.conj().T)),)

    rule = Rule(who, ("A",), (A,), (Y,), push, pull, hermitian=True)
    return Evaluation(Y, rule, only)


def divided_differences(
    f: Callable[[Array], Array], derivative: Callable[[Array], Array], values: Array
) -> Array:
    """f[x_i, x_j], (n, n): quotients of differences where these are accurate, else means of f′.

    Two rules of Gauss, of 5 and 8 points, estimate the error of ∫₀¹ f′(x_j + t(x_i − x_j)) dt;
    the rounding error of the quotient is ε (|f_i| + |f_j|) / |x_i − x_j|. The mean is taken if
    its error is smaller, and if it agrees with the quotient to the quotient's error. Raise
    NonFinite if f or f′ is not finite at a value.
    """
    at, slope = _called("f", f, values), _called("derivative", derivative, values)
    i, j = np.triu_indices(len(values), 1)
    gap, x, slopes = values[i] - values[j], values[j], slope[j]
    apart = gap != 0.0
    change, size = at[i] - at[j], np.abs(at[i]) + np.abs(at[j])
    quotient = np.where(apart, change / np.where(apart, gap, 1.0), slopes)
    # Only where differences cancel can a mean be better.
    k = np.flatnonzero(apart & (size > CANCELLED * np.abs(change)))
    if k.size:
        error = np.finfo(float).eps * size[k] / np.abs(gap[k])
        with np.errstate(all="ignore"):  # Between two values f′ may have a pole.
            coarse, mean = (_mean(derivative, x[k], gap[k], points) for points in (5, 8))
            better = np.abs(mean - coarse) <= error
            # Of a step function f′ = 0 says nothing: a mean must agree with the quotient.
            better &= np.abs(mean - quotient[k]) <= TRUSTED * error
        quotient = quotient.astype(np.result_type(quotient, mean))
        quotient[k[better]] = mean[better]
    found = np.diag(slope).astype(np.result_type(slope, quotient))
    found[i, j] = found[j, i] = quotient
    return found


def _mean(derivative: Callable[[Array], Array], x: Array, gap: Array, points: int) -> Array:
    """∫₀¹ f′(x + t gap) dt by a rule of Gauss; x and gap: (k,)."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    terms = (
        0.5 * weight * np.asarray(derivative(x + 0.5 * (1.0 + node) * gap))
        for node, weight in zip(nodes, weights, strict=True)
    )
    return np.asarray(sum(terms))


def _require_accurate(derivative: Callable[[Array], Array], values: Array, at: Array) -> None:
    """Raise InaccurateSolve where rounding of an eigenvalue changes f and f′ substantially.

    values: the eigenvalues, known to n ε ‖A‖; at: f there.
    """
    blur = len(values) * np.finfo(float).eps * float(np.abs(values).max())
    with np.errstate(all="ignore"):
        slopes = np.abs([np.asarray(derivative(values + d)) for d in (-blur, 0.0, blur)])
    most = slopes.max(axis=0)
    steep = ~(most * blur <= BLURRED * float(np.abs(at).max()))
    bad = np.flatnonzero(steep & ~(most <= 2.0 * slopes.min(axis=0)))
    if bad.size:
        raise InaccurateSolve(
            f"hermitian_function: the eigenvalue {values[bad[0]]:.3g} is known to {blur:.1e} only "
            f"(the largest is {np.abs(values).max():.3g}), and f changes there. Usual cause: a "
            "logarithm, root or inverse of a matrix that is singular to working precision, or "
            "rows and columns of very different units: scale them first"
        )


def _called(name: str, function: Callable[[Array], Array], values: Array) -> Array:
    with np.errstate(all="ignore"):  # nan and inf are reported below.
        found = as_array("hermitian_function", f"what {name} returned", function(values.copy()))
    if found.shape != values.shape:
        raise ValueError(
            f"hermitian_function: {name} returned an array of shape {found.shape} for an argument "
            f"of shape {values.shape}; expected equal shapes"
        )
    if (bad := first_nonfinite(found)) is not None:
        raise NonFinite(
            f"hermitian_function: {name} is {bad[1]} at the eigenvalue {values[bad[0]]:.6g}. Usual "
            "cause: a logarithm, root or inverse of a matrix that is not positive definite"
        )
    return found


def eigvalsh(A: Array) -> Evaluation[Array]:
    """λ, (n,), ascending; λ̇_i = v_iᴴ Ȧ v_i, Ā = V diag(λ̄) Vᴴ (eq. 382).

    Equation 382 is that of docs/math/matrix_functions.md. Equal eigenvalues have derivatives
    only together: their cotangents must be equal, as those of a sum, of log det, or of a
    p-norm are.

    Parameters
    ----------
    A : (n, n) array
        A Hermitian matrix; both triangles are read and compared.

    Returns
    -------
    Evaluation
        The eigenvalues, with vjp (Hermitian) and jvp.

    Raises
    ------
    NotSymmetric
        If A, or a tangent, is not Hermitian.
    RepeatedEigenvalue
        In `vjp`, if cotangents of equal eigenvalues differ; in `jvp`, if the tangent splits
        equal eigenvalues, whose change is then not linear in the tangent.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Giles (2008), Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic
    Differentiation, section 3.1. Lewis (1996), Derivatives of spectral functions, Math. Oper.
    Res. 21, 576.
    """
    A = as_hermitian("eigvalsh", "A", A)
    values, V = np.linalg.eigh(A)
    clusters = clusters_of(values)

    def push(dots: Arrays) -> Arrays:
        H = V.conj().T @ dots[0] @ V
        require_unsplit("eigvalsh", values, clusters, H)
        return (np.ascontiguousarray(np.diag(H).real),)

    def pull(bars: Arrays) -> Arrays:
        require_equal("eigvalsh", values, clusters, bars[0])
        return (herm((V * bars[0]) @ V.conj().T),)

    rule = Rule("eigvalsh", ("A",), (A,), (values,), push, pull, hermitian=True)
    return Evaluation(values, rule, only)


def eigh(A: Array) -> Evaluation[Eigenpairs]:
    """A = V diag(λ) Vᴴ; V̇ = V (Vᴴ Ȧ V ∘ 1/(λ_j − λ_i)) (docs/math/matrix_functions.md, eq. 383).

    The phase of each vector is fixed: its entry of largest modulus is positive. In a cluster
    of equal eigenvalues the basis is arbitrary: cotangents that do not depend on the basis,
    such as those of a projector onto the cluster, are finite and right; others raise
    RepeatedEigenvalue.

    Parameters
    ----------
    A : (n, n) array
        A Hermitian matrix; both triangles are read and compared.

    Returns
    -------
    Evaluation
        `Eigenpairs`, with vjp (Hermitian) and jvp.

    Raises
    ------
    NotSymmetric
        If A, or a tangent, is not Hermitian.
    RepeatedEigenvalue
        In `vjp`, if the cotangent depends on the basis of equal eigenvalues; in `jvp`, if
        eigenvalues are equal.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Giles (2008), Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic
    Differentiation, section 3.1. Magnus (1985), Econometric Theory 1, 179.
    """
    A = as_hermitian("eigh", "A", A)
    values, V = np.linalg.eigh(A)
    n = len(values)
    largest, every = np.argmax(np.abs(V), axis=0), np.arange(n)
    V = V * (np.abs(V[largest, every]) / V[largest, every])
    clusters = clusters_of(values)
    together = clusters[:, None] == clusters[None, :]
    inverse_gaps = np.where(
        together, 0.0, 1.0 / np.where(together, 1.0, values[None, :] - values[:, None])
    )
    anchors = V[largest, every].real

    def push(dots: Arrays) -> Arrays:
        if (repeated := first_repeated(clusters)) is not None:
            raise RepeatedEigenvalue(
                f"eigh: the eigenvectors of the repeated eigenvalue {values[repeated]:.10g} have "
                "no derivative: their basis is arbitrary. Remedies: a quantity that does not "
                "depend on the basis, by vjp; eigvalsh; hermitian_function"
            )
        H = V.conj().T @ dots[0] @ V
        X = V @ (H * inverse_gaps)
        X = X - 1j * V * (X[largest, every].imag / anchors) if V.dtype.kind == "c" else X
        return np.ascontiguousarray(np.diag(H).real), X

    def pull(bars: Arrays) -> Arrays:
        values_bar, V_bar = bars[0], np.array(bars[1])
        if V.dtype.kind == "c":
            turn = np.einsum("ij,ij->j", V_bar.conj(), 1j * V).real
            V_bar[largest, every] -= 1j * turn / anchors
        G = V.conj().T @ V_bar
        require_equal("eigh", values, clusters, values_bar)
        require_invariant("eigh", values, together, G - G.conj().T, G)
        inner = np.diag(values_bar) + inverse_gaps * G
        return (herm(V @ inner @ V.conj().T),)

    rule = Rule("eigh", ("A",), (A,), (values, V), push, pull, hermitian=True)
    return Evaluation(Eigenpairs(values, V), rule, lambda parts: Eigenpairs(*parts))


def _like(A: Array, X: Array) -> Array:
    return X if A.dtype.kind == "c" else X.real
