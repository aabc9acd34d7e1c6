"""Evaluations of f by optimizers: no point twice, no gradient of a trial refused by value."""

import numpy as np
import pytest

from adjoint.optimize import Stopping, minimize
from tests.fixtures.optimizers import CATALOGUE

STOP = Stopping(iterations=25, stationarity=1e-10)
COUNTED = [name for name in CATALOGUE if name != "continuation"]
WOLFE = ("BFGS", "L-BFGS", "augmented Lagrangian")
"""Their searches ask for the slope of trials whose values will do, and may refuse one for its
slope.
"""


def observed(name):
    case, accepted = CATALOGUE[name], []
    f = case.f()
    result = minimize(
        f,
        case.start,
        case.algorithm,
        stop=STOP,
        check=False,
        callback=lambda s: accepted.append(s.x.tobytes()),
    )
    return f, accepted, result


@pytest.mark.parametrize("name", COUNTED)
def test_no_point_is_evaluated_twice_and_all_are_counted(name):
    f, _, result = observed(name)
    assert len(set(f.evaluations)) == len(f.evaluations)
    assert result.state.evaluations == len(f.evaluations)


@pytest.mark.parametrize("name", COUNTED)
def test_no_gradient_is_asked_for_twice_and_none_of_a_refused_trial(name):
    f, accepted, _ = observed(name)
    assert len(set(f.gradients)) == len(f.gradients)
    assert set(accepted) <= set(f.gradients)
    if not name.startswith(WOLFE):
        assert set(f.gradients) == set(accepted)


@pytest.mark.parametrize("name", [name for name in COUNTED if name.startswith(WOLFE[:2])])
def test_a_search_for_wolfes_conditions_asks_for_slopes_where_f_has_decreased(name):
    f, accepted, _ = observed(name)
    paid = [np.frombuffer(x) for x in f.gradients if x not in set(accepted)]
    start = f(CATALOGUE[name].start).value
    assert all(f(x).value < start for x in paid)
