"""`instructions/*.toml`: what kind of instruction some bits are, by patterns that read like an architecture manual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from edgetvm.resources import targets_dir
from edgetvm.target.toml_table import TomlTable, read_toml

OTHER = "other"  # the kind of what fits no pattern
# Beside kinds of instructions a core's `[cycles]` price:
PIPELINED_LOAD = "pipelined_load"  # a load right behind another one whose result is no part of its address
REFILL = "refill"  # what it adds to jump
_FIELDS = "tbiln"
_WIDTHS = (16, 32)
_WIDE = (0b11101, 0b11110, 0b11111)  # the first five bits of what takes two halfwords


@dataclass(frozen=True)
class Pattern:
    """Instructions of `width` bits whose bits under `mask` are `value`; `fields` are the masks of its operands.

    A field is named by its letter: t the register transferred, b and i the base and index of an address, l a list of
    registers, n a number.
    """

    kind: str
    width: int
    mask: int
    value: int
    fields: Mapping[str, int]

    def fits(self, bits: int, width: int) -> bool:
        """Whether it is the instruction ``bits``, of ``width`` bits."""
        return width == self.width and bits & self.mask == self.value

    def field(self, letter: str, bits: int) -> int | None:
        """The number in a field, its bits closed up; None where the pattern has none of that letter."""
        mask = self.fields.get(letter, 0)
        if not mask:
            return None
        digits = [bit for bit in range(self.width) if mask >> bit & 1]
        return sum((bits >> bit & 1) << position for position, bit in enumerate(digits))

    def count(self, letter: str, bits: int) -> int:
        """How many bits of a field are set."""
        return (bits & self.fields.get(letter, 0)).bit_count()


@cache
def read_patterns(name: str, purpose: str = "patterns") -> tuple[Pattern, ...]:
    """A list of ``instructions/NAME.toml`` in its order: "patterns" tell costs, "frames" what happens to the stack."""
    path = targets_dir() / "instructions" / f"{name}.toml"
    table = read_toml(path, path.name)
    table.take("name", str)
    table.take("source", str)
    lists = {
        key: tuple(_pattern(entry, table) for entry in table.take_list(key, list)) for key in ("patterns", "frames")
    }
    table.finish()
    return lists[purpose]


def decode(code: bytes) -> Iterator[tuple[int, int]]:
    """The bits of each T32 instruction, the first halfword above the second, and how many bits they are."""
    halves = iter([int.from_bytes(code[at : at + 2], "little") for at in range(0, len(code), 2)])
    for half in halves:
        if half >> 11 in _WIDE:
            yield half << 16 | next(halves, 0), 32
        else:
            yield half, 16


def find(patterns: Sequence[Pattern], bits: int, width: int) -> Pattern | None:
    """The first pattern that the instruction fits."""
    return next((pattern for pattern in patterns if pattern.fits(bits, width)), None)


def kinds(name: str) -> list[str]:
    """All kinds of the patterns that tell costs, each once."""
    return list(dict.fromkeys(pattern.kind for pattern in read_patterns(name)))


def _pattern(entry: list[str], table: TomlTable) -> Pattern:
    text, kind = entry
    digits = text.replace(" ", "")
    if len(digits) not in _WIDTHS or set(digits) - set("01-" + _FIELDS):
        raise table.error(f"pattern '{text}' is not 16 or 32 of 0, 1, - and {', '.join(_FIELDS)}")

    def places(letters: str) -> int:
        return int("".join("01"[digit in letters] for digit in digits), 2)

    fields = {letter: places(letter) for letter in _FIELDS if letter in digits}
    return Pattern(kind, len(digits), places("01"), places("1"), fields)
