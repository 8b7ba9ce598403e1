"""What a package needs of its device: flash and RAM, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from edgetvm.codegen.entry import ModelCode
from edgetvm.target.types import Target

SECTIONS = (".text", ".rodata", ".data", ".bss")


@dataclass(frozen=True)
class Sizes:
    """Bytes. `flash_bytes` is None where it depends on a compiler that is not ours (`--format c`)."""

    sections: Mapping[str, int]
    flash_bytes: int | None
    ram_bytes: int


def measure_objects(code: ModelCode, objects: Sequence[Path]) -> Sizes:
    """Sizes of what a Linux program takes in: kernels, weights, entry and runtime, without the C library."""
    sections = dict.fromkeys(SECTIONS, 0)
    for path in objects:
        for name, size in section_sizes(path).items():
            home = next((section for section in SECTIONS if name.startswith(section)), ".rodata")
            sections[home] += size
    flash = sections[".text"] + sections[".rodata"] + sections[".data"]
    return Sizes(sections, flash, code.plan.arena_bytes + sections[".data"] + sections[".bss"])


def section_sizes(path: Path) -> dict[str, int]:
    """Bytes of every section of an ELF file that is present when the program runs."""
    with path.open("rb") as file:
        return {
            section.name: section["sh_size"]
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC
        }


def measure(code: ModelCode, objects: Sequence[Path] | None, target: Target, work: Path) -> Sizes:
    """Sizes on `target`; without objects (portable C) only the arena is known."""
    del target, work
    if objects is None:
        return Sizes({}, None, code.plan.arena_bytes)
    return measure_objects(code, objects)
