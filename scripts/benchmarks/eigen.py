"""The cost of derivatives of vibration modes, as multiples of the search for the modes.

    python -m scripts.benchmarks.eigen --out out/benchmarks

A clamped plane body with one density per element, which scales stiffness and mass; ten
modes. The search is SciPy's `eigsh` with the factors of CHOLMOD, and its time includes the
factorization. Each ratio is the shortest time of a task over the shortest time of the
search, in one process, the tasks in turn. The cotangents of the vectors are random. The
peers start from modes that are known: Nelson's method factors K − μM with one pinned unknown
for each mode, by SuperLU, and pyMOTO, where it is installed, factors K − μM for each mode.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

import adjoint
from adjoint.eigen import EigenProblem, EigenSolution
from adjoint.typing import Array
from problems.finite_elements.grid import Grid
from problems.steady.elasticity import cantilever

CELLS = (300, 166)
SMALL = (24, 12)
MODES = 10


@dataclass(frozen=True, eq=False)
class Body:
    """A clamped plane body. K, M: stiffness and mass; p: densities; solution: the modes at p."""

    K: adjoint.Elements
    M: adjoint.Elements
    problem: EigenProblem
    p: Array
    solution: EigenSolution

    @classmethod
    def clamped(cls, nelx: int, nely: int) -> "Body":
        """Make a cantilever of nelx × nely elements with random densities."""
        K = cantilever(nelx, nely).K
        M = adjoint.Elements(K.dofs, mass_matrix(Grid.unit(nelx, nely)))
        problem = EigenProblem(K, M, count=MODES)
        p = np.random.default_rng(0).uniform(0.5, 1.0, nelx * nely)
        return cls(K, M, problem, p, problem.solve(p))

    @property
    def matrices(self) -> tuple[sparse.csc_array, sparse.csc_array]:
        """K and M at p."""
        return self.K(self.p), self.M(self.p)

    def gradient(self, of_K: Array, of_M: Array) -> Array:
        """Return the derivative of Σ_i of_K_iᵀ K φ_i + of_M_iᵀ M φ_i with respect to p."""
        phi = np.ascontiguousarray(self.solution.vectors)
        return self.K.vjp(self.p, phi, of_K) + self.M.vjp(self.p, phi, of_M)


def mass_matrix(grid: Grid) -> Array:
    """M_e = ∫ N Nᵀ of an element with density 1, (8, 8)."""
    weights, shapes, _ = grid.shape_functions()
    return np.kron(np.einsum("q,qi,qj->ij", weights, shapes, shapes), np.eye(2))


def main(out: Path, small: bool, rounds: int) -> dict[str, float]:
    """Measure; returns, prints and writes the ratios."""
    body = Body.clamped(*(SMALL if small else CELLS))
    bar = np.asarray(np.random.default_rng(1).standard_normal(body.solution.vectors.shape))
    results = counted(body, bar)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, task in tasks(body, bar).items():
            seconds.setdefault(name, []).append(elapsed(task))
    best = {name: min(times) for name, times in seconds.items()}
    results["search, s"] = best.pop("search")
    results |= {f"{name} / search": least / results["search, s"] for name, least in best.items()}
    small_body = Body.clamped(*SMALL)
    small_bar = np.ones_like(small_body.solution.vectors)
    reference = body.solution.vjp(np.zeros(MODES), bar)
    size = np.linalg.norm(reference)
    for name, peer in peers().items():
        peer(small_body, small_bar)  # Imports, and the start of libraries.
        start = time.process_time()
        found = peer(body, bar)
        results[f"{name}: vectors / search"] = (time.process_time() - start) / results["search, s"]
        results[f"{name}: gradient differs by"] = float(np.linalg.norm(found - reference) / size)
    print(*(f"{key:45s} {value:.4g}" for key, value in results.items()), sep="\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "eigen.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def counted(body: Body, bar: Array) -> dict[str, float]:
    """Return the counts of a solution and of all cotangents together."""
    with adjoint.counting() as counts:
        solution = body.problem.solve(body.p)
        searched = counts.solves
        solution.vjp(np.ones(MODES), bar)
    return {
        "unknowns": solution.vectors.shape[0],
        "parameters": body.p.size,
        "modes": MODES,
        "factorizations": counts.numeric,
        "solves of the search": searched,
        "block solves of all cotangents": counts.solves - searched,
        "largest residual": float(solution.residuals.max()),
    }


def tasks(body: Body, bar: Array) -> dict[str, Callable[[], object]]:
    """Return the tasks of one round."""
    solution = body.solution
    direction = np.random.default_rng(2).standard_normal(body.p.size)

    def search() -> Array:
        K, M = body.matrices
        factors = adjoint.cholesky(K)
        inverse = LinearOperator(K.shape, dtype=float, matvec=lambda b: factors.unverified(b))
        return np.asarray(eigsh(K, MODES, M=M, sigma=0.0, OPinv=inverse)[0])

    return {
        "search": search,
        "solve": lambda: body.problem.solve(body.p),
        "gradients of values": lambda: solution.vjp(np.ones(MODES)),
        "gradients of values and vectors": lambda: solution.vjp(np.ones(MODES), bar),
        "tangent of values and vectors": lambda: solution.jvp(direction),
    }


def elapsed(task: Callable[[], object]) -> float:
    """Return the processor seconds of a call of the task."""
    start = time.process_time()
    task()
    return time.process_time() - start


# Peers: the gradient of Re Σ barᵀ vectors --------------------------------------------------------


def nelson(body: Body, bar: Array) -> Array:
    """The adjoint of Nelson's method: one LU of a pinned K − μM for each mode.

    Nelson (1976), Simplified calculation of eigenvector derivatives, AIAA J. 14, 1201.
    """
    K, M = body.matrices
    phi, lam, mass = body.solution.vectors, np.zeros_like(bar), np.zeros_like(bar)
    for i, mu in enumerate(body.solution.values):
        overlap = phi[:, i] @ bar[:, i]
        pinned = int(np.abs(phi[:, i]).argmax())
        free = np.delete(np.arange(len(phi)), pinned)
        factors = splu(sparse.csc_array((K - mu * M)[free][:, free]), permc_spec="MMD_AT_PLUS_A")
        lam[free, i] = factors.solve(bar[free, i] - overlap * (M @ phi[:, i])[free])
        lam[:, i] -= phi[:, i] * (phi[:, i] @ (M @ lam[:, i]))
        mass[:, i] = mu * lam[:, i] - 0.5 * overlap * phi[:, i]
    return body.gradient(-lam, mass)


def pymoto_modules(body: Body, bar: Array) -> Array:
    """The sensitivities of pyMOTO's EigenSolve, for matrices that are given."""
    pymoto = import_module("pymoto")
    K, M = (
        pymoto.Signal(name, sparse.csc_matrix(A))
        for name, A in zip("KM", body.matrices, strict=True)
    )
    with pymoto.Network() as network:
        values, vectors = pymoto.EigenSolve(hermitian=True, nmodes=MODES, sigma=0.0)(K, M)
    module = network[0]
    module.adjoint_solvers_need_update = True
    phi = body.solution.vectors.copy()
    values.state, vectors.state = body.solution.values.copy(), phi
    vectors.sensitivity = bar
    network.sensitivity()
    g = np.zeros_like(body.p)
    for signal, matrix in ((K, body.K), (M, body.M)):
        left, right = (np.stack(v, axis=1) for v in (signal.sensitivity.u, signal.sensitivity.v))
        g += matrix.vjp(body.p, right, left)
    return g


def peers() -> dict[str, Callable[[Body, Array], Array]]:
    """Return the peers that are installed."""
    known: dict[str, Callable[[Body, Array], Array]] = {"Nelson (SuperLU)": nelson}
    if find_spec("pymoto"):
        known["pyMOTO"] = pymoto_modules
    return known


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.out, arguments.small, arguments.rounds)
