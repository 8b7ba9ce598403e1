"""Taps of a depthwise window whose products of 8 bits may be summed in 16 bits, for any activation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np

MOST_IN_16_BITS = 255  # the largest sum of weights by which an activation of -128 may be multiplied
MOST_COMPARED = 9  # taps of which all partitions are compared: some 20000 sets


def tap_sizes(weights: Sequence[np.ndarray]) -> np.ndarray:
    """Sizes of the weights ``[i, j, 1, C]`` of all calls of a kernel, as ``[taps, channels of all calls]``."""
    return np.concatenate([np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]) for array in weights], 1)


def tap_groups(sizes: np.ndarray, taps: Sequence[int]) -> list[tuple[int, ...]]:
    """Some of the taps in groups: as few as there can be, or with many taps by first fit, the largest first."""
    if len(taps) <= MOST_COMPARED:
        return list(_fewest(sizes, tuple(taps)))
    groups: list[tuple[int, ...]] = []
    for tap in sorted(taps, key=lambda tap: -int(sizes[tap].max())):
        found = next((n for n, group in enumerate(groups) if _fit(sizes, (*group, tap))), None)
        if found is None:
            groups.append((tap,))
        else:
            groups[found] = (*groups[found], tap)
    return groups


def _fewest(sizes: np.ndarray, taps: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    @cache
    def split(rest: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        if not rest:
            return ()
        first, others = rest[0], rest[1:]
        groups = [(first, *more) for size in range(len(rest)) for more in combinations(others, size)]
        answers = [
            (group, *split(tuple(tap for tap in others if tap not in group)))
            for group in groups
            if len(group) == 1 or fit(group)
        ]
        return min(answers, key=len)

    @cache
    def fit(group: tuple[int, ...]) -> bool:
        return _fit(sizes, group)

    return split(taps)


def _fit(sizes: np.ndarray, taps: tuple[int, ...]) -> bool:
    return bool(sizes[list(taps)].sum(0).max() <= MOST_IN_16_BITS)
