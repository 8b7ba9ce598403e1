"""What a package takes of its board's memories, and what of its arena is in use when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgetvm.codegen.arena_blocks import ArenaBlock
from edgetvm.codegen.arena_picture import arena_rows
from edgetvm.deploy.package import read_package
from edgetvm.deploy.runners import choose_target
from edgetvm.report.region_use import RegionUse, region_use


@dataclass(frozen=True)
class CallRow:
    """The arena during one kernel call: a picture of 64 columns (`arena_rows`), and the bytes in use."""

    kernel: str
    picture: str
    bytes: int


@dataclass(frozen=True)
class Footprint:
    """The memories of a board without an operating system. `regions` are those of `--target`.

    With `--format c` only the arena is known: code, constants and variables depend on a compiler that is not ours.
    """

    regions: tuple[RegionUse, ...]
    arena_bytes: int
    calls: tuple[CallRow, ...]


def footprint_of(package_dir: Path) -> Footprint | None:
    """Read it from the manifest; None for a target with an operating system, or for `generic-c`."""
    package = read_package(package_dir.resolve())
    manifest = json.loads((package.folder / "manifest.json").read_text(encoding="utf-8"))
    target = choose_target(package, None)
    if target.processor.arch != "thumb":
        return None
    arena = manifest["arena"]
    regions = region_use(manifest["sections"] or {".arena": arena["bytes"]}, target) if target.board else ()
    blocks = [ArenaBlock(**block) for block in arena["blocks"]]
    rows = arena_rows(blocks, arena["bytes"], len(package.calls))
    calls = (CallRow(call.kernel, picture, used) for call, (picture, used) in zip(package.calls, rows, strict=True))
    return Footprint(regions, arena["bytes"], tuple(calls))
