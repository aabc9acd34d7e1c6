"""Gradients of the cases by another library, in a separate process.

    PYTHON -m scripts.benchmarks.ode.peers PEER CASE SIZE

The process reads one command per line from the standard input: `prepare RTOL`, then `value` or
`gradient`, any number of times. It answers each command with one line of JSON. The caller ends
the process if an answer takes too long.
"""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TextIO

import numpy as np

from adjoint.typing import Array
from scripts.benchmarks.ode.cases import Case, case
from scripts.benchmarks.ode.peers.libraries import PEERS, Prepared, difference

MEMORY = 16 * 2**30
"""Maximum memory of the process, bytes."""


def serve(peer: str, name: str, size: int, answers: TextIO) -> None:
    """Answer commands until the input ends."""
    module, function = PEERS[peer][1].split(".")
    make: Callable[[Case, float], Prepared] = getattr(
        import_module(f"scripts.benchmarks.ode.peers.{module}"), function
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
        except (Exception, MemoryError) as error:  # An error of the library is a result.
            result = {"failed": f"{type(error).__name__}: {first_line(error)}"}
        print(json.dumps(result), file=answers, flush=True)


def described(answer: float | tuple[float, Array]) -> dict[str, object]:
    """Return J, and the gradient if the answer has one, as JSON."""
    if isinstance(answer, tuple):
        return {
            "value": float(answer[0]),
            "gradient": np.asarray(answer[1], float).ravel().tolist(),
        }
    return {"value": float(answer)}


def first_line(error: BaseException) -> str:
    """Return the first line of the message that is not a ruler, at most 200 characters."""
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip(" -")), "")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Warnings of the libraries.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # The libraries may print: only answers go to the standard output.
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), answers)
