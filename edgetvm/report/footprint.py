"""What a package takes of its board's memories, and what of its arenas is in use when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgetvm.codegen.arena_blocks import ArenaBlock
from edgetvm.codegen.arena_picture import arena_rows
from edgetvm.codegen.linker_script import arena_section
from edgetvm.codegen.memory import Arena
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import choose_target
from edgetvm.report.region_use import RegionUse, region_use


@dataclass(frozen=True)
class CallRow:
    """The arenas during one kernel call: a picture (`arena_rows`), and the bytes in use."""

    kernel: str
    picture: str
    bytes: int


@dataclass(frozen=True)
class Footprint:
    """The memories of a board without an operating system. `regions` are those of `--target`.

    With `--format c` only the arenas are known: code, constants and variables depend on a compiler that is not ours.
    """

    regions: tuple[RegionUse, ...]
    arenas: tuple[Arena, ...]
    calls: tuple[CallRow, ...]


def footprint_of(package_dir: Path) -> Footprint | None:
    """Read it from the manifest; None for a target with an operating system, or for `generic-c`."""
    package = read_package(package_dir.resolve())
    manifest = json.loads((package.folder / "manifest.json").read_text(encoding="utf-8"))
    target = choose_target(package, None)
    if target.processor.arch != "thumb":
        return None
    arenas = package.arenas
    alone = {arena_section(number): arena.bytes for number, arena in enumerate(arenas)}
    places = [arena.region for arena in arenas]
    regions = region_use(manifest["sections"] or alone, target, places) if target.board else ()
    blocks = [ArenaBlock(**block) for block in manifest["arena"]["blocks"]]
    rows = arena_rows(blocks, arenas, len(package.calls))
    calls = (CallRow(call.kernel, picture, used) for call, (picture, used) in zip(package.calls, rows, strict=True))
    return Footprint(regions, arenas, tuple(calls))
