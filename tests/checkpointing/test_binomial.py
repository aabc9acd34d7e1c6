"""Binomial checkpointing: the closed form against dynamic programming."""

from functools import cache

import pytest

from adjoint.checkpointing.binomial import minimal_advances, split


@cache
def fewest(length, slots):
    """t(l, s) by dynamic programming."""
    if length <= 1 or slots == 1:
        return length * (length - 1) // 2
    return min(m + fewest(m, slots) + fewest(length - m, slots - 1) for m in range(1, length))


@pytest.mark.parametrize("slots", range(1, 7))
def test_closed_form_and_split_are_optimal(slots):
    for length in range(1, 61):
        assert minimal_advances(length, slots) == fewest(length, slots)
        if length > 1 and slots > 1:
            m = split(length, slots)
            assert 0 < m < length
            assert m + fewest(m, slots) + fewest(length - m, slots - 1) == fewest(length, slots)
    assert (split(1, slots), split(60, 1)) == (0, 59)
    assert minimal_advances(10**15, 20) < 60 * 10**15  # No table, no loop over the steps.
