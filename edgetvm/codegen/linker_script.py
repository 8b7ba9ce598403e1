"""A board's memory regions -> the linker script of an image for it.

Vectors go where the chip looks for them (its first flash region), code and constants into the
largest flash region, stack and variables into the fastest RAM, each arena into the fastest with room for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetvm.errors import TargetError
from edgetvm.target.types import Board, Memory, Target

# A processor without a board: far more than any chip has, so that sizes can be told all the same.
_ANY_CHIP = (
    Memory("flash", "flash", 256 << 20, 0x00000000),
    Memory("ram", "ram", 256 << 20, 0x20000000),
)


VARIABLES = (".stack", ".data", ".bss")
_ALIGN = 64  # at most, of the start of a section


@dataclass(frozen=True)
class ImageLayout:
    """Which region holds what."""

    regions: tuple[Memory, ...]
    vectors: Memory
    code: Memory
    variables: Memory
    arenas: tuple[Memory, ...]
    stack_bytes: int

    def region_of(self, section: str) -> Memory:
        """Where ``section`` lies when the image runs; what has no place of its own lies with the code."""
        if section in VARIABLES:
            return self.variables
        arenas = {arena_section(number): region for number, region in enumerate(self.arenas)}
        return {".vectors": self.vectors, **arenas}.get(section, self.code)


def arena_section(number: int) -> str:
    """The section of an arena in an image; in objects it may also be called `.arena.NUMBER`."""
    return ".arena" if number == 0 else f".arena.{number}"


def is_arena(section: str) -> bool:
    """Whether a section of an image is that of an arena."""
    return section == ".arena" or section.startswith(".arena.")


def arena_macro(sizes: Sequence[int]) -> str:
    """The flag that tells C sources of the arenas: `EDGETVM_ARENAS(ARENA)` is ``ARENA(number, bytes)`` for each."""
    listed = " ".join(f"ARENA({number}, {size})" for number, size in enumerate(sizes))
    return f"-DEDGETVM_ARENAS(ARENA)={listed}"


def image_layout(
    target: Target,
    board: Board | None,
    stack_bytes: int,
    sections: Mapping[str, int],
    arena_regions: Sequence[str | None] = (None,),
) -> ImageLayout:
    """Choose a region for every part of an image with these ``sections``, in bytes by name.

    ``arena_regions`` names that of each arena; None is the fastest RAM with room for it, or the largest if there is
    none.
    """
    board = board or target.board
    regions = tuple(m for m in board.memory if m.address is not None) if board else _ANY_CHIP
    flash = [region for region in regions if region.kind == "flash"]
    ram = [region for region in regions if region.kind == "ram"]
    if not flash or not ram or target.processor.arch != "thumb":
        raise TargetError(
            f"{board.name if board else target.name} has no flash and RAM that an image could be linked to"
        )
    unknown = next((name for name in arena_regions if name and name not in {region.name for region in ram}), None)
    if unknown is not None:
        raise TargetError(f"no RAM region '{unknown}'", f"there are {', '.join(region.name for region in ram)}")
    free = {region.name: region.bytes for region in ram}
    free[ram[0].name] -= sum(_aligned(size) for name, size in sections.items() if name in VARIABLES)
    arenas = []
    for number, name in enumerate(arena_regions):
        size = sections.get(arena_section(number), 0)
        rooms = [region for region in ram if (region.name == name if name else size <= free[region.name])]
        arenas.append(rooms[0] if rooms else max(ram, key=lambda region: free[region.name]))
        free[arenas[-1].name] -= _aligned(size)
    code = max(flash, key=lambda region: region.bytes)
    return ImageLayout(regions, flash[0], code, ram[0], tuple(arenas), stack_bytes)


def _aligned(size: int) -> int:
    """Bytes of a section with the gap before it."""
    return size + _ALIGN if size else 0


def linker_script(layout: ImageLayout, roots: Sequence[str], *, bounded: bool = True) -> str:
    """The script. ``roots`` must be defined and are kept, the first is the entry.

    Not ``bounded``, every region is endless, so that what does not fit can be measured.
    """
    regions = "\n".join(_region(region, bounded) for region in layout.regions)
    return _SCRIPT.format(
        regions=regions,
        entry=roots[0],
        roots=" ".join(roots),
        checks="\n".join(f'ASSERT(DEFINED({root}), "{root} is not defined")' for root in roots),
        vectors=_name(layout.vectors),
        code=_name(layout.code),
        variables=_name(layout.variables),
        arenas="\n".join(_arena(number, region) for number, region in enumerate(layout.arenas)),
        stack_bytes=layout.stack_bytes,
    )


def _arena(number: int, region: Memory) -> str:
    section = arena_section(number)
    inputs = " ".join(dict.fromkeys([section, f".arena.{number}"]))
    return f"    {section} (NOLOAD) : {{ *({inputs}) }} > {_name(region)}"


def _region(region: Memory, bounded: bool) -> str:
    size = region.bytes if bounded else 0x80000000
    access = "rx" if region.kind == "flash" else "rwx"
    return f"    {_name(region)} ({access}) : ORIGIN = {region.address:#010x}, LENGTH = {size:#x}"


def _name(region: Memory) -> str:
    return "region_" + "".join(c if c.isalnum() else "_" for c in region.name)


# The stack lies below all else in its region: one that grows too far faults instead of
# overwriting variables. Its symbols, and those of .data and .bss, are what start-up code needs.
_SCRIPT = """\
MEMORY {{
{regions}
}}
ENTRY({entry})
EXTERN({roots})
{checks}
SECTIONS {{
    .vectors : {{ KEEP(*(.vectors)) }} > {vectors}
    .text : {{ *(.text .text.*) }} > {code}
    .rodata : {{ *(.rodata .rodata.*) }} > {code}
    .ARM.extab : {{ *(.ARM.extab*) }} > {code}
    .ARM.exidx : {{ *(.ARM.exidx*) }} > {code}
    .stack (NOLOAD) : ALIGN(8) {{
        __stack_bottom = .;
        . += {stack_bytes};
        . = ALIGN(8);
        __stack_top = .;
    }} > {variables}
    .data : ALIGN(8) {{
        __data_start = .;
        *(.data .data.*)
        . = ALIGN(4);
        __data_end = .;
    }} > {variables} AT > {code}
    __data_lma = LOADADDR(.data);
    __data_end_lma = LOADADDR(.data) + SIZEOF(.data);
    .bss (NOLOAD) : ALIGN(8) {{
        __bss_start = .;
        *(.bss .bss.* COMMON)
        . = ALIGN(4);
        __bss_end = .;
    }} > {variables}
{arenas}
    /DISCARD/ : {{ *(.eh_frame* .comment .note*) }}
}}
"""
