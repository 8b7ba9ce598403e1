"""`instructions/*.toml`: what kind of instruction some bits are, by patterns that read like an architecture manual."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Pattern:
    """Instructions of `width` bits whose bits under `mask` are `value`; `fields` are the masks of its operands.

    A field is named by its letter: t the register transferred, b and i the base and index of an address, l a list of
    registers, n a number of words.
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
        """The number in a field, None where the pattern has none of that letter."""
        mask = self.fields.get(letter, 0)
        return (bits & mask) // (mask & -mask) if mask else None


@cache
def read_patterns(name: str) -> tuple[Pattern, ...]:
    """The patterns of ``instructions/NAME.toml`` in their order."""
    path = targets_dir() / "instructions" / f"{name}.toml"
    table = read_toml(path, path.name)
    table.take("name", str)
    table.take("source", str)
    patterns = tuple(_pattern(entry, table) for entry in table.take_list("patterns", list))
    table.finish()
    return patterns


def kinds(name: str) -> list[str]:
    """All kinds of ``instructions/NAME.toml``, each once."""
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
