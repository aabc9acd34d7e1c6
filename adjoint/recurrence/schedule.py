"""Where checkpoints go: the binomial schedule in closed form.

Griewank (1992), Optim. Methods Softw. 1, 35; Griewank & Walther (2000), ACM TOMS 26, 19 (treeverse, revolve).
"""

from math import comb


def minimal_advances(length: int, slots: int) -> int:
    """t(l, s) = r l − β(s+1, r−1): the fewest steps forward that reverse l steps with s checkpoints.

    slots: s ≥ 1, with the one at the start of the segment. β(s, r) = C(s+r, s), and β(s, r−1) < l ≤ β(s, r): then no
    step is taken more than r times. The work on step k itself (its transpose, or its repetition for that) is not in
    it. Griewank & Walther (2000), proposition 1.
    """
    r = _repetitions(length, slots)
    return r * length - comb(slots + r, slots + 1)


def split(length: int, slots: int) -> int:
    """m with t(l, s) = m + t(m, s) + t(l − m, s − 1): the steps before the next checkpoint.

    length: l ≥ 1 steps to be reversed; slots: s ≥ 1, with the one at the start. For s = 1 all steps but the last.
    Of all optimal m the smallest: it mostly writes the fewest checkpoints. Griewank & Walther (2000), section 3.
    """
    if length <= 1:
        return 0
    r = _repetitions(length, slots)
    if r == 1:
        return 1
    return max(comb(slots + r - 2, slots), length - comb(slots + r - 1, slots - 1))


def _repetitions(length: int, slots: int) -> int:
    """r with β(s, r−1) < l ≤ β(s, r)."""
    r, reach = 0, 1
    while reach < length:
        r += 1
        reach = reach * (slots + r) // r
    return r
