"""Cycles of straight code on a core that issues in order: the price of each instruction's kind, from the core's manual.

The model knows pairs of loads and refills of the pipeline. Memory answers at once: waits for flash, contention on the
bus and unaligned words cost more on a chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgetvm.target.instructions import OTHER, PIPELINED_LOAD, Pattern

_WIDE = (0b11101, 0b11110, 0b11111)  # the first five bits of what takes two halfwords


def block_cycles(
    code: bytes, patterns: Sequence[Pattern], prices: Mapping[str, float], loaded: int | None = None
) -> tuple[float, int | None]:
    """The cycles of one trip through the T32 instructions in ``code``, without refills.

    ``prices`` holds cycles by kind; a kind without a price is of kind "other". A list of registers, or a number of
    words, adds a cycle for each. ``loaded`` is the register of a load right before the code, None without one; the
    second result is the same of the code's last instruction.
    """
    total = 0.0
    for bits, width in instructions(code):
        pattern = next((each for each in patterns if each.fits(bits, width)), None)
        if pattern is None:
            total, loaded = total + prices[OTHER], None
            continue
        address = {pattern.field(letter, bits) for letter in "bi"}
        pipelined = pattern.kind == "load" and loaded is not None and loaded not in address
        kind = PIPELINED_LOAD if pipelined else pattern.kind
        total += prices.get(kind, prices.get(pattern.kind, prices[OTHER])) + _words(pattern, bits)
        loaded = pattern.field("t", bits) if pattern.kind == "load" else None
    return total, loaded


def instructions(code: bytes) -> Iterator[tuple[int, int]]:
    """The bits of each T32 instruction, the first halfword above the second, and how many bits they are."""
    halves = [int.from_bytes(code[at : at + 2], "little") for at in range(0, len(code), 2)]
    rest = iter(halves)
    for half in rest:
        if half >> 11 in _WIDE:
            yield half << 16 | next(rest, 0), 32
        else:
            yield half, 16


def _words(pattern: Pattern, bits: int) -> int:
    """How many words a multiple transfer moves; 0 of anything else."""
    return (bits & pattern.fields.get("l", 0)).bit_count() + (pattern.field("n", bits) or 0)
