"""Pictures of the arena over time: which bytes are in use during which kernel call."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import ascii_lowercase, ascii_uppercase

from edgetvm.codegen.arena_blocks import ArenaBlock

_COLUMNS = 64
_LETTERS = ascii_lowercase + ascii_uppercase
_FREE = "."
# SVG: pixels.
_CALL, _HEIGHT, _MARGIN = 28, 360, 60
_COLOURS = ("#4e79a7", "#f28e2b", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#9c755f")
_SCRATCH = "#bab0ac"


def arena_rows(blocks: Sequence[ArenaBlock], arena_bytes: int, calls: int) -> list[tuple[str, int]]:
    """One row a call: the arena from its first byte to its last, a letter a block, and the bytes in use.

    A column stands for 1/64 of the arena and shows the last block that has bytes in it; "." is free.
    """
    rows = []
    for step in range(calls):
        row, alive = [_FREE] * _COLUMNS, []
        for i, block in enumerate(blocks):
            if block.first <= step <= block.last:
                end = block.offset + block.bytes
                first, behind = block.offset * _COLUMNS // arena_bytes, -(-end * _COLUMNS // arena_bytes)
                row[first:behind] = _LETTERS[i % len(_LETTERS)] * (behind - first)
                alive.append((block.offset, end))
        rows.append(("".join(row), _covered(alive)))
    return rows


def _covered(spans: list[tuple[int, int]]) -> int:
    """Bytes in at least one of the spans: an output may lie on an input."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def arena_svg(blocks: Sequence[ArenaBlock], arena_bytes: int, calls: Sequence[str], title: str) -> str:
    """The same as an SVG image: time from left to right, addresses upwards; scratch is grey.

    ``calls`` names each call. Pointing at a block tells its name, place and size.
    """
    width, height = _MARGIN + _CALL * (len(calls) + 2), _HEIGHT + 2 * _MARGIN
    scale = _HEIGHT / arena_bytes
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="10">',
        f"<title>{escape(title)}</title>",
        f'<text x="{_MARGIN}" y="20" font-size="14">{escape(title)}: {arena_bytes:,} bytes</text>',
    ]
    for i, block in enumerate(blocks):
        first, last = max(block.first, -1), min(block.last, len(calls))
        x, y = _MARGIN + _CALL * (first + 1), _MARGIN + _HEIGHT - (block.offset + block.bytes) * scale
        colour = _SCRATCH if block.scratch else _COLOURS[i % len(_COLOURS)]
        what = f"{block.name}{', scratch' * block.scratch}: {block.bytes:,} bytes at {block.offset:,}"
        lines.append(
            f'<rect x="{x}" y="{y:.1f}" width="{_CALL * (last - first + 1)}" height="{block.bytes * scale:.1f}" '
            f'fill="{colour}" fill-opacity="0.8" stroke="white"><title>{escape(what)}</title></rect>'
        )
    for step, call in enumerate(calls):
        x, y = _MARGIN + _CALL * (step + 1) + _CALL // 2, _MARGIN + _HEIGHT + 14
        lines.append(f'<text x="{x}" y="{y}" text-anchor="middle">{step}<title>{escape(call)}</title></text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
