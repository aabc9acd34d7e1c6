"""Stores: damaged files are found, threads share a solution, failed sweeps do no harm."""

import threading

import numpy as np
import pytest

import adjoint

N = 3


def decay(n=N):
    return adjoint.complex_step_field(
        lambda t, u, p: -p[: u.size] * u + np.cos(t) * np.roll(u, 1), n=n, m=n
    )


def trajectory(memory, method=None, n=N, **settings):
    problem = adjoint.ODEProblem(
        decay(n),
        np.ones(n),
        t=(0.0, 1.0),
        method=method or adjoint.ode.Tsit5(),
        memory=memory,
        rtol=1e-5,
        **settings,
    )
    return problem.solve(np.linspace(0.5, 1.5, n))


class Product:
    """u_k = u_{k−1} (1 + p / k), with a vjp that fails once if `fails` is set."""

    fails = False

    def __call__(self, k, u, p):
        return u * (1.0 + p / k)

    def vjp(self, k, u, p, lam):
        if self.fails and k == 4:
            self.fails = False
            raise ArithmeticError("once")
        return (1.0 + p / k) * lam, u / k * lam

    def jvp(self, k, u, p, u_dot, p_dot):
        return (1.0 + p / k) * u_dot + u / k * p_dot


def recurrence(memory, step=None):
    return adjoint.RecurrenceProblem(step or Product(), np.ones(N), steps=9, memory=memory).solve(
        np.full(N, 0.3)
    )


def bits(path):
    """(name, contents) of the file with one bit flipped, in the header and in some numbers."""
    whole = path.read_bytes()
    for place in [*range(0, 128), *range(128, len(whole), 5)]:
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            yield f"bit {bit} of byte {place}", bytes(damaged)
    yield "a byte more", whole + b"\0"
    yield "a byte less", whole[:-1]
    yield "nothing", b""
    yield "another byte order", whole.replace(b"'<f8'", b"'>f8'")
    yield "another shape", whole.replace(b"(3,)", b"(2,)")
    yield "Fortran's order", whole.replace(b"'fortran_order': False", b"'fortran_order': True ")


def test_every_flipped_bit_of_a_stored_state_is_found(tmp_path):
    solution = recurrence(adjoint.checkpointing.Disk(tmp_path))
    expected = solution.vjp(np.ones((1, N)))
    path = next(tmp_path.glob("*/4.npy"))
    whole = path.read_bytes()
    for name, damaged in bits(path):
        path.write_bytes(damaged)
        with pytest.raises(adjoint.errors.StorageFailed, match=r"4\.npy"):
            pytest.fail(f"{name}: {solution.vjp(np.ones((1, N)))}")
    path.write_bytes(whole)
    np.testing.assert_array_equal(solution.vjp(np.ones((1, N))), expected)


def test_a_damaged_header_of_a_trajectory_s_state_is_found(tmp_path):
    kept = trajectory(adjoint.checkpointing.Disk(tmp_path))
    path = next(tmp_path.glob("*/1.npy"))
    path.write_bytes(path.read_bytes().replace(b"'<f8'", b"'>f8'", 1))
    with pytest.raises(adjoint.errors.StorageFailed, match="header has changed"):
        kept.vjp(np.ones((1, N)))


def at_once(work, number=4):
    """Results or errors of `work` in several threads that start together."""
    barrier, results = threading.Barrier(number), [None] * number

    def run(i):
        barrier.wait()
        try:
            results[i] = work()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


MEMORIES = {
    "checkpoints": lambda folder: adjoint.checkpointing.Checkpoints(4),
    "one checkpoint": lambda folder: adjoint.checkpointing.Checkpoints(1),
    "states": lambda folder: adjoint.checkpointing.States(),
    "everything": lambda folder: adjoint.checkpointing.Everything(),
    "disk": lambda folder: adjoint.checkpointing.Disk(folder),
    "checkpoints on disk": lambda folder: adjoint.checkpointing.Disk(folder, slots=3),
    "budget": lambda folder: adjoint.checkpointing.Budget(400),
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_threads_share_a_trajectory(memory, tmp_path):
    shared, alone = (
        trajectory(MEMORIES[memory](tmp_path)),
        trajectory(adjoint.checkpointing.Everything()),
    )
    expected, tangent = alone.vjp(np.ones((1, N))), alone.jvp(np.ones(N))
    for _ in range(3):
        for g in at_once(lambda: shared.vjp(np.ones((1, N)))):
            np.testing.assert_array_equal(g, expected)
        for u_dot in at_once(lambda: shared.jvp(np.ones(N)), 2):
            np.testing.assert_array_equal(u_dot, tangent)
    np.testing.assert_array_equal(shared.vjp(np.ones((1, N))), expected)


@pytest.mark.parametrize(
    "method", [adjoint.ode.ESDIRK4(), adjoint.ode.Radau5()], ids=["ESDIRK4", "Radau5"]
)
@pytest.mark.parametrize("memory", ["checkpoints", "states"])
def test_threads_share_a_trajectory_of_sparse_factors(memory, method, tmp_path):
    shared = trajectory(MEMORIES[memory](tmp_path), method, n=70)
    expected = trajectory(adjoint.checkpointing.States(), method, n=70).vjp(np.ones((1, 70)))
    for g in at_once(lambda: shared.vjp(np.ones((1, 70))), 3):
        np.testing.assert_allclose(g, expected, rtol=1e-12)


@pytest.mark.parametrize("memory", MEMORIES)
def test_threads_share_the_solution_of_a_recurrence(memory, tmp_path):
    shared = recurrence(
        MEMORIES[memory](tmp_path) if memory != "budget" else adjoint.checkpointing.Budget(100)
    )
    expected = recurrence(adjoint.checkpointing.Everything()).vjp(np.ones((1, N)))
    for _ in range(3):
        for g in at_once(lambda: shared.vjp(np.ones((1, N)))):
            np.testing.assert_array_equal(g, expected)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_sweep_that_fails_leaves_the_others_what_they_need(memory, tmp_path):
    step = Product()
    solution = recurrence(
        MEMORIES[memory](tmp_path) if memory != "budget" else adjoint.checkpointing.Budget(100),
        step,
    )
    expected = recurrence(adjoint.checkpointing.Everything()).vjp(np.ones((1, N)))
    step.fails = True
    with pytest.raises(
        ArithmeticError
    ) as kept:  # Its traceback, and what it refers to, stays alive.
        solution.vjp(np.ones((1, N)))
    for g in at_once(lambda: solution.vjp(np.ones((1, N))), 2):
        np.testing.assert_array_equal(g, expected)
    assert kept.value is not None


@pytest.mark.parametrize("nested", [False, True])
def test_a_sweep_within_a_sweep_is_refused_by_name(nested):
    def watch(event):
        if nested and event.kind == "reverse" and event.step == 3:
            solution.vjp(np.ones((1, N)))

    solution = adjoint.RecurrenceProblem(
        Product(), np.ones(N), steps=9, memory=adjoint.checkpointing.Checkpoints(2), callback=watch
    ).solve(np.full(N, 0.3))
    expected = recurrence(adjoint.checkpointing.Everything()).vjp(np.ones((1, N)))
    if nested:
        with pytest.raises(adjoint.SolveError, match="within another"):
            solution.vjp(np.ones((1, N)))
        nested = False
    np.testing.assert_array_equal(solution.vjp(np.ones((1, N))), expected)
