"""NumPy functions that keep imaginary parts: f(x + iy) = f(x) + i f'(x) y + O(y²).

A complex step (`adjoint.complex_step_residual`) needs no more than this expansion.
NumPy's own functions are either not differentiable in the complex plane (abs, sign,
norm), or refuse complex numbers (arctan2, interp, …). For real arguments the functions
here return the results of NumPy. All functions take arrays and scalars.

>>> import numpy as np
>>> from adjoint.derive import safe
>>> h = 1e-100
>>> safe.absolute(-2.0 + 1j * h).imag / h
np.float64(-1.0)
"""

from collections.abc import Callable

import numpy as np

from ...typing import Array

Value = Array | float | complex
"""An array or a scalar, real or complex."""


def absolute(x: Value) -> Array:
    """|x|; its derivative is −1 where Re x < 0, and 1 elsewhere."""
    x = np.asarray(x)
    return np.where(x.real < 0.0, -x, x)[()] if _complex(x) else np.abs(x)


def sign(x: Value) -> Array:
    """The sign of x: −1, 0 or 1; its derivative is zero."""
    return _constant(np.sign, x)


def floor(x: Value) -> Array:
    """⌊x⌋; its derivative is zero."""
    return _constant(np.floor, x)


def heaviside(x: Value, at_zero: float) -> Array:
    """0 where x < 0, 1 where x > 0, `at_zero` where x = 0; its derivative is zero."""
    return _constant(lambda real: np.heaviside(real, at_zero), x)


def maximum(x: Value, y: Value) -> Array:
    """max(x, y); x if x = y, nan if x or y is nan."""
    x, y = np.asarray(x), np.asarray(y)
    if not _complex(x, y):
        return np.maximum(x, y)
    return np.where((x.real >= y.real) | np.isnan(x.real), x, y)[()]


def minimum(x: Value, y: Value) -> Array:
    """min(x, y); x if x = y, nan if x or y is nan."""
    x, y = np.asarray(x), np.asarray(y)
    if not _complex(x, y):
        return np.minimum(x, y)
    return np.where((x.real <= y.real) | np.isnan(x.real), x, y)[()]


def clip(x: Value, lower: Value, upper: Value) -> Array:
    """min(max(x, lower), upper); lower = −inf and upper = inf are no bounds."""
    return minimum(maximum(x, lower), upper)


def norm(x: Array, axis: int | None = None) -> Array:
    """√(Σ x²), the Euclidean norm of all entries or along an axis."""
    x = np.asarray(x)
    return (
        np.sqrt(np.sum(x * x, axis=axis))
        if _complex(x)
        else np.asarray(np.linalg.norm(x, axis=axis))[()]
    )


def hypot(x: Value, y: Value) -> Array:
    """√(x² + y²), without overflow."""
    x, y = np.asarray(x), np.asarray(y)
    if not _complex(x, y):
        return np.hypot(x, y)
    r = np.hypot(x.real, y.real)
    along = _ratio(x.real, r) * x.imag + _ratio(y.real, r) * y.imag
    return _joined(r, np.where(r > 0.0, along, np.hypot(x.imag, y.imag)))


def arctan2(y: Value, x: Value) -> Array:
    """The angle of the point (x, y), in (−π, π]."""
    y, x = np.asarray(y), np.asarray(x)
    if not _complex(x, y):
        return np.arctan2(y, x)
    r = np.hypot(x.real, y.real)
    turn = _ratio(_ratio(x.real, r) * y.imag - _ratio(y.real, r) * x.imag, r)
    return _joined(np.arctan2(y.real, x.real), turn)


def cbrt(x: Value) -> Array:
    """∛x, negative for a negative x."""
    x = np.asarray(x)
    if not _complex(x):
        return np.cbrt(x)
    root = np.cbrt(x.real)
    return _joined(root, x.imag / (3.0 * root * root))


def logaddexp(x: Value, y: Value) -> Array:
    """log(eˣ + eʸ), without overflow: log(1 + eˣ) is logaddexp(0, x)."""
    x, y = np.asarray(x), np.asarray(y)
    if not _complex(x, y):
        return np.logaddexp(x, y)
    total = np.logaddexp(x.real, y.real)
    return _joined(total, np.exp(x.real - total) * x.imag + np.exp(y.real - total) * y.imag)


def interp(x: Value, xp: Array, fp: Array) -> Array:
    """Linear interpolation of the points (xp, fp), constant outside.

    xp: real, increasing; fp: real or complex.
    """
    x, fp = np.asarray(x), np.asarray(fp)
    value = np.interp(x.real, xp, fp)
    if not _complex(x):
        return value
    slopes = np.concatenate([[0.0], np.diff(fp.real) / np.diff(xp), [0.0]])
    return (
        value
        + _joined(np.zeros(x.shape), x.imag) * slopes[np.searchsorted(xp, x.real, side="right")]
    )


def _complex(*values: Array) -> bool:
    return any(value.dtype.kind == "c" for value in values)


def _joined(real: Array, imag: Array) -> Array:
    """real + i·imag, set part by part: the product i·inf has nan as its real part."""
    z = np.empty(np.shape(real), dtype=np.complex128)
    z.real, z.imag = real, imag
    return z[()]


def _constant(function: Callable[[Array], Array], x: Value) -> Array:
    """A piecewise constant function at x, complex if x is complex; its derivative is zero."""
    x = np.asarray(x)
    return function(x.real) + 0j if _complex(x) else function(x)


def _ratio(x: Array, r: Array) -> Array:
    """x / r, and 0 where r is 0."""
    return np.divide(
        x, r, out=np.zeros(np.broadcast_shapes(np.shape(x), np.shape(r))), where=np.asarray(r) > 0.0
    )
