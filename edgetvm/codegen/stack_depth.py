"""The deepest that a function's stack can go, from the machine code of a linked Cortex-M image.

Each function is charged for everything in it that lowers the stack pointer, and for the deepest that it calls. That is
exact for one prologue, and too much for a function with one in each of several paths.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgetvm.target.instructions import Pattern, decode, find, read_patterns

WORD = 4


@dataclass(frozen=True)
class Frame:
    """What one function takes of the stack itself, in bytes, and where it calls; None: by a register."""

    bytes: int
    calls: frozenset[int | None]


class Unbounded(Exception):
    """Why there is no bound, in a few words."""


def stack_depth(image: Path, root: str, by_register: str) -> int:
    """Bytes that the function ``root`` and all that it calls need at most.

    Calls by a register go to the function ``by_register``. Raises Unbounded for recursion, and for a frame whose size
    is computed.
    """
    with image.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection), "linked without stripping"
        symbols = [(symbol["st_value"], symbol.name, symbol["st_info"]["type"]) for symbol in table.iter_symbols()]
        sections = [(s["sh_addr"], s.data()) for s in ELFFile(file).iter_sections() if s.name in (".text", ".vectors")]
    starts = sorted({value & ~1 for value, _, kind in symbols if kind == "STT_FUNC"})
    names = {name: value & ~1 for value, name, kind in symbols if kind == "STT_FUNC"}
    # Mapping symbols tell code ($t) from the constants in it ($d).
    marks = sorted((value, name[:2] == "$t") for value, name, _ in symbols if name[:2] in ("$t", "$d"))
    frames = _frames(starts, marks, dict(sections))
    return _depth(names[root], frames, names.get(by_register), ())


def _depth(function: int, frames: Mapping[int, Frame], by_register: int | None, above: tuple[int, ...]) -> int:
    if function in above:
        raise Unbounded("a function calls itself")
    frame = frames[function]
    deepest = 0
    for call in frame.calls:
        called = by_register if call is None else call
        if called is None:
            raise Unbounded("a function is called by a pointer that nobody knows")
        deepest = max(deepest, _depth(called, frames, by_register, (*above, function)))
    return frame.bytes + deepest


def _frames(starts: list[int], marks: list[tuple[int, bool]], sections: Mapping[int, bytes]) -> dict[int, Frame]:
    patterns = read_patterns("thumb", "frames")
    taken: dict[int, int] = dict.fromkeys(starts, 0)
    aligned: dict[int, int] = dict.fromkeys(starts, 0)
    assigns: set[int] = set()
    calls: dict[int, set[int | None]] = {start: set() for start in starts}
    for at, bits, width in _code(marks, sections):
        pattern = find(patterns, bits, width)
        position = bisect_right(starts, at) - 1
        if pattern is None or position < 0:
            continue
        function = starts[position]
        if pattern.kind == "unknown":
            raise Unbounded("a frame's size is computed")
        if pattern.kind == "assign":
            assigns.add(function)
        elif pattern.kind == "align":
            aligned[function] = 2 << (pattern.field("n", bits) or 0)
        elif pattern.kind == "call_register":
            calls[function].add(None)
        elif pattern.kind == "call":
            called = at + WORD + _branch_offset(bits)
            inside = function < called and bisect_right(starts, called) - 1 == position
            if not inside and called in taken and not (called == function and not _links(bits)):
                calls[function].add(called)
        else:
            taken[function] += _lowered(pattern, bits)
    return {
        start: Frame(taken[start] + aligned[start] * (start in assigns), frozenset(calls[start])) for start in starts
    }


def _code(marks: list[tuple[int, bool]], sections: Mapping[int, bytes]) -> Iterator[tuple[int, int, int]]:
    """Address, bits and width of every instruction."""
    ends = [value for value, _ in marks[1:]] + [1 << 32]
    for (start, is_code), end in zip(marks, ends, strict=True):
        for base, data in sections.items():
            if is_code and base <= start < base + len(data):
                at = start
                for bits, width in decode(data[start - base : end - base]):
                    yield at, bits, width
                    at += width // 8


def _lowered(pattern: Pattern, bits: int) -> int:
    """Bytes by which an instruction lowers the stack pointer."""
    number = pattern.field("n", bits) or 0
    if pattern.kind == "push":
        return WORD * pattern.count("l", bits)
    if pattern.kind == "words":
        return WORD * number
    return _expanded(number) if pattern.kind == "constant" else number


def _expanded(packed: int) -> int:
    """The number that the 12 bits of a constant mean (Arm DDI 0403E, ThumbExpandImm)."""
    byte, kind = packed & 0xFF, packed >> 8
    if kind < WORD:
        return byte * (1, 0x00010001, 0x01000100, 0x01010101)[kind]
    rotation, value = packed >> 7, 0x80 | packed & 0x7F
    return (value >> rotation | value << 32 - rotation) & 0xFFFFFFFF


def _branch_offset(bits: int) -> int:
    """Bytes from the program counter to where `bl` or `b.w` goes."""
    sign = bits >> 26 & 1
    high, low = (1 - (bits >> bit & 1 ^ sign) for bit in (13, 11))
    offset = high << 23 | low << 22 | (bits >> 16 & 0x3FF) << 12 | (bits & 0x7FF) << 1
    return offset - (sign << 24)


def _links(bits: int) -> bool:
    """Whether it is `bl` and not `b.w`."""
    return bool(bits >> 14 & 1)
