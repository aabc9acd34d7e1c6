"""A function of matrices at one argument: its value, and the maps vjp, jvp and hvp there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_array, named
from ..errors import NotSymmetric
from ..typing import Array
from .arguments import as_hermitian, finite

V = TypeVar("V")

Arrays = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Rule:
    """The linear maps of a derivative, for arguments and values that are tuples of arrays.

    name: of the function, for messages. inputs: the arguments; names: their names; outputs:
    the differentiable parts of the value. push: tangents of the arguments ↦ tangents of the
    value. pull: cotangents of the value ↦ cotangents of the arguments. second: (cotangents,
    tangents) ↦ derivatives of what `pull` returns, along the tangents; None if the second
    derivative is not provided. hermitian: True if tangents must be Hermitian.
    """

    name: str
    names: tuple[str, ...]
    inputs: Arrays
    outputs: Arrays
    push: Callable[[Arrays], Arrays]
    pull: Callable[[Arrays], Arrays]
    second: Callable[[Arrays, Arrays], Arrays] | None = None
    hermitian: bool = False

    def tangents(self, dots: Sequence[object]) -> Arrays:
        """The tangents of the arguments, verified; None stands for zeros."""
        found = []
        for name, at, given in zip(self.names, self.inputs, dots, strict=True):
            dot = self._like(f"{name}_dot", at, given)
            if self.hermitian:
                try:
                    dot = as_hermitian(self.name, f"{name}_dot", dot)
                except NotSymmetric as error:
                    raise NotSymmetric(
                        f"{error}. {self.name} is a function of Hermitian matrices: its tangents "
                        "are Hermitian"
                    ) from None
            found.append(dot)
        return tuple(found)

    def cotangents(self, bar: object) -> Arrays:
        """The cotangents of the parts of the value, verified; None stands for zeros."""
        bars: Sequence[object] = [bar]
        if len(self.outputs) > 1:
            if not isinstance(bar, Sequence) or len(bar) < len(self.outputs):
                raise TypeError(
                    f"{self.name}: got value_bar={named(bar)}, expected a tuple of "
                    f"{len(self.outputs)} cotangents in the order of the value, None for zero"
                )
            bars = bar[: len(self.outputs)]
        return tuple(
            self._like("value_bar", at, given) for at, given in zip(self.outputs, bars, strict=True)
        )

    def pulled(self, bar: object) -> Arrays:
        """The cotangents of the arguments, real for real arguments."""
        return self._as_inputs(self.pull(self.cotangents(bar)))

    def differentiated(self, bar: object, dots: Sequence[object]) -> Arrays:
        """The derivative of `pulled(bar)` along the tangents; raise TypeError if not provided."""
        if self.second is None:
            raise TypeError(
                f"{self.name}: hvp is not provided (value, vjp and jvp are); functions with hvp: "
                "inverse, solve, log_det, expm, sqrtm, frobenius_norm"
            )
        return self._as_inputs(self.second(self.cotangents(bar), self.tangents(dots)))

    def _as_inputs(self, bars: Arrays) -> Arrays:
        return tuple(
            np.array(bar if at.dtype.kind == "c" else bar.real)
            for at, bar in zip(self.inputs, bars, strict=True)
        )

    def _like(self, what: str, at: Array, given: object) -> Array:
        """A tangent or cotangent with the shape of `at`, finite, and real if `at` is real."""
        if given is None:
            return np.zeros_like(at)
        array = as_array(self.name, what, given)
        if array.shape != at.shape:
            raise ValueError(f"{self.name}: got {what} of shape {array.shape}, expected {at.shape}")
        if array.dtype.kind == "c" and at.dtype.kind != "c":
            raise TypeError(
                f"{self.name}: got {what} of dtype {array.dtype} for a real array, expected real "
                "numbers: a real argument has real tangents, a real value real cotangents"
            )
        return finite(self.name, what, array)


@dataclass(frozen=True, eq=False)
class Evaluation(Generic[V]):
    """Y = F(A), and the derivative of F at A: made by the functions of `adjoint.dense`.

    The derivative reuses the factorization that gave the value. Cotangents and tangents
    pair by dJ = Re⟨Ȳ, dY⟩ = Re Σ conj(Ȳ_ij) dY_ij (docs/math/matrix_functions.md, eq. 370).

    Parameters
    ----------
    value : array, float or named tuple
        F(A); arrays are read-only, since the derivative uses them.
    """

    value: V
    _rule: Rule
    _pack: Callable[[Arrays], V]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _locked(self.value))

    def vjp(self, value_bar: object) -> Array:
        """Ā with Re⟨Ā, dA⟩ = Re⟨Ȳ, dF(A)[dA]⟩: the cotangent of A.

        Parameters
        ----------
        value_bar : array, float or tuple
            Ȳ, of the shape of `value`; 1.0 for the gradient of a scalar function. A tuple for
            a function with several results, in which None stands for zero.

        Returns
        -------
        (m, n) array
            Ā, real if A is real, Hermitian if F is a function of Hermitian matrices.

        Raises
        ------
        TypeError, ValueError
            If the cotangent has the wrong type or shape, or is complex for a real value.
        NonFinite
            If the cotangent contains nan or inf.
        SolveError
            If the derivative does not exist; the subclass names the reason.
        """
        return self._rule.pulled(value_bar)[0]

    def jvp(self, A_dot: object) -> V:
        """dF(A)[Ȧ]: the tangent of the value.

        Parameters
        ----------
        A_dot : (m, n) array
            Ȧ, a change of A; Hermitian if F is a function of Hermitian matrices.

        Returns
        -------
        array, float or named tuple
            Ẏ, as `value`.

        Raises
        ------
        TypeError, ValueError
            If the tangent has the wrong type or shape, or is complex for a real A.
        NonFinite
            If the tangent contains nan or inf.
        SolveError
            If the derivative does not exist; the subclass names the reason.
        """
        return self._pack(self._rule.push(self._rule.tangents([A_dot])))

    def hvp(self, value_bar: object, A_dot: object) -> Array:
        """d/dt of vjp(Ȳ) at A + t Ȧ, with Ȳ fixed: a product with the second derivative.

        Parameters
        ----------
        value_bar : array or float
            Ȳ, of the shape of `value`.
        A_dot : (m, n) array
            Ȧ.

        Returns
        -------
        (m, n) array
            The derivative of Ā.

        Raises
        ------
        TypeError
            If the function has no second derivative here.
        ValueError
            If a shape is wrong.
        """
        return self._rule.differentiated(value_bar, [A_dot])[0]


@dataclass(frozen=True, eq=False)
class PairEvaluation(Generic[V]):
    """Y = F(A, B), and the derivative of F at (A, B); otherwise as `Evaluation`.

    Parameters
    ----------
    value : array
        F(A, B), read-only.
    """

    value: V
    _rule: Rule
    _pack: Callable[[Arrays], V]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _locked(self.value))

    def vjp(self, value_bar: object) -> tuple[Array, Array]:
        """The cotangents (Ā, B̄).

        Parameters
        ----------
        value_bar : array
            Ȳ, of the shape of `value`.

        Returns
        -------
        pair of arrays
            Ā and B̄, of the shapes of A and B.

        Raises
        ------
        TypeError, ValueError
            If the cotangent has the wrong type or shape.
        NonFinite
            If the cotangent contains nan or inf.
        """
        A_bar, B_bar = self._rule.pulled(value_bar)
        return A_bar, B_bar

    def jvp(self, A_dot: object = None, B_dot: object = None) -> V:
        """dF(A, B)[Ȧ, Ḃ].

        Parameters
        ----------
        A_dot : array or None
            Ȧ, of the shape of A; None for zero.
        B_dot : array or None
            Ḃ, of the shape of B; None for zero.

        Returns
        -------
        array
            Ẏ, as `value`.

        Raises
        ------
        TypeError, ValueError
            If a tangent has the wrong type or shape.
        NonFinite
            If a tangent contains nan or inf.
        """
        return self._pack(self._rule.push(self._rule.tangents([A_dot, B_dot])))

    def hvp(
        self, value_bar: object, A_dot: object = None, B_dot: object = None
    ) -> tuple[Array, Array]:
        """d/dt of vjp(Ȳ) at (A + t Ȧ, B + t Ḃ), with Ȳ fixed.

        Parameters
        ----------
        value_bar : array
            Ȳ, of the shape of `value`.
        A_dot : array or None
            Ȧ; None for zero.
        B_dot : array or None
            Ḃ; None for zero.

        Returns
        -------
        pair of arrays
            The derivatives of Ā and B̄.

        Raises
        ------
        TypeError
            If the function has no second derivative here.
        ValueError
            If a shape is wrong.
        """
        A_bar, B_bar = self._rule.differentiated(value_bar, [A_dot, B_dot])
        return A_bar, B_bar


def _locked(value: V) -> V:
    """The value with read-only arrays."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.setflags(write=False)
        return cast(V, view)
    if isinstance(value, tuple):
        return cast(V, type(value)(*(_locked(each) for each in value)))
    return value


def only(parts: Arrays) -> Array:
    """The value of a function with one result, an array."""
    return parts[0]


def number(parts: Arrays) -> float:
    """The value of a scalar real function, a float."""
    return float(parts[0].real)


def herm(A: Array) -> Array:
    """(A + Aᴴ)/2."""
    return np.asarray(0.5 * (A + A.conj().T))


def skew(A: Array) -> Array:
    """(A − Aᴴ)/2."""
    return np.asarray(0.5 * (A - A.conj().T))


def outer(a: Array, b: Array) -> Array:
    """a bᴴ, (n, n), of vectors (n,); for (n, j) arrays the sum over the columns."""
    n = len(a)
    return np.asarray(a.reshape(n, -1) @ b.reshape(n, -1).conj().T)
