"""The picture of the arena agrees with what runs: what it shows free nobody writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import edgetvm
from edgetvm.codegen.arena_blocks import ArenaBlock
from edgetvm.codegen.arena_picture import arena_rows, arena_svg
from edgetvm.codegen.memory import Arena

# A chain of three calls in 128 bytes: the second needs scratch, the third writes over its input.
CHAIN = (
    ArenaBlock("x", 0, 64, -1, 0, False),
    ArenaBlock("first", 64, 32, 0, 1, False),
    ArenaBlock("second", 0, 32, 1, 2, False),
    ArenaBlock("second", 96, 32, 1, 1, True),
    ArenaBlock("third", 0, 32, 2, 3, False),
)


def test_rows() -> None:
    assert arena_rows(CHAIN, [Arena(128)], 3) == [
        ("a" * 32 + "b" * 16 + "." * 16, 96),
        ("c" * 16 + "." * 16 + "b" * 16 + "d" * 16, 96),
        ("e" * 16 + "." * 48, 32),
    ]


def test_a_byte_is_seen() -> None:
    assert arena_rows([ArenaBlock("x", 1000, 1, 0, 0, False)], [Arena(64000)], 1) == [("." + "a" + "." * 62, 1)]


def test_the_image_has_each_block() -> None:
    root = ElementTree.fromstring(arena_svg(CHAIN, [Arena(128)], ["k0", "k1", "k<2>"], "a & b"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = root.findall(f"{space}rect")
    titles = [box.find(f"{space}title").text for box in boxes]
    assert titles[0] == "x: 64 bytes at 0"
    assert titles[3] == "second, scratch: 32 bytes at 96"
    assert [float(box.get("height")) for box in boxes] == [180, 90, 90, 90, 90]  # of 360 pixels
    assert [float(box.get("width")) for box in boxes] == [56, 56, 56, 28, 56]  # of 28 a call


def test_blocks_of_a_package(compiled: Callable[..., edgetvm.Package], int8_digits: Path) -> None:
    """No two tensors that are needed at once share bytes, but for an output on its own input; the largest set
    that lives at once is what the plan says."""
    package = compiled(int8_digits, "qemu-mps2-an386", integer_io=True)
    arena = package.manifest["arena"]
    blocks = [ArenaBlock(**block) for block in arena["blocks"]]
    assert {block.name for block in blocks if block.first == -1} == {
        info["name"] for info in package.manifest["inputs"]
    }
    last = len(package.manifest["calls"])
    assert sum(block.last == last for block in blocks) == len(package.manifest["outputs"])
    assert max(block.offset + block.bytes for block in blocks) <= arena["bytes"]
    for i, one in enumerate(blocks):
        for two in blocks[i + 1 :]:
            together = min(one.last, two.last) - max(one.first, two.first)
            apart = one.offset + one.bytes <= two.offset or two.offset + two.bytes <= one.offset
            assert together < 0 or apart or (together == 0 and two.first == one.last)
    assert ElementTree.parse(package.path / "arena.svg").getroot().tag.endswith("svg")


def test_footprint(compiled: Callable[..., edgetvm.Package], int8_digits: Path) -> None:
    package = compiled(int8_digits, "nucleo-f746zg", integer_io=True)
    footprint = package.footprint()
    flash, dtcm, sram = footprint.regions
    arena = package.manifest["arena"]["bytes"]
    assert flash.bytes == package.manifest["flash_bytes"]
    assert dict(dtcm.sections) == {".stack": 4096, ".arena": arena}
    assert dict(sram.sections) == {}
    assert dtcm.margin == 64 * 1024 - 4096 - arena
    assert [row.kernel for row in footprint.calls] == [call["kernel"] for call in package.manifest["calls"]]
    assert compiled(int8_digits, "host").footprint() is None


def test_footprint_of_c(compiled: Callable[..., edgetvm.Package], int8_digits: Path) -> None:
    """What a compiler of the user's own makes of it is not known; the arena is."""
    package = compiled(int8_digits, "nucleo-f746zg", format="c", integer_io=True)
    assert json.loads((package.path / "manifest.json").read_text())["sections"] == {}
    assert [(use.region.name, use.bytes) for use in package.footprint().regions if use.bytes] == [
        ("dtcm", package.manifest["arena"]["bytes"])
    ]
