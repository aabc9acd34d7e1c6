"""Binomial checkpointing in closed form: the fewest repeated steps, and the positions.

Griewank (1992), Optim. Methods Softw. 1, 35; Griewank & Walther (2000), ACM TOMS 26, 19
(treeverse, revolve).
"""

from math import comb


def minimal_advances(length: int, slots: int) -> int:
    """t(l, s) = r l − β(s+1, r−1): the fewest forward steps that reverse l steps.

    Here β(s, r) = C(s+r, s), and r is the number with β(s, r−1) < l ≤ β(s, r). No step is
    taken more than r times. The work on step k itself (its transpose, or its repetition
    for the transpose) is not counted.

    Parameters
    ----------
    length : int
        l ≥ 0, the number of steps of the chain.
    slots : int
        s ≥ 1, the number of checkpoint slots, including the slot of the first state.

    Returns
    -------
    int
        t(l, s), the number of forward steps.

    References
    ----------
    Griewank & Walther (2000), ACM TOMS 26, 19, proposition 1.

    Examples
    --------
    >>> from adjoint.checkpointing import minimal_advances
    >>> minimal_advances(10, 3)
    15
    """
    r = _repetitions(length, slots)
    return r * length - comb(slots + r, slots + 1)


def split(length: int, slots: int) -> int:
    """Return m with t(l, s) = m + t(l − m, s − 1) + t(m, s): the steps to the next checkpoint.

    length: l ≥ 1, the steps to be reversed; slots: s ≥ 1, including the slot of the
    first state. The result is l − 1 if s = 1. The smallest optimal m is returned,
    because this m mostly leads to the fewest writes of checkpoints. Griewank & Walther
    (2000), section 3.
    """
    if length <= 1:
        return 0
    r = _repetitions(length, slots)
    if r == 1:
        return 1
    return max(comb(slots + r - 2, slots), length - comb(slots + r - 1, slots - 1))


def _repetitions(length: int, slots: int) -> int:
    """Return the number r with β(s, r−1) < l ≤ β(s, r)."""
    r, reach = 0, 1
    while reach < length:
        r += 1
        reach = reach * (slots + r) // r
    return r
