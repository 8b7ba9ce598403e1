"""A board's memory regions -> the linker script of an image for it.

Vectors go where the chip looks for them (its first flash region), code and constants into the
largest flash region, stack and variables into the fastest RAM, the arena into the fastest with room for it.
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
    arena: Memory
    stack_bytes: int

    def region_of(self, section: str) -> Memory:
        """Where ``section`` lies when the image runs; what has no place of its own lies with the code."""
        if section in VARIABLES:
            return self.variables
        return {".vectors": self.vectors, ".arena": self.arena}.get(section, self.code)


def image_layout(
    target: Target,
    board: Board | None,
    stack_bytes: int,
    sections: Mapping[str, int],
    arena_region: str | None = None,
) -> ImageLayout:
    """Choose a region for every part of an image with these ``sections``, in bytes by name.

    ``arena_region`` names the arena's, by default the fastest RAM with room for it, or the largest if there is none.
    """
    board = board or target.board
    regions = tuple(m for m in board.memory if m.address is not None) if board else _ANY_CHIP
    flash = [region for region in regions if region.kind == "flash"]
    ram = [region for region in regions if region.kind == "ram"]
    if not flash or not ram or target.processor.arch != "thumb":
        raise TargetError(
            f"{board.name if board else target.name} has no flash and RAM that an image could be linked to"
        )
    beside = sum(_aligned(size) for name, size in sections.items() if name in VARIABLES)
    taken = {ram[0].name: beside}
    rooms = [region for region in ram if sections.get(".arena", 0) + taken.get(region.name, 0) <= region.bytes]
    arena = rooms[0] if rooms else max(ram, key=lambda region: region.bytes)
    if arena_region is not None:
        arena = next((region for region in ram if region.name == arena_region), arena)
        if arena.name != arena_region:
            raise TargetError(f"no RAM region '{arena_region}'", f"there are {', '.join(r.name for r in ram)}")
    code = max(flash, key=lambda region: region.bytes)
    return ImageLayout(regions, flash[0], code, ram[0], arena, stack_bytes)


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
        arena=_name(layout.arena),
        stack_bytes=layout.stack_bytes,
    )


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
    .arena (NOLOAD) : {{ *(.arena .arena.*) }} > {arena}
    /DISCARD/ : {{ *(.eh_frame* .comment .note*) }}
}}
"""
