"""The cheapest mixed scheme that holds: integers of 8 bits wherever it can be, 16 bits or float where it must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .search_mixed import Mix
from .search_units import Unit

HELPS = 4.0  # int16 activations must lessen a unit's noise so many times; otherwise its weights are the cause
_RETURNED = 16  # units that are tried at fewer bits again, at most


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Noise over signal at the outputs when nothing but `unit` is quantized, with int8 and int16 activations."""

    unit: Unit
    noise: float
    noise_int16: float


def cheapest_mix(found: Sequence[Sensitivity], holds: Callable[[Mix], bool], int16: bool = True) -> Mix | None:
    """The mix with the fewest units, most sensitive first, above 8 bits that `holds`; None if even float does not.

    `holds` must be false of `Mix()`: to know that needs no sensitivities.
    Each unit goes to int16 if that mends it, else to float. Where all of that is not enough, one after the
    other goes to float. Units that turn out not to matter come back in the end. `int16` False: to float at once.
    """
    ranked = sorted(found, key=lambda s: -s.noise)
    mended = [1 if int16 and s.noise >= HELPS * s.noise_int16 else 2 for s in ranked]
    count = _fewest(len(ranked), lambda k: holds(_mix(ranked, [*mended[:k], *[0] * (len(ranked) - k)])))
    if count is not None:
        levels = [*mended[:count], *[0] * (len(ranked) - count)]
    else:
        count = _fewest(len(ranked), lambda k: holds(_mix(ranked, [*[2] * k, *mended[k:]])))
        if count is None:
            return None
        levels = [*[2] * count, *mended[count:]]
    return _mix(ranked, _lowered(ranked, levels, holds, int16))


def _lowered(ranked: Sequence[Sensitivity], levels: list[int], holds: Callable[[Mix], bool], int16: bool) -> list[int]:
    """Give bits back, from the least sensitive unit to the most, as long as it holds."""
    raised = [index for index, level in enumerate(levels) if level]
    for index in raised[::-1][:_RETURNED]:
        for lower in range(levels[index]):
            if lower == 1 and not int16:
                continue
            tried = [lower if i == index else level for i, level in enumerate(levels)]
            if holds(_mix(ranked, tried)):
                levels = tried
                break
    return levels


def _fewest(most: int, holds: Callable[[int], bool]) -> int | None:
    """The least count from 1 to `most` that holds, if more never hurt; by doubling, then halving."""
    fails, count = 0, 1
    while count < most and not holds(count):
        fails, count = count, min(2 * count, most)
    if count >= most and not holds(most):
        return None
    while count - fails > 1:
        middle = (fails + count) // 2
        fails, count = (fails, middle) if holds(middle) else (middle, count)
    return count


def _mix(ranked: Sequence[Sensitivity], levels: Sequence[int]) -> Mix:
    """0: int8, 1: int16 activations, 2: float."""
    names = [
        frozenset(name for s, at in zip(ranked, levels, strict=True) if at == level for name in s.unit.names)
        for level in (1, 2)
    ]
    return Mix(int16_nodes=names[0], float_nodes=names[1])
