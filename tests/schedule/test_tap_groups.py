"""Groups of taps whose products fit 16 bits: never too large, and no more of them than there must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.rules.tap_groups import MOST_IN_16_BITS, tap_groups, tap_sizes


def sizes_of(taps: int, largest: int, seed: int) -> np.ndarray:
    """Those of two calls of a kernel, with six channels each."""
    rng = np.random.default_rng(seed)
    shape = (taps, 1, 1, 6)
    return tap_sizes([rng.integers(-largest, min(largest, 127) + 1, shape).astype(np.int8) for _ in range(2)])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(taps=st.integers(1, 25), largest=st.sampled_from([1, 28, 63, 64, 127, 128]), seed=st.integers(0, 99))
def test_law_groups_of_taps_fit_16_bits(taps: int, largest: int, seed: int) -> None:
    sizes = sizes_of(taps, largest, seed)
    groups = tap_groups(sizes, range(taps))
    assert sorted(tap for group in groups for tap in group) == list(range(taps))
    for group in groups:
        assert sizes[list(group)].sum(0).max() <= MOST_IN_16_BITS
    assert largest == 128 or len(groups) <= -(-taps // 2)


@pytest.mark.parametrize(
    ("sizes", "taps", "groups"),
    [
        ([100, 100, 150, 150], range(4), 2),  # the first two would fit each other
        ([127] * 9, range(9), 5),
        ([85] * 9, range(9), 3),
        ([127] * 9, (0, 3, 6), 2),
        ([255, 0, 0, 0], (), 0),
    ],
)
def test_as_few_as_there_can_be(sizes: list[int], taps: tuple[int, ...], groups: int) -> None:
    found = tap_groups(np.asarray(sizes)[:, None], taps)
    assert len(found) == groups
    assert sorted(tap for group in found for tap in group) == list(taps)


def test_channels_count_one_by_one() -> None:
    """What is large in one channel fits what is large in another."""
    assert tap_groups(np.asarray([[200, 0], [0, 200]]), (0, 1)) == [(0, 1)]
