"""Images of Cortex-M boards: where each part lies, what it takes, and what does not fit."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgetvm.codegen.image import STACK_BYTES, image_sizes, link_image
from edgetvm.errors import DoesNotFitError, TargetError, ToolError
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.toolchain import archive, compile_sources
from edgetvm.target.types import Target
from tests.target.bare_metal import compile_program, run_image
from tests.tools import require_tool

KIB = 1024
CORTEX_M = [name for name in list_targets() if load_target(name).processor.arch == "thumb"]
EMULATED = [name for name in CORTEX_M if (board := load_target(name).board) and board.emulator]

# Fails with the number of the first promise that start-up and linker script break.
CHECKS_ITSELF = """
#include <string.h>
#include "cortex_m.h"
int counted = 41, zeroed[100];
const char text[] = "constants";
__attribute__((section(".arena"), aligned(64))) unsigned char arena[1000];
static unsigned char buffer[64];
extern unsigned char *where(unsigned char *p);
static int memory_works(volatile unsigned at, volatile unsigned from, volatile unsigned bytes) {
    unsigned i;
    for (i = 0; i < sizeof buffer; i++) {
        buffer[i] = (unsigned char)i;
    }
    memmove(buffer + at, buffer + from, bytes);
    for (i = 0; i < sizeof buffer; i++) {
        if (buffer[i] != (i >= at && i < at + bytes ? i - at + from : i)) {
            return 0;
        }
    }
    memcpy(arena + at, buffer + from, bytes);
    if (memcmp(arena + at, buffer + from, bytes) != 0) {
        return 0;
    }
    memset(buffer + at, 0x1A5, bytes);
    for (i = 0; i < sizeof buffer; i++) {
        if ((buffer[i] == 0xA5) != (i >= at && i < at + bytes)) {
            return 0;
        }
    }
    return 1;
}
int main(void) {
    unsigned at, from, bytes;
    int local, i;
    if (counted++ != 41 || text[3] != 's') {
        return 1;
    }
    for (i = 0; i < 100; i++) {
        if (zeroed[i] != 0) {
            return 2;
        }
    }
    if ((uint32_t)&local < (uint32_t)__stack_bottom || (uint32_t)&local >= (uint32_t)__stack_top) {
        return 3;
    }
    if ((uint32_t)arena % 64 != 0) {
        return 4;
    }
    for (at = 0; at < 6; at++) {
        for (from = 0; from < 6; from++) {
            for (bytes = 0; bytes < 40; bytes++) {
                if (!memory_works(at, from, bytes)) {
                    return 5;
                }
            }
        }
    }
    return 42;
}
"""
SMALL = "extern const char weights[]; int main(void) { return weights[0]; }"


def objects_of(folder: Path, target: Target, main: str = SMALL, weights: int = 100, arena: int = 0) -> list[Path]:
    """A program with ``weights`` bytes of constants and ``arena`` bytes of arena, both in use."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.c").write_text(main)
    (folder / "weights.bin").write_bytes(b"\x07" * weights)
    lines = ['.section .rodata.weights, "a"', ".globl weights", "weights:", '.incbin "weights.bin"', "reserved = arena"]
    lines += [
        '.section .arena, "aw", %nobits',
        "arena:",
        f".zero {arena}",
        '.section .rodata.weights, "a"',
        ".p2align 2",
    ]
    (folder / "data.S").write_text("\n".join([*lines, ".word arena", ""]))
    return [*compile_program(folder / "main.c", target), *compile_sources([folder / "data.S"], folder, target)]


def symbols(image: Path) -> dict[str, int]:
    with image.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def region_at(target: Target, address: int) -> str:
    return next(m.name for m in target.board.memory if m.address <= address < m.address + m.bytes)


@pytest.mark.parametrize("name", EMULATED)
def test_an_image_starts_on_its_board(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    (tmp_path / "main.c").write_text(CHECKS_ITSELF)
    image = link_image(compile_program(tmp_path / "main.c", target), tmp_path / "image.elf", target)
    assert run_image(image, name) == (42, "")


@pytest.mark.parametrize(
    ("name", "code", "variables", "arena"),
    [
        ("nucleo-l4r5zi", "flash", "sram", "sram"),
        ("nucleo-f746zg", "flash", "dtcm", "dtcm"),
        ("nucleo-h743zi", "flash", "dtcm", "dtcm"),
        ("nrf5340dk", "flash", "ram", "ram"),
        ("qemu-mps3-an547", "sram", "dtcm", "dtcm"),
    ],
)
def test_every_part_lies_in_its_region(name: str, code: str, variables: str, arena: str, tmp_path: Path) -> None:
    target = load_target(name)
    image = link_image(objects_of(tmp_path, target, arena=64), tmp_path / "image.elf", target)
    at = {symbol: region_at(target, address & ~1) for symbol, address in symbols(image).items() if symbol and address}
    assert (at["main"], at["weights"]) == (code, code)
    assert at["__data_lma"] == code
    assert (at["__stack_bottom"], at["__data_start"], at["__bss_start"]) == (variables,) * 3
    assert at["arena"] == arena
    assert symbols(image)["edgetvm_vectors"] == next(m.address for m in target.board.memory if m.kind == "flash")


@pytest.mark.parametrize(
    ("kib", "region"), [(64, "dtcm"), (120, "dtcm"), (124, "axi-sram"), (300, "axi-sram"), (512, "axi-sram")]
)
def test_the_arena_goes_into_the_fastest_memory_with_room(kib: int, region: str, tmp_path: Path) -> None:
    """128 KiB of DTCM hold 4 KiB of stack, too."""
    target = load_target("nucleo-h743zi")
    image = link_image(objects_of(tmp_path, target, arena=kib * KIB), tmp_path / "image.elf", target)
    assert region_at(target, symbols(image)["arena"]) == region


def test_the_arena_goes_where_it_is_told(tmp_path: Path) -> None:
    target = load_target("nucleo-h743zi")
    objects = objects_of(tmp_path, target, arena=64)
    image = link_image(objects, tmp_path / "image.elf", target, arena_regions=["dtcm"])
    assert region_at(target, symbols(image)["arena"]) == "dtcm"
    with pytest.raises(TargetError, match="no RAM region 'flash'") as caught:
        link_image(objects, tmp_path / "image.elf", target, arena_regions=["flash"])
    assert caught.value.hint == "there are dtcm, axi-sram, sram"


@pytest.mark.parametrize("name", ["qemu-microbit", "cortex-m4", "cortex-m55"])
def test_sizes_are_what_another_tool_counts(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    image = link_image(objects_of(tmp_path, target, weights=3000, arena=500), tmp_path / "image.elf", target)
    sizes = image_sizes(image)
    text = subprocess.run([require_tool("arm-none-eabi-size"), "-A", image], capture_output=True, text=True, check=True)
    table = {row.split()[0]: int(row.split()[1]) for row in text.stdout.splitlines() if row.startswith(".")}
    assert sizes.sections == {name: table[name] for name in sizes.sections}
    assert sizes.flash_bytes == sum(
        table[n] for n in (".vectors", ".text", ".rodata", ".ARM.exidx", ".data") if n in table
    )
    assert sizes.ram_bytes == 500 + table.get(".data", 0) + table.get(".bss", 0)
    assert sizes.stack_bytes == STACK_BYTES
    assert sizes.sections[".vectors"] == 64


def test_flash_grows_by_what_is_added(tmp_path: Path) -> None:
    target = load_target("cortex-m4")
    flash = [
        image_sizes(link_image(objects_of(tmp_path, target, weights=size), tmp_path / "i.elf", target)).flash_bytes
        for size in (1000, 5000)
    ]
    assert flash[1] - flash[0] == 4000


def test_what_nobody_uses_is_left_out(tmp_path: Path) -> None:
    target = load_target("cortex-m4")
    unused = "const char unused[9000] = {1}; int idle(int i); int idle(int i) { return unused[i]; }"
    objects = objects_of(tmp_path, target, SMALL + unused)
    lean, full = tmp_path / "lean.elf", tmp_path / "full.elf"
    link_image(objects, lean, target)
    link_image(objects, full, target, roots=["reset_handler", "idle"])
    assert image_sizes(full).flash_bytes - image_sizes(lean).flash_bytes >= 9000
    assert "idle" not in symbols(lean)


def needed(error: DoesNotFitError) -> tuple[int, str, str, int]:
    match = re.fullmatch(r"big.onnx needs (\d+) KiB of (\w+); region '(.*)' of [\w-]+ has (\d+) KiB", error.message)
    assert match, error.message
    return int(match[1]), match[2], match[3], int(match[4])


@pytest.mark.parametrize(
    ("name", "sizes", "stack", "expected"),
    [
        ("nucleo-f746zg", {"weights": 1200 * KIB}, STACK_BYTES, (1201, "flash", "flash", 1024)),
        ("nucleo-f746zg", {"arena": 300 * KIB}, STACK_BYTES, (300, "RAM", "sram", 256)),
        ("nucleo-f746zg", {}, 70 * KIB, (70, "RAM", "dtcm", 64)),
        ("nucleo-f746zg", {"weights": 1100 * KIB, "arena": 500 * KIB}, STACK_BYTES, (500, "RAM", "sram", 256)),
        ("qemu-microbit", {"arena": 20 * KIB}, STACK_BYTES, (24, "RAM", "ram", 16)),
        ("qemu-mps3-an547", {"weights": 3000 * KIB}, STACK_BYTES, (3001, "flash", "sram", 2048)),
    ],
)
def test_what_does_not_fit_is_measured(
    name: str, sizes: dict[str, int], stack: int, expected: tuple[int, str, str, int], tmp_path: Path
) -> None:
    target = load_target(name)
    out = tmp_path / "image.elf"
    with pytest.raises(DoesNotFitError) as caught:
        link_image(objects_of(tmp_path, target, **sizes), out, target, stack_bytes=stack, name="big.onnx")
    need, *rest = needed(caught.value)
    assert (need, *rest) in (expected, (expected[0] + 1, *expected[1:])), "start-up code takes less than a KiB"
    assert not out.exists()


def test_a_region_can_be_filled_to_its_last_byte(tmp_path: Path) -> None:
    target = load_target("nucleo-h743zi")
    out = tmp_path / "image.elf"
    link_image(objects_of(tmp_path, target, arena=512 * KIB), out, target)
    with pytest.raises(DoesNotFitError, match="needs 513 KiB of RAM; region 'axi-sram' of nucleo-h743zi has 512 KiB"):
        link_image(objects_of(tmp_path, target, arena=512 * KIB + 1), out, target)


@pytest.mark.parametrize("name", [name for name in CORTEX_M if name not in EMULATED])
def test_every_cortex_m_can_be_linked_for(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    assert 100 < image_sizes(link_image(objects_of(tmp_path, target), tmp_path / "i.elf", target)).flash_bytes < 8000


def test_the_folder_leaves_no_trace(tmp_path: Path) -> None:
    target = load_target("cortex-m7")
    images = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        objects = objects_of(folder, target)
        library = archive(objects[1:], folder / "lib.a")
        images.append(link_image([objects[0], library], folder / "image.elf", target, roots=["main"]).read_bytes())
    assert images[0] == images[1]


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    target = load_target("cortex-m4")
    with pytest.raises(ToolError, match="model is not defined"):
        link_image(objects_of(tmp_path, target), tmp_path / "i.elf", target, roots=["reset_handler", "model"])


def test_linux_has_no_image(tmp_path: Path) -> None:
    for name in ("raspberry-pi-4", "cortex-a53"):
        with pytest.raises(TargetError, match=f"{name} has no flash and RAM that an image could be linked to"):
            link_image([], tmp_path / "i.elf", load_target(name))
