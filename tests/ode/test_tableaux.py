"""Tableaux: order conditions of all rooted trees, error estimates, dense output, stability.

Hairer, Nørsett & Wanner (1993), Solving ODEs I, section II.2; Hairer & Wanner (1996),
Solving ODEs II, section IV.3.
"""

from functools import cache
from itertools import combinations_with_replacement
from math import prod

import numpy as np
import pytest

import adjoint
from tests.fixtures.fields import EXPLICIT, FIXED, IMPLICIT, METHODS, STIFF

TABLEAUX = {name: method.tableau for name, method in METHODS.items()}
START = METHODS["ESDIRK4"].start
"""SDIRK4, which takes the first step of a DAE."""
ALL = TABLEAUX | {"SDIRK4": START}
ERRORS = {  # Order of each embedded formula.
    "Tsit5": (4,),
    "DOP853": (5, 3),
    "TRBDF2": (3,),
    "ESDIRK4": (3,),
    "ESDIRK5": (4,),
    "Radau5": (3,),
    "Radau9": (5,),
    "SDIRK4": (3,),
}
DENSE = {  # Order of the dense output inside of a step.
    "Tsit5": 4,
    "DOP853": 7,
    "TRBDF2": 2,
    "ESDIRK4": 4,
    "ESDIRK5": 4,
    "Radau5": 3,
    "Radau9": 5,
    "SDIRK4": 3,
    "BE": 1,
    "CN": 2,
    "theta": 1,
}
every_tableau = pytest.mark.parametrize("name", ALL)


@cache
def trees(order):
    """All rooted trees with a given number of vertices: a tree is the sorted tuple of the
    subtrees at its root.
    """
    if order == 1:
        return ((),)
    return tuple({tuple(sorted(forest)) for forest in forests(order - 1, order - 1)})


def forests(vertices, largest):
    """Multisets of trees with a given total number of vertices, none larger than `largest`."""
    if vertices == 0:
        yield ()
        return
    for size in range(min(vertices, largest), 0, -1):
        for count in range(vertices // size, 0, -1):
            for rest in forests(vertices - count * size, size - 1):
                yield from (
                    same + rest for same in combinations_with_replacement(trees(size), count)
                )


def vertices(tree):
    return 1 + sum(map(vertices, tree))


def density(tree):
    """γ(τ)."""
    return vertices(tree) * prod(map(density, tree))


def weight(tree, A):
    """Φ_i(τ) of each stage, (s,)."""
    return prod((A @ weight(subtree, A) for subtree in tree), start=np.ones(A.shape[0]))


def defect(b, A, order, theta=1.0):
    """The largest violation of Σ b_i Φ_i(τ) = θ^r / γ(τ) of the trees of exactly this order r."""
    return max(abs(b @ weight(tree, A) - theta**order / density(tree)) for tree in trees(order))


def rounding(tableau):
    """The largest violation allowed, for coefficients published to 16 digits."""
    return 2e-15 * max(1.0, abs(tableau.A).max())


def test_there_are_as_many_trees_as_there_are():
    assert [len(trees(order)) for order in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]


@every_tableau
def test_order_conditions_hold_up_to_the_order_and_not_beyond(name):
    tableau = ALL[name]
    for order in range(1, tableau.order + 1):
        assert defect(tableau.b, tableau.A, order) <= rounding(tableau), order
    assert defect(tableau.b, tableau.A, tableau.order + 1) >= 1e-7


@pytest.mark.parametrize("name", ERRORS)
def test_error_estimates_are_of_the_order_they_claim(name):
    tableau = ALL[name]
    A, b = tableau.A, tableau.b
    if tableau.coupled:  # The embedded formula has a weight where the step begins, γ.
        A, b = np.pad(A, ((1, 0), (1, 0))), np.append(0.0, b)
    assert len(tableau.errors) == len(ERRORS[name])
    for weights, order in zip(tableau.errors, ERRORS[name], strict=True):
        embedded = b - (np.append(tableau.gamma, weights) if tableau.coupled else weights)
        for r in range(1, min(order, tableau.order) + 1):
            assert defect(embedded, A, r) <= rounding(tableau), r
        assert max(defect(embedded, A, order + 1), defect(b, A, order + 1)) >= 1e-7
    first = min(ERRORS[name][0], tableau.order) + 1
    assert tableau.error_order == (
        first if name != "DOP853" else 8
    )  # The two of DOP853 combine to O(h⁸).


@every_tableau
@pytest.mark.parametrize("theta", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_dense_output_satisfies_the_order_conditions_inside_of_a_step(name, theta):
    tableau = ALL[name].extended
    b = tableau.weights(theta)
    for order in range(1, DENSE[name] + 1):
        assert defect(b, tableau.A, order, theta) <= 4e-15 * max(1.0, abs(tableau.dense).max()), (
            order
        )
    if 0.0 < theta < 1.0:
        assert defect(b, tableau.A, DENSE[name] + 1, theta) >= 1e-7


@every_tableau
def test_dense_output_begins_and_ends_where_the_step_does(name):
    tableau = ALL[name].extended
    rounding = 1e-14 * max(1.0, abs(tableau.dense).sum(axis=1).max())
    np.testing.assert_array_equal(tableau.weights(0.0), 0.0)
    np.testing.assert_allclose(tableau.weights(1.0), tableau.b, atol=rounding)
    if (
        name not in ("SDIRK4", "BE") and not tableau.coupled
    ):  # Without a stage at the beginning it cannot be C¹.
        stages = np.eye(tableau.stages)
        np.testing.assert_allclose(tableau.slopes(0.0), stages[0], atol=rounding)
        np.testing.assert_allclose(tableau.slopes(1.0), stages[tableau.last], atol=10.0 * rounding)
    h = 1e-6
    differences = (tableau.weights(0.3 + h) - tableau.weights(0.3 - h)) / (2.0 * h)
    np.testing.assert_allclose(
        tableau.slopes(0.3), differences, atol=1e-8 * max(1.0, abs(tableau.dense).max())
    )


@every_tableau
def test_the_last_stage_is_the_new_state_and_one_gamma_serves_all_implicit_stages(name):
    tableau = ALL[name]
    A, c = tableau.A, tableau.c
    if not tableau.coupled:
        np.testing.assert_array_equal(A, np.tril(A))
        np.testing.assert_array_equal(np.diag(A)[int(tableau.continues) :], tableau.gamma)
    np.testing.assert_array_equal(tableau.b, A[-1])
    np.testing.assert_allclose(c, A.sum(axis=1), atol=2e-15 * max(1.0, abs(A).max()))
    assert (c[0], c[-1]) == (0.0 if tableau.continues else A[0].sum(), 1.0)
    assert (tableau.gamma == 0.0) == (name in EXPLICIT)
    assert np.all((c >= 0.0) & (c <= 1.05))  # ESDIRK5 has a stage a little beyond the step.


def growth(tableau, z):
    """R(z) = 1 + z bᵀ(I − zA)⁻¹ 1."""
    return 1.0 + z * (
        tableau.b @ np.linalg.solve(np.eye(tableau.stages) - z * tableau.A, np.ones(tableau.stages))
    )


@pytest.mark.parametrize("name", [*IMPLICIT, "SDIRK4"])
def test_implicit_methods_are_stable_in_the_left_half_plane(name):
    axis = np.logspace(-2, 4, 121)
    sizes = np.array([abs(growth(ALL[name], 1j * y)) for y in axis])
    assert sizes.max() <= 1.0 + 1e-11
    assert max(abs(growth(ALL[name], -y)) for y in axis) <= 1.0
    at_infinity = {"CN": -1.0, "theta": -2.0 / 3.0}.get(name, 0.0)
    assert growth(ALL[name], -1e9) == pytest.approx(at_infinity, abs=1e-6)


@pytest.mark.parametrize("name", EXPLICIT)
def test_explicit_methods_are_stable_for_decay_by_three_units_a_step(name):
    assert max(abs(growth(ALL[name], -y)) for y in np.linspace(0.0, 3.0, 61)) <= 1.0


@pytest.mark.parametrize("name", [*STIFF, "CN"])
def test_stages_of_stiff_methods_are_of_second_order(name):
    """C(2): Σ a_ij c_j = c_i²/2: it keeps the order for stiff problems."""
    A, c = ALL[name].A, ALL[name].A.sum(axis=1)
    np.testing.assert_allclose(A @ c, c**2 / 2.0, atol=4e-15 * max(1.0, abs(A).max()))


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].coupled])
def test_eigenvalues_of_coupled_stages_put_their_matrix_together_again(name):
    """A = Σ λ x yᵀ over all of them, or twice the real part of one of each pair; γ, the real
    one, comes first.
    """
    tableau = ALL[name]
    for every in (True, False):
        modes = tableau.eigenpairs(every)
        A = sum(mode.weight * mode.value * np.outer(mode.column, mode.row) for mode in modes)
        np.testing.assert_allclose(A if every else A.real, tableau.A, atol=1e-14)
        assert (modes[0].value, len(modes)) == (
            tableau.gamma,
            tableau.stages if every else (tableau.stages + 1) // 2,
        )


def test_the_method_of_order_5_is_the_published_one():
    """Hairer & Wanner (1996), table IV.5.6 and section IV.8, whose weights are those of h Σ
    a_ij K_j.
    """
    tableau, r = TABLEAUX["Radau5"], np.sqrt(6.0)
    published = [
        [(88 - 7 * r) / 360, (296 - 169 * r) / 1800, (-2 + 3 * r) / 225],
        [(296 + 169 * r) / 1800, (88 + 7 * r) / 360, (-2 - 3 * r) / 225],
        [(16 - r) / 36, (16 + r) / 36, 1 / 9],
    ]
    np.testing.assert_allclose(tableau.A, published, atol=1e-15)
    weights = np.linalg.solve(tableau.A.T, tableau.errors[0]) / tableau.gamma
    np.testing.assert_allclose(weights, [-(13 + 7 * r) / 3, (-13 + 7 * r) / 3, -1 / 3], rtol=1e-13)


@pytest.mark.parametrize("name", [*STIFF, *FIXED, "SDIRK4"])
def test_first_guesses_of_stages_reproduce_polynomials_of_the_stages_before(name):
    tableau = ALL[name]
    c = tableau.A.sum(axis=1)
    for i in range(1, tableau.stages):
        degree = min(2, np.unique(np.round(c[:i], 12)).size - 1)
        for power in range(degree + 1):
            assert tableau.predictor[i, :i] @ c[:i] ** power == pytest.approx(
                c[i] ** power, abs=1e-12
            )
    np.testing.assert_array_equal(tableau.predictor, np.tril(tableau.predictor, -1))


def test_methods_say_what_they_are():
    assert repr(METHODS["Tsit5"]) == "Tsit5 (order 5, 7 stages)"
    assert {name: method.tableau.order for name, method in METHODS.items()} == {
        **{
            "Tsit5": 5,
            "DOP853": 8,
            "TRBDF2": 2,
            "ESDIRK4": 4,
            "ESDIRK5": 5,
            "Radau5": 5,
            "Radau9": 9,
        },
        **{"BE": 1, "CN": 2, "theta": 1},
    }


def bogacki_shampine(**changes):
    """Order 3(2) with four stages, the last of which is the first one of the next step."""
    A = np.array(
        [
            [0.0, 0.0, 0.0, 0.0],
            [0.5, 0.0, 0.0, 0.0],
            [0.0, 0.75, 0.0, 0.0],
            [2 / 9, 1 / 3, 4 / 9, 0.0],
        ]
    )
    embedded = np.array([7 / 24, 1 / 4, 1 / 3, 1 / 8])
    given = {
        "A": A,
        "errors": (A[-1] - embedded,),
        "error_order": 3,
        "dense": adjoint.ode.hermite(A),
    }
    return adjoint.ode.Tableau("Bogacki-Shampine", 3, **(given | changes))


def test_a_method_of_ones_own_is_a_method_as_any_other():
    decay = adjoint.complex_step_field(lambda t, u, p: -p[0] * u + np.cos(t), n=2, m=1)
    options = {
        "u0": np.array([1.0, 0.5]),
        "t": (0.0, 2.0),
        "method": adjoint.ode.Method(bogacki_shampine()),
    }
    errors = []
    for n in (20, 40):
        trajectory = adjoint.ODEProblem(decay, grid=np.linspace(0.0, 2.0, n + 1), **options).solve(
            np.ones(1)
        )
        exact = 0.5 * (np.cos(2.0) + np.sin(2.0)) + np.exp(-2.0) * (np.array([1.0, 0.5]) - 0.5)
        errors.append(np.abs(trajectory.u[0] - exact).max())
        u_bar = np.ones((1, 2))
        assert trajectory.vjp(u_bar)[0] == pytest.approx(
            trajectory.jvp(np.ones(1)).sum(), rel=1e-13
        )
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.2)
    adaptive = adjoint.ODEProblem(decay, rtol=1e-7, **options).solve(np.ones(1))
    np.testing.assert_allclose(adaptive.u[0], exact, rtol=1e-5)
    assert "Bogacki-Shampine" in str(adaptive.evidence)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"A": np.zeros((2, 3))}, r"A of shape \(2, 3\)"),
        ({"A": np.zeros(3)}, "A of shape"),
        ({"A": np.eye(4, dtype=int)}, "dtype int"),
        ({"A": np.full((4, 4), np.nan)}, "finite"),
        ({"A": 0.5 * np.tril(np.ones((4, 4)), -1)}, "sums up to 1.5"),
        ({"A": np.diag([0.0, 0.1, 0.2, 1.0])}, "diagonal of A"),
        ({"dense": np.zeros((4, 3))}, "does not end at the new state"),
        ({"dense": np.zeros((3, 3))}, "dense of shape"),
        ({"extra": np.zeros((1, 3))}, "extra of shape"),
        ({"errors": (np.zeros(3),)}, "errors of shapes"),
        ({"errors": (np.ones(4),)}, "sum up to 4"),
    ],
)
def test_coefficients_that_are_no_method_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        bogacki_shampine(**changes)
