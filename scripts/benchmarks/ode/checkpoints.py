"""A reverse sweep of 100 000 steps from 20 checkpoints: repeated steps, and memory.

python -m scripts.benchmarks.ode.checkpoints [--out DIR] [--small]

The repeated steps are compared with the closed form.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

import adjoint
from adjoint.checkpointing import minimal_advances
from adjoint.typing import Array

STEPS, SLOTS, UNKNOWNS = 100_000, 20, 10_000


class Decay:
    """u_k = u_{k−1} − h p u_{k−1}²."""

    h = 1e-4

    def __call__(self, k: int, u: Array, p: Array) -> Array:
        """Φ(u, p), (n,)."""
        return u - self.h * p[0] * u * u

    def vjp(self, k: int, u: Array, p: Array, lam: Array) -> tuple[Array, Array]:
        """((∂Φ/∂u)ᵀ λ, (∂Φ/∂p)ᵀ λ)."""
        return lam - 2.0 * self.h * p[0] * u * lam, np.array(
            [-self.h * np.einsum("i,i,i->", u, u, lam)]
        )

    def jvp(self, k: int, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂Φ/∂u) u̇ + (∂Φ/∂p) ṗ."""
        return u_dot - 2.0 * self.h * p[0] * u * u_dot - self.h * p_dot[0] * u * u


def peak() -> int:
    """Return the peak memory of this process so far, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(
    steps: int, unknowns: int, memory: adjoint.checkpointing.Checkpoints
) -> dict[str, float]:
    """Solve, sweep back once, and compare with the gradient of the continuous problem.

    The continuous solution is u₀/(1 + p t u₀).
    """
    u0 = np.linspace(0.5, 1.5, unknowns)
    before, started = peak(), time.perf_counter()
    solution = adjoint.RecurrenceProblem(Decay(), u0, steps, memory=memory).solve(np.array([0.7]))
    solved = time.perf_counter()
    g = solution.vjp(np.ones((1, unknowns)))
    seconds = time.perf_counter() - solved
    t = Decay.h * steps
    exact = float(np.sum(-t * u0**2 / (1.0 + 0.7 * t * u0) ** 2))
    return {
        "steps": steps,
        "slots": memory.slots,
        "repeated": solution.evidence.repeated,
        "closed form": minimal_advances(steps, memory.slots) - (steps - 1),
        "checkpoints, MB": (memory.slots + 1) * u0.nbytes / 1e6,
        "all states, MB": steps * u0.nbytes / 1e6,
        "growth of peak RSS, MB": (peak() - before) / 1e6,
        "forward, s": solved - started,
        "reverse, s": seconds,
        "distance from the continuous gradient": abs(g[0] / exact - 1.0),
    }


def main(out: Path, small: bool) -> dict[str, float]:
    """Measure, print, and write checkpoints.json."""
    result = measured(
        2000 if small else STEPS,
        100 if small else UNKNOWNS,
        adjoint.checkpointing.Checkpoints(8 if small else SLOTS),
    )
    for name, value in result.items():
        print(f"{name:40s} {value:.6g}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "checkpoints.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out/checkpoints"), help="where checkpoints.json goes"
    )
    parser.add_argument("--small", action="store_true", help="2000 steps")
    options = parser.parse_args()
    main(options.out, options.small)
