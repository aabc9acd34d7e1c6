"""Which lines of a function lose imaginary parts? Read from its source, where there is one.

Does a function let imaginary parts through? Complex steps against differences, before any is trusted.
"""

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from numpy.exceptions import ComplexWarning

from ...errors import NotComplexSafe
from ...typing import Array
from ..user_function import UserFunction
from .finite_differences import LEVELS, RATIO, STEP, difference, differences

_ORDERED = "orders complex numbers in its own way or refuses them"


_REFUSES = "refuses complex numbers"


_BUFFER = "makes a real array, into which complex values do not fit: dtype=np.result_type"
"""Of all arguments, which follow: of a function of time t is one of them."""


REMEDIES = {
    **dict.fromkeys(("abs", "absolute", "fabs"), "is the modulus: adjoint.derive.safe.absolute"),
    "sign": "of a complex number is z/|z|: adjoint.derive.safe.sign",
    "norm": "sums |z|², not z²: adjoint.derive.safe.norm",
    "maximum": f"{_ORDERED}: adjoint.derive.safe.maximum",
    "minimum": f"{_ORDERED}: adjoint.derive.safe.minimum",
    "clip": f"{_ORDERED}: adjoint.derive.safe.clip",
    **dict.fromkeys(("max", "min", "amax", "amin", "fmax", "fmin", "sort", "sorted"), _ORDERED),
    **dict.fromkeys(("conj", "conjugate", "vdot"), "conjugates: leave it out, use np.dot"),
    **dict.fromkeys(
        ("real", "imag", "real_if_close", "angle"), "drops a part of the number: leave it out"
    ),
    **dict.fromkeys(
        ("float", "int", "float64", "asfarray"), "drops the imaginary part: leave it out"
    ),
    **dict.fromkeys(
        ("astype", "asarray", "array", "ascontiguousarray"), "drops it if the dtype is float"
    ),
    **dict.fromkeys(
        ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like"), _BUFFER
    ),
    **{
        name: f"{_REFUSES}: adjoint.derive.safe.{name}"
        for name in ("arctan2", "cbrt", "hypot", "floor", "heaviside", "interp", "logaddexp")
    },
    **dict.fromkeys(("ceil", "rint", "round", "trunc", "mod", "fmod", "remainder"), _REFUSES),
    **dict.fromkeys(("percentile", "quantile", "rfft"), _REFUSES),
    **dict.fromkeys(
        ("std", "var", "cov", "eigh", "eigvalsh", "cholesky"),
        "conjugates: write it out by products",
    ),
    **dict.fromkeys(
        ("fft", "ifft", "fftconvolve"),
        "mixes real and imaginary parts, whose rounding hides the small one",
    ),
    "expit": f"{_REFUSES}: 1 / (1 + np.exp(-x))",
}
"""What the usual operations do to complex numbers, and what to write instead."""


GENERAL = (
    "abs, sign, np.linalg.norm, max, sort, conj, .real, float(), astype(float), the functions of math (math.sin for "
    "np.sin), and assignment into np.zeros(n), which is real"
)


LISTED = 6
"""Lines that a message names at most."""


_HARMLESS_WITHOUT_DTYPE = ("asarray", "array", "ascontiguousarray")


def suspects(function: Callable[..., Array], arguments: str, found: str) -> str:
    """The operations in the function's own source that are known to lose imaginary parts, with line numbers.

    arguments: of the function, such as "(u, p)". found: what went wrong; if it names the NumPy function that refused,
    only that one. The usual ones in general, where the source cannot be read or shows none of them. Functions that it
    calls are not looked into.
    """
    refused = re.search(r"ufunc '(\w+)'", found)
    names = sorted(_names(function))
    known = [(line, name) for line, name in names if refused and name == refused[1]]
    known = known or [
        (line, name) for line, name in names if name in REMEDIES or name.startswith("math.")
    ]
    lines = list(
        dict.fromkeys(f"line {line}, {name} {_remedy(name, arguments)}" for line, name in known)
    )
    if not lines:
        return f"Usual causes, in the function or in what it calls: {GENERAL}."
    more = f"; and {len(lines) - LISTED} more" if len(lines) > LISTED else ""
    return "Likely causes in its source: " + "; ".join(lines[:LISTED]) + more + "."


def _remedy(name: str, arguments: str) -> str:
    if REMEDIES.get(name) == _BUFFER:
        return _BUFFER + arguments
    if name.startswith("math."):
        return f"takes real numbers only: np.{name.removeprefix('math.')}"
    return REMEDIES.get(name, _REFUSES)


def _names(function: Callable[..., Array]) -> Iterator[tuple[int, str]]:
    """(line, name) of each call, and of .real and .imag."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (
        TypeError,
        OSError,
        SyntaxError,
    ):  # No function; no file; or a lambda within an expression.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            name = name if name.startswith("math.") else name.rpartition(".")[2]
            if name in _HARMLESS_WITHOUT_DTYPE and len(node.args) < 2 and not node.keywords:
                continue
        elif isinstance(node, ast.Attribute) and node.attr in ("real", "imag"):
            name = node.attr
        else:
            continue
        yield first + node.lineno - 1, name


AGREEMENT = 1e-8
"""Relative error up to which a complex step and a difference agree: a lost part may be small beside stiff terms."""


MARGIN = 10.0
"""Times its own estimate, the error that a difference is granted: kinks within the steps make the estimate large."""


_NOISE = 1e2 * float(np.finfo(float).eps) / (STEP * RATIO ** (1 - LEVELS))
"""Rounding of a difference, relative to R and its terms."""


SMALL = 2.0**-18
"""The step of a single difference, 4e-6: its truncation error, for exp(60 u) too, and its rounding are below
`AGREEMENT`."""


VANISHING = 1e-180
"""Derivatives below this are not compared: times a step of 1e-100 they underflow, as at the tail of a front."""


TINY = 2.0**-23
"""A step, 1e-7, far smaller than those of extrapolated differences: what was rounding there is far larger here."""


def continued(owner: UserFunction, function: Callable[[Array], Array], z: Array) -> Array:
    """R at a complex argument, (n,); raises NotComplexSafe where R accepts its real part alone.

    NumPy's warning that an imaginary part was discarded is such an error.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)
            return function(z)
    except Exception as error:
        function(z.real.copy())  # If this raises too, complex numbers are not to blame.
        raise not_complex_safe(
            owner, f"does not work with complex numbers ({type(error).__name__}: {error})"
        ) from error


def doubtful(
    function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array
) -> Array:
    """The rows in which a single difference along v, in two evaluations, is not `derivative`: no proof, but cheap.

    v, terms: as for `disagreement`, which is to be asked next.
    """
    with np.errstate(all="ignore"):
        try:
            gap = np.abs(difference(function, x, v, SMALL) - derivative)
        except Exception:  # The function's own.
            return np.empty(0, dtype=int)
        rounding = 1e1 * float(np.finfo(float).eps) / SMALL * terms
    return np.flatnonzero(gap > AGREEMENT * np.abs(derivative) + rounding + VANISHING)


def disagreement(
    function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array
) -> tuple[Array, Array]:
    """The rows in which differences along v are certain, and are not `derivative`; and the differences, (n,).

    v: of the size of x; terms: Σ_j |∂R_i/∂x_j| |x_j| or so, as far as known, (n,). Rows with nan in their differences,
    where x + v leaves the domain, say nothing; nor does a function that raises there. A part that is lost is lost at
    all steps: rounding, and tables of many short pieces, differ from one step to another.
    """
    with np.errstate(all="ignore"):
        try:
            value, error = differences(function, x, v, LEVELS)
            scale = np.maximum(np.abs(derivative), np.abs(value))
            allowed = (
                AGREEMENT * scale
                + MARGIN * error
                + _NOISE * (np.abs(function(x)) + terms)
                + VANISHING
            )
            wrong = ~(np.abs(value - derivative) <= allowed) & np.isfinite(value)
            if wrong.any():
                again = difference(function, x, v, TINY)
                wrong &= ~(np.abs(again - value) > 0.2 * np.abs(value - derivative))
        except Exception:  # The function's own.
            return np.empty(0, dtype=int), derivative
    return np.flatnonzero(wrong), value


def not_complex_safe(owner: UserFunction, found: str) -> NotComplexSafe:
    """The error; found: what the function does, as the rest of a sentence."""
    return NotComplexSafe(
        f"{owner.maker}: the {owner.kind.name} function {found}. "
        f"{suspects(owner.function, owner.kind.arguments, found)} adjoint.derive.safe has replacements that are the "
        f"same for real numbers; {owner.kind.remedy}."
    )
