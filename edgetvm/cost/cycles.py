"""Cycles of straight code on a core that issues in order: the price of each instruction's kind, from the core's manual.

The model knows pairs of loads and refills of the pipeline. Memory answers at once: waits for flash, contention on the
bus and unaligned words cost more on a chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgetvm.target.instructions import OTHER, PIPELINED_LOAD, Pattern, decode, find


def block_cycles(
    code: bytes, patterns: Sequence[Pattern], prices: Mapping[str, float], loaded: int | None = None
) -> tuple[float, int | None]:
    """The cycles of one trip through the T32 instructions in ``code``, without refills.

    ``prices`` holds cycles by kind; a kind without a price is of kind "other". A list of registers, or a number of
    words, adds a cycle for each. ``loaded`` is the register of a load right before the code, None without one; the
    second result is the same of the code's last instruction.
    """
    total = 0.0
    for bits, width in decode(code):
        pattern = find(patterns, bits, width)
        if pattern is None:
            total, loaded = total + prices[OTHER], None
            continue
        address = {pattern.field(letter, bits) for letter in "bi"}
        pipelined = pattern.kind == "load" and loaded is not None and loaded not in address
        kind = PIPELINED_LOAD if pipelined else pattern.kind
        total += prices.get(kind, prices.get(pattern.kind, prices[OTHER])) + _words(pattern, bits)
        loaded = pattern.field("t", bits) if pattern.kind == "load" else None
    return total, loaded


def _words(pattern: Pattern, bits: int) -> int:
    """How many words a multiple transfer moves; 0 of anything else."""
    return pattern.count("l", bits) + (pattern.field("n", bits) or 0)
