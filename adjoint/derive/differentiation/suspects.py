"""Lines of a function's source that are known to lose imaginary parts, with remedies."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

from ...typing import Array

_ORDERED = "orders complex numbers in its own way or refuses them"

_REFUSES = "refuses complex numbers"

_BUFFER = "makes a real array, into which complex values do not fit: dtype=np.result_type"
"""This remedy is followed by the arguments of the function, such as "(t, u, p)"."""

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
"""The effect of common operations on complex numbers, and what to write instead."""

GENERAL = (
    "abs, sign, np.linalg.norm, max, sort, conj, .real, float(), astype(float), the functions of "
    "math (math.sin for np.sin), and assignment into np.zeros(n), which is real"
)
"""Operations that lose imaginary parts, named if the source shows none."""

LISTED = 6
"""Number of lines that a message names at most."""

_HARMLESS_WITHOUT_DTYPE = ("asarray", "array", "ascontiguousarray")


def suspects(function: Callable[..., Array], arguments: str, found: str) -> str:
    """A sentence that names the operations in the function's source that lose imaginary parts.

    arguments: the arguments of the function, such as "(u, p)". found: the text of the
    error; if the text names a NumPy function that refused complex numbers, only that
    NumPy function is named. If the source cannot be read or shows no such operation,
    the most common operations are named. The source of functions that the function
    calls is not read.
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
    """Words for a message: how the operation loses imaginary parts, or what to write instead."""
    if REMEDIES.get(name) == _BUFFER:
        return _BUFFER + arguments
    if name.startswith("math."):
        return f"takes real numbers only: np.{name.removeprefix('math.')}"
    return REMEDIES.get(name, _REFUSES)


def _names(function: Callable[..., Array]) -> Iterator[tuple[int, str]]:
    """(line, name) of each call in the source of the function, and of each .real and .imag."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    # Errors of an object that is not a function, of a missing file, of a lambda within an
    # expression.
    except (TypeError, OSError, SyntaxError):
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
