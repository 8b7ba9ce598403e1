"""Objects -> the image of a Cortex-M, and what it takes of flash and RAM."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section, SymbolTableSection

from edgetvm.codegen.linker_script import ImageLayout, image_layout, is_arena, linker_script
from edgetvm.errors import DoesNotFitError, ToolError
from edgetvm.target.math_library import math_library
from edgetvm.target.toolchain import link_bare_metal
from edgetvm.target.types import Board, Memory, Target

STACK_BYTES = 4096
KIB = 1024


@dataclass(frozen=True)
class ImageSizes:
    """Bytes of each section by name, and of the whole image.

    flash_bytes   what lies in flash: all but .bss, .stack and the arenas, the initial .data included
    ram_bytes     .data, .bss and the arenas; the stack apart
    """

    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


def link_image(
    objects: Sequence[Path],
    out: Path,
    target: Target,
    board: Board | None = None,
    *,
    stack_bytes: int = STACK_BYTES,
    arena_regions: Sequence[str | None] = (None,),
    roots: Sequence[str] = ("reset_handler",),
    name: str | None = None,
) -> Path:
    """Link ``objects`` (and archives) into the ELF image ``out`` of a Cortex-M.

    ``board`` stands in for the target's own; ``arena_regions`` is that of `image_layout`. ``roots`` are symbols
    that must be there and stay although nothing refers to them; the first is the entry. DoesNotFitError tells how
    much ``name`` (by default the file's) needs of which region.
    """
    layout = image_layout(target, board, stack_bytes, {}, arena_regions)
    if None in arena_regions and sum(region.kind == "ram" for region in layout.regions) > 1:
        sections = _sections(objects, target, layout, roots)
        layout = image_layout(target, board, stack_bytes, sections, arena_regions)
    try:
        return _link(objects, out, target, linker_script(layout, roots))
    except ToolError as error:
        if "will not fit in region" not in error.message:
            raise
        needs = _needs(objects, target, layout, roots)
        where = (board or target.board or target).name
        raise _does_not_fit(name or out.stem, where, layout, needs) from error


def image_sizes(image: Path) -> ImageSizes:
    """What a linked image takes of flash and RAM."""
    with image.open("rb") as file:
        allocated = _allocated_sections(ELFFile(file))
        sections = {section.name: int(section["sh_size"]) for section in allocated}
        flash = sum(sections[section.name] for section in allocated if section["sh_type"] != "SHT_NOBITS")
    ram = sum(size for section, size in sections.items() if section in (".data", ".bss") or is_arena(section))
    return ImageSizes(sections, flash, ram, sections.get(".stack", 0))


def _does_not_fit(name: str, where: str, layout: ImageLayout, needs: dict[str, int]) -> DoesNotFitError:
    """The error about the region that lacks most."""
    short: Memory = max(layout.regions, key=lambda region: needs[region.name] - region.bytes)
    what = "flash" if short.kind == "flash" else "RAM"
    return DoesNotFitError(
        f"{name} needs {-(-needs[short.name] // KIB)} KiB of {what}; "
        f"region '{short.name}' of {where} has {short.bytes // KIB} KiB"
    )


def _sections(objects: Sequence[Path], target: Target, layout: ImageLayout, roots: Sequence[str]) -> dict[str, int]:
    """Bytes of every section of the image, whether there is room for it or not."""
    with tempfile.TemporaryDirectory(prefix="edgetvm-image-") as scratch:
        script = linker_script(layout, roots, bounded=False)
        return image_sizes(_link(objects, Path(scratch) / "image.elf", target, script)).sections


def _needs(objects: Sequence[Path], target: Target, layout: ImageLayout, roots: Sequence[str]) -> dict[str, int]:
    """Bytes that the image needs of every region, by its name, gaps for alignment included."""
    with tempfile.TemporaryDirectory(prefix="edgetvm-image-") as scratch:
        script = linker_script(layout, roots, bounded=False)
        image = _link(objects, Path(scratch) / "image.elf", target, script)
        with image.open("rb") as file:
            elf = ELFFile(file)
            ends = [(s.name, s["sh_addr"] + s["sh_size"]) for s in _allocated_sections(elf)]
            ends.append((".rodata", _symbol(elf, "__data_end_lma")))  # initial values lie behind the code
    needs = dict.fromkeys((region.name for region in layout.regions), 0)
    for section, end in ends:
        region = layout.region_of(section)
        needs[region.name] = max(needs[region.name], end - (region.address or 0))
    return needs


def _symbol(elf: ELFFile, name: str) -> int:
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection), "linked without stripping"
    return int((table.get_symbol_by_name(name) or [])[0]["st_value"])


def _allocated_sections(elf: ELFFile) -> list[Section]:
    return [s for s in elf.iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]


def _link(objects: Sequence[Path], out: Path, target: Target, script: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="edgetvm-image-") as scratch:
        file = Path(scratch) / "image.ld"
        file.write_text(script)
        # Regions measured without bounds overlap; those of a board are checked when its file is read.
        return link_bare_metal([*objects, math_library(target)], out, file, ["--no-check-sections"])
