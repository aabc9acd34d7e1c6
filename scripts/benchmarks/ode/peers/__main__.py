"""Other libraries' gradients of the cases, one library in a process of its own.

    PYTHON -m scripts.benchmarks.ode.peers PEER CASE SIZE

reads commands from the standard input, one a line: `prepare RTOL`, then `value` or `gradient` as often as wanted;
and answers each with one line of JSON. Whoever asked ends the process when an answer takes too long.
"""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TextIO

import numpy as np

from adjoint.typing import Array
from scripts.benchmarks.ode.cases import Case, case

MEMORY = 16 * 2**30  # bytes a process may hold

PEERS = {
    "diffrax, reverse": ("diffrax", "ode_diffrax.reverse"),
    "diffrax, forward mode": ("diffrax", "ode_diffrax.forward"),
    "torchdiffeq, backprop": ("torchdiffeq", "ode_torch.backprop"),
    "torchdiffeq, adjoint": ("torchdiffeq", "ode_torch.continuous"),
    "CasADi (CVODES)": ("casadi", "ode_casadi.prepare"),
    "sundials4py (CVODES)": ("sundials4py", "ode_sundials.prepare"),
    "scikit-sundae (CVODE)": ("sksundae", "ode_sundae.prepare"),
    "pydiffsol": ("pydiffsol", "ode_diffsol.prepare"),
}
"""Name: the package it needs; module and function, which makes a `Prepared` of a case and a relative tolerance."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case ready to be solved at one tolerance.

    value: () ↦ J; gradient: () ↦ (J, dJ/dp); field: u ↦ f(0, u, p) as the library has it, (n,).
    """

    value: Callable[[], float]
    gradient: Callable[[], tuple[float, Array]]
    field: Callable[[Array], Array]


def serve(peer: str, name: str, size: int, answers: TextIO) -> None:
    """Answer commands until the input ends."""
    module, function = PEERS[peer][1].split(".")
    make: Callable[[Case, float], Prepared] = getattr(
        import_module(f"scripts.benchmarks.{module}"), function
    )
    problem, ready = case(name, size), None
    for line in sys.stdin:
        command, *rest = line.split()
        try:
            start = time.perf_counter()
            if command == "prepare":
                ready = make(problem, float(rest[0]))
            answer = ready.value() if command == "value" else ready.gradient()
            seconds = time.perf_counter() - start
            result = {"seconds": seconds} | described(answer)
            if command == "prepare":
                result["f differs by"] = difference(ready.field(problem.probe[0]), problem.probe[1])
        except (Exception, MemoryError) as error:  # The library's own: it is reported, not mended.
            result = {"failed": f"{type(error).__name__}: {first_line(error)}"}
        print(json.dumps(result), file=answers, flush=True)


def described(answer: float | tuple[float, Array]) -> dict[str, object]:
    """J, and the gradient if there is one."""
    if isinstance(answer, tuple):
        return {
            "value": float(answer[0]),
            "gradient": np.asarray(answer[1], float).ravel().tolist(),
        }
    return {"value": float(answer)}


def difference(x: Array, expected: Array) -> float:
    """max |x − e| / max |e|."""
    return float(np.abs(x - expected).max() / np.abs(expected).max())


def first_line(error: BaseException) -> str:
    """Of what it says, the first 200 characters that say something."""
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip(" -")), "")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the libraries' own
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what they print is no answer
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), answers)
