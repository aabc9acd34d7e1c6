"""Laws of recurrences: derivatives, transposes, bits of all memories, named errors."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import adjoint
from adjoint.checkpointing import Budget, Checkpoints, Disk, Everything, States, SweepEvent
from adjoint.errors import MemoryTooSmall, StorageFailed
from adjoint.recurrence import RecurrenceProblem

N_STATE, STEPS = 5, 23
STEP = 1e-30


@dataclass(frozen=True, eq=False)
class Waves:
    """Φ_k = u + h (p₀ u ∘ Su − p₁ u² + p₂ cos k + c Su), S a shift."""

    h: float = 0.1
    c: complex = 0.5

    def __call__(self, k, u, p):
        Su = np.roll(u, 1)
        return u + self.h * (p[0] * u * Su - p[1] * u**2 + p[2] * np.cos(k) + self.c * Su)

    def by_parameters(self, k, u):
        return self.h * np.stack([u * np.roll(u, 1), -(u**2), np.full_like(u, np.cos(k))], axis=1)

    def by_state(self, u, p):
        S = np.roll(np.eye(u.size), 1, axis=0)
        D = np.diag(p[0] * np.roll(u, 1) - 2.0 * p[1] * u) + np.diag(p[0] * u) @ S + self.c * S
        return np.eye(u.size) + self.h * D

    def vjp(self, k, u, p, lam):
        return self.by_state(u, p).conj().T @ lam, self.by_parameters(k, u).conj().T @ lam

    def jvp(self, k, u, p, u_dot, p_dot):
        return self.by_state(u, p) @ u_dot + self.by_parameters(k, u) @ p_dot


BASE = np.linspace(0.2, 0.9, N_STATE)
SLOPE = 0.3 * np.random.default_rng(0).standard_normal((N_STATE, 3))
P = np.array([0.7, 0.4, 0.9])
REAL = RecurrenceProblem(
    Waves(), adjoint.matrices.AffineVector(BASE, SLOPE), STEPS, observe=(0, 4, 5, STEPS)
)
COMPLEX = replace(
    REAL,
    step=Waves(c=0.3 + 0.4j),
    u0=adjoint.matrices.AffineVector(BASE * (1 + 0.3j), SLOPE * (1 - 0.5j)),
)
PROBLEMS = {
    "real": REAL,
    "complex states": COMPLEX,
    "complex from a real start": replace(COMPLEX, u0=BASE),
    "last state only": replace(REAL, observe=None),
    "constant start": replace(REAL, u0=BASE),
    "no steps": replace(REAL, steps=0, observe=None),
    "one step": replace(REAL, steps=1, observe=(0, 1)),
}


def cotangents(u, seed, j=None):
    shape = u.shape if j is None else (*u.shape, j)
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *shape))
    return real + 1j * imaginary if u.dtype.kind == "c" else real


@pytest.mark.parametrize("p", [P, P * (1.0 + 0.2j)], ids=["real p", "complex p"])
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_reverse_sweep_is_the_transpose_of_the_tangent_sweep(problem, p):
    solution = problem.solve(p)
    W, V = cotangents(solution.u, 1, 3), cotangents(p, 2, 2)
    forward, backward = solution.jvp(V), solution.vjp(W)
    assert (forward.shape, backward.shape) == ((*solution.u.shape, 2), (3, 3))
    assert np.iscomplexobj(backward) == np.iscomplexobj(p)
    left = np.einsum("knv,knw->vw", forward, W.conj()).real
    right = np.einsum("mv,mw->vw", V, backward.conj()).real
    np.testing.assert_allclose(left, right, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "name", ["real", "last state only", "constant start", "no steps", "one step"]
)
def test_gradient_is_that_of_a_complex_step_through_the_recurrence(name):
    problem = PROBLEMS[name]
    solution = problem.solve(P)
    D = np.stack([problem.solve(P + 1j * STEP * unit).u.imag / STEP for unit in np.eye(3)], axis=-1)
    for column, unit in enumerate(np.eye(3)):
        np.testing.assert_allclose(solution.jvp(unit), D[..., column], rtol=1e-13, atol=1e-15)
    u_bar = cotangents(solution.u, 3)
    np.testing.assert_allclose(
        solution.vjp(u_bar), np.einsum("kn,knm->m", u_bar, D), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("name", ["real", "complex states", "complex from a real start"])
def test_taylor_remainder_is_second_order(name):
    problem = PROBLEMS[name]
    target = 0.9 * problem.solve(P).u
    report = adjoint.check(adjoint.Reduced(problem, LeastSquares(target)), P, seed=4)
    assert report.ok, report.table()


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """½ ‖u − d‖²."""

    target: object

    def value(self, u, p):
        return 0.5 * float(np.sum(np.abs(u - self.target) ** 2))

    def gradients(self, u, p):
        return u - self.target, np.zeros_like(p)


@pytest.mark.parametrize("name", ["real", "complex states", "complex from a real start"])
def test_derivative_is_a_linear_operator_with_its_conjugate_transpose(name):
    D = PROBLEMS[name].solve(P).derivative
    matrix = D @ np.eye(3)
    assert np.iscomplexobj(matrix) == (name != "real")
    np.testing.assert_allclose(D.H @ np.eye(D.shape[0]), matrix.conj().T, atol=1e-13)
    np.testing.assert_allclose(D @ (1j * P), 1j * (matrix @ P), atol=1e-13)
    w = np.random.default_rng(5).standard_normal(D.shape[0])
    np.testing.assert_allclose(D.T @ w, matrix.T @ w, atol=1e-13)


def test_adjoint_states_obey_their_recurrence_and_end_at_the_start():
    problem, step = PROBLEMS["constant start"], Waves()
    solution = problem.solve(P)
    every = replace(problem, observe=np.arange(STEPS + 1)).solve(P).u
    u_bar = cotangents(solution.u, 6, 2)
    lam = solution.adjoint(u_bar)
    assert lam.shape == (STEPS + 1, N_STATE, 2)
    np.testing.assert_array_equal(lam[STEPS], u_bar[-1])
    for k in range(STEPS):
        jump = u_bar[list(problem.observe).index(k)] if k in problem.observe else 0.0
        np.testing.assert_allclose(
            lam[k], step.by_state(every[k], P).T @ lam[k + 1] + jump, rtol=1e-13, atol=1e-15
        )
    sensitivities = solution.sensitivities(u_bar)
    np.testing.assert_array_equal(sensitivities.u0, lam[0])
    np.testing.assert_array_equal(solution.adjoint(u_bar[..., 0]), lam[..., 0])
    np.testing.assert_array_equal(sensitivities.p, solution.vjp(u_bar))


def test_gradient_through_the_start_is_its_pullback():
    """dJ/dp with u₀(p) = b + B p is dJ/dp with constant u₀, plus Bᵀ dJ/du₀."""
    solution = REAL.solve(P)
    u_bar = cotangents(solution.u, 7)
    constant = replace(REAL, u0=BASE + SLOPE @ P).solve(P).sensitivities(u_bar)
    np.testing.assert_allclose(solution.vjp(u_bar), constant.p + SLOPE.T @ constant.u0, rtol=1e-13)


SIZE = N_STATE * 8
MEMORIES = {
    "everything": lambda path: Everything(),
    "1 slot": lambda path: Checkpoints(1),
    "4 slots": lambda path: Checkpoints(4),
    "100 slots": lambda path: Checkpoints(100),
    "disk": lambda path: Disk(path),
    "3 slots on disk": lambda path: Disk(path, slots=3),
    "small budget": lambda path: Budget(5 * SIZE),
    "least budget": lambda path: Budget(2 * SIZE),
    "budget and disk": lambda path: Budget(5 * SIZE, directory=path),
}


@pytest.mark.parametrize("make", MEMORIES.values(), ids=MEMORIES)
def test_all_memories_give_the_same_bits_in_every_sweep(make, tmp_path):
    expected = replace(REAL, memory=States()).solve(P)
    solution = replace(REAL, memory=make(tmp_path)).solve(P)
    u_bar = cotangents(expected.u, 8, 2)
    for _ in range(2):
        np.testing.assert_array_equal(solution.vjp(u_bar), expected.vjp(u_bar))
        np.testing.assert_array_equal(solution.jvp(P), expected.jvp(P))
        np.testing.assert_array_equal(solution.adjoint(u_bar), expected.adjoint(u_bar))
    del solution
    assert list(tmp_path.iterdir()) == []


class Reusing(Waves):
    """Return the same arrays each time."""

    buffers = (np.zeros(N_STATE), np.zeros(N_STATE), np.zeros(3), np.zeros(N_STATE))

    def __call__(self, k, u, p):
        self.buffers[0][:] = super().__call__(k, u, p)
        return self.buffers[0]

    def vjp(self, k, u, p, lam):
        self.buffers[1][:], self.buffers[2][:] = super().vjp(k, u, p, lam)
        return self.buffers[1], self.buffers[2]

    def jvp(self, k, u, p, u_dot, p_dot):
        self.buffers[3][:] = super().jvp(k, u, p, u_dot, p_dot)
        return self.buffers[3]


def test_steps_that_reuse_their_arrays_and_starts_that_change_later_do_no_harm():
    start = BASE.copy()
    solution, expected = (
        replace(REAL, step=Reusing(), u0=start).solve(P),
        replace(REAL, u0=BASE).solve(P),
    )
    start[:] = 7.0
    u_bar = cotangents(expected.u, 9, 2)
    np.testing.assert_array_equal(solution.u, expected.u)
    np.testing.assert_array_equal(solution.vjp(u_bar), expected.vjp(u_bar))
    np.testing.assert_array_equal(solution.jvp(np.eye(3)), expected.jvp(np.eye(3)))


def test_watch_sees_each_step_of_each_sweep():
    events = []
    solution = replace(REAL, memory=Checkpoints(3), callback=events.append).solve(P)
    solution.vjp(np.ones_like(solution.u))
    solution.jvp(P)
    assert all(isinstance(event, SweepEvent) and np.isnan(event.t) for event in events)
    steps = {
        kind: [event.step for event in events if event.kind == kind]
        for kind in {event.kind for event in events}
    }
    assert steps["forward"] == steps["tangent"] == list(range(STEPS)) == steps["reverse"][::-1]
    assert len(steps["advance"]) == solution.evidence.repeated
    assert steps["store"][0] == 0
    assert "3 of 3 checkpoints in memory" in str(solution.evidence)


def test_blocks_without_columns_have_derivatives_without_columns():
    solution = REAL.solve(P)
    assert solution.vjp(np.zeros((*solution.u.shape, 0))).shape == (3, 0)
    assert solution.jvp(np.zeros((3, 0))).shape == (*solution.u.shape, 0)
    assert solution.adjoint(np.zeros((*solution.u.shape, 0))).shape == (STEPS + 1, N_STATE, 0)


def stepping(**methods):
    """REAL with methods of its step replaced."""
    return replace(REAL, step=type("Changed", (Waves,), {"__hash__": None} | methods)())


def blown_up(self, k, u, p):
    return u if k < 7 else np.full(N_STATE, np.nan)


BAD = {
    "no vjp": (lambda: replace(REAL, step=lambda k, u, p: u), TypeError, "has no method vjp"),
    "class": (lambda: replace(REAL, step=Waves), TypeError, "expected an instance"),
    "steps as a float": (lambda: replace(REAL, steps=3.0), TypeError, "steps=3.0"),
    "steps as a truth value": (lambda: replace(REAL, steps=True), TypeError, "steps=True"),
    "negative steps": (lambda: replace(REAL, steps=-1), ValueError, "an integer ≥ 0"),
    "unsorted": (lambda: replace(REAL, observe=(3, 2)), ValueError, "strictly increasing"),
    "twice": (lambda: replace(REAL, observe=(3, 3)), ValueError, "strictly increasing"),
    "beyond the end": (lambda: replace(REAL, observe=(3, STEPS + 1)), ValueError, r"0 … 23"),
    "before the start": (lambda: replace(REAL, observe=(-1, 2)), ValueError, r"0 … 23"),
    "times": (lambda: replace(REAL, observe=(0.5, 2.0)), TypeError, "integers"),
    "nothing observed": (lambda: replace(REAL, observe=()), ValueError, "K ≥ 1"),
    "u0 a matrix": (lambda: replace(REAL, u0=np.eye(2)), ValueError, "expected a vector"),
    "u0 a function": (lambda: replace(REAL, u0=lambda p: p), TypeError, "has no method vjp"),
    "empty u0": (lambda: replace(REAL, u0=np.zeros(0)), ValueError, "shape"),
    "u0 nan": (
        lambda: replace(REAL, u0=BASE * np.nan).solve(P),
        adjoint.errors.NonFinite,
        "u0 is nan",
    ),
    "memory class": (lambda: replace(REAL, memory=States), TypeError, "the class States"),
    "memory word": (lambda: replace(REAL, memory="disk"), TypeError, "a str"),
    "callback": (lambda: replace(REAL, callback=3), TypeError, "a function of a SweepEvent"),
    "state of another shape": (
        lambda: stepping(__call__=lambda self, k, u, p: u[:2] if k == 9 else u).solve(P),
        ValueError,
        "after step 9 has shape",
    ),
    "state of words": (
        lambda: stepping(__call__=lambda *_: np.array(["a"] * 5)).solve(P),
        TypeError,
        "dtype",
    ),
    "nan midway": (
        lambda: stepping(__call__=blown_up).solve(P),
        adjoint.errors.NonFinite,
        "after step 7 is nan",
    ),
    "p nan": (lambda: REAL.solve(P * np.nan), adjoint.errors.NonFinite, "p\\[0\\] is nan"),
    "state written to": (
        lambda: stepping(__call__=lambda self, k, u, p: u.fill(0.0)).solve(P),
        ValueError,
        "read-only",
    ),
    "u_bar shape": (lambda: REAL.solve(P).vjp(np.ones(3)), ValueError, "u_bar of shape"),
    "u_bar nan": (
        lambda: REAL.solve(P).vjp(np.full((4, 5), np.inf)),
        adjoint.errors.NonFinite,
        "u_bar",
    ),
    "p_dot shape": (lambda: REAL.solve(P).jvp(np.ones(4)), ValueError, "p_dot of shape"),
    "vjp without p_bar": (
        lambda: stepping(vjp=lambda self, k, u, p, lam: lam).solve(P).vjp(np.ones((4, 5))),
        TypeError,
        "step 23 returned",
    ),
    "p_bar shape": (
        lambda: (
            stepping(vjp=lambda self, k, u, p, lam: (lam, np.ones(1))).solve(P).vjp(np.ones((4, 5)))
        ),
        ValueError,
        "p_bar of the vjp of step 23",
    ),
    "jvp shape": (
        lambda: stepping(jvp=lambda *_: np.ones(1)).solve(P).jvp(P),
        ValueError,
        "the jvp of step 1 has shape",
    ),
    "no slots": (lambda: Checkpoints(0), ValueError, "slots=0"),
    "half a slot": (lambda: Checkpoints(2.5), TypeError, "slots=2.5"),
    "no bytes": (lambda: Budget(0), ValueError, "bytes=0"),
    "bytes in words": (lambda: Budget("2 GB"), TypeError, "2 GB"),
    "no directory": (lambda: Disk("no/such/directory"), StorageFailed, "no/such/directory"),
    "directory a number": (lambda: Disk(3), TypeError, "expected a path"),
    "budget of one state": (
        lambda: replace(REAL, memory=Budget(SIZE)).solve(P),
        MemoryTooSmall,
        "40 bytes does not hold two states of 40 bytes",
    ),
}


@pytest.mark.parametrize(("act", "error", "says"), BAD.values(), ids=BAD)
def test_wrong_input_is_a_named_error(act, error, says):
    with pytest.raises(error, match=says):
        act()
