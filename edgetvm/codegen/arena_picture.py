"""Pictures of the arenas over time: which bytes are in use during which kernel call."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import ascii_lowercase, ascii_uppercase

from edgetvm.codegen.arena_blocks import ArenaBlock
from edgetvm.codegen.memory import Arena

_COLUMNS = 64
_LETTERS = ascii_lowercase + ascii_uppercase
_FREE = "."
# SVG: pixels.
_CALL, _HEIGHT, _MARGIN, _GAP = 28, 360, 60, 12
_COLOURS = ("#4e79a7", "#f28e2b", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#9c755f")
_SCRATCH = "#bab0ac"


def arena_rows(blocks: Sequence[ArenaBlock], arenas: Sequence[Arena], calls: int) -> list[tuple[str, int]]:
    """One row a call: each arena from its first byte to its last, a letter a block, and the bytes in use.

    A column stands for 1/64 of all arenas and shows the last block that has bytes in it; "." is free, "|" ends an
    arena before another one.
    """
    total = sum(arena.bytes for arena in arenas)
    columns = [max(1, round(_COLUMNS * arena.bytes / total)) for arena in arenas]
    rows = []
    for step in range(calls):
        pictures, used = [[_FREE] * count for count in columns], 0
        for i, block in enumerate(blocks):
            if block.first <= step <= block.last:
                size, count = arenas[block.arena].bytes, columns[block.arena]
                first, behind = block.offset * count // size, -(-(block.offset + block.bytes) * count // size)
                pictures[block.arena][first:behind] = _LETTERS[i % len(_LETTERS)] * (behind - first)
        for number in range(len(arenas)):
            here = (block for block in blocks if block.arena == number and block.first <= step <= block.last)
            used += _covered([(block.offset, block.offset + block.bytes) for block in here])
        rows.append(("|".join("".join(picture) for picture in pictures), used))
    return rows


def _covered(spans: list[tuple[int, int]]) -> int:
    """Bytes in at least one of the spans: an output may lie on an input."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def arena_svg(blocks: Sequence[ArenaBlock], arenas: Sequence[Arena], calls: Sequence[str], title: str) -> str:
    """The same as an SVG image: time from left to right, addresses upwards, arenas above one another; scratch is grey.

    ``calls`` names each call. Pointing at a block tells its name, place and size.
    """
    total = sum(arena.bytes for arena in arenas)
    scale, gaps = _HEIGHT / total, _GAP * (len(arenas) - 1)
    width, height = _MARGIN + _CALL * (len(calls) + 2), _HEIGHT + gaps + 2 * _MARGIN
    bottom = _MARGIN + _HEIGHT + gaps
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="10">',
        f"<title>{escape(title)}</title>",
        f'<text x="{_MARGIN}" y="20" font-size="14">{escape(title)}: {total:,} bytes</text>',
    ]
    starts = [bottom - sum(arena.bytes for arena in arenas[:i]) * scale - _GAP * i for i in range(len(arenas))]
    for start, arena in zip(starts, arenas, strict=True):
        if arena.region is not None:
            lines.append(f'<text x="4" y="{start:.1f}">{escape(arena.region)}</text>')
    for i, block in enumerate(blocks):
        first, last = max(block.first, -1), min(block.last, len(calls))
        x, y = _MARGIN + _CALL * (first + 1), starts[block.arena] - (block.offset + block.bytes) * scale
        colour = _SCRATCH if block.scratch else _COLOURS[i % len(_COLOURS)]
        region = arenas[block.arena].region
        where = f"{block.offset:,}{f' of {region}' if region else ''}"
        what = f"{block.name}{', scratch' * block.scratch}: {block.bytes:,} bytes at {where}"
        lines.append(
            f'<rect x="{x}" y="{y:.1f}" width="{_CALL * (last - first + 1)}" height="{block.bytes * scale:.1f}" '
            f'fill="{colour}" fill-opacity="0.8" stroke="white"><title>{escape(what)}</title></rect>'
        )
    for step, call in enumerate(calls):
        x, y = _MARGIN + _CALL * (step + 1) + _CALL // 2, bottom + 14
        lines.append(f'<text x="{x}" y="{y}" text-anchor="middle">{step}<title>{escape(call)}</title></text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
