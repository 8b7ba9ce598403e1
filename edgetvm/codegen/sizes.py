"""What a package needs of its device: flash and RAM, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from edgetvm.codegen.entry import ENTRY
from edgetvm.codegen.image import image_sizes, link_image
from edgetvm.codegen.linker_script import arena_macro
from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.stack_depth import Unbounded, stack_depth
from edgetvm.resources import runtime_dir
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.types import Target

SECTIONS = (".text", ".rodata", ".data", ".bss")


@dataclass(frozen=True)
class Sizes:
    """Bytes. `flash_bytes` is None where it depends on a compiler that is not ours (`--format c`).

    `stack_bytes` is the most that one call of `edgetvm_run` can take; None where nothing is linked, or no bound known.
    `arena_regions` has the memory region of each arena, None for any.
    """

    sections: Mapping[str, int]
    flash_bytes: int | None
    ram_bytes: int
    stack_bytes: int | None = None
    arena_regions: tuple[str | None, ...] = (None,)


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


def measure_image(code: ModelCode, objects: Sequence[Path], target: Target, work: Path, model: str) -> Sizes:
    """Sizes of a bare-metal image: vectors, start-up and a main function that runs the model.

    DoesNotFitError when a region of the target's board is too small.
    """
    runtime = runtime_dir()
    port = runtime / "ports" / "cortex_m"
    arenas = code.plan.arenas
    macros = [f"-DEDGETVM_MODEL={code.name}_model", arena_macro([arena.bytes for arena in arenas])]
    folder = work / "image"  # a folder of its own: the model may be called "main"
    folder.mkdir()
    around = compile_sources(
        [port / "startup.c", runtime / "ports" / "bare" / "main.c"],
        folder,
        target,
        include_dirs=[runtime / "include", port],
        flags=["-std=c99", "-Os", *macros],
    )
    regions = [arena.region for arena in arenas]
    linked = link_image([*around, *objects], folder / "image.elf", target, arena_regions=regions, name=model)
    image = image_sizes(linked)
    try:
        stack = stack_depth(linked, "edgetvm_run" if len(arenas) == 1 else "edgetvm_run_in", by_register=ENTRY)
    except Unbounded:
        stack = None
    return Sizes(image.sections, image.flash_bytes, image.ram_bytes, stack)


def measure(code: ModelCode, objects: Sequence[Path] | None, target: Target, work: Path, model: str) -> Sizes:
    """Sizes on `target`; without objects (portable C) only the arena is known."""
    if objects is None:
        return Sizes({}, None, code.plan.arena_bytes)
    if target.is_linux:
        return measure_objects(code, objects)
    return measure_image(code, objects, target, work, model)
