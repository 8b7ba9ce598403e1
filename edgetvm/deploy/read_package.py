"""A package's manifest, read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgetvm.codegen.manifest import FORMAT_VERSION
from edgetvm.codegen.memory import Arena
from edgetvm.deploy.package import Call, Package, Tensor, Variant, incomplete
from edgetvm.errors import PackageError
from edgetvm.oracle.pixels import Pixels


def read_package(folder: Path) -> Package:
    """Read ``folder/manifest.json``. Raises PackageError when the package is damaged or of another version."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackageError(
            f"{folder} is not a package: manifest.json: {error.strerror}", "give the folder that compile wrote"
        ) from error
    except ValueError as error:
        raise PackageError(f"{path} is not JSON: {error}", "compile the model again") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise PackageError(
            f"{path} has format version {version}; this EdgeTVM reads {FORMAT_VERSION}", "compile the model again"
        )
    try:
        package = _package(folder, manifest)
        parts = [*package.linked_files(), folder / "include" / f"{package.name}.h"]
    except (KeyError, TypeError, ValueError) as error:
        raise PackageError(f"{path} is damaged: {error!r}", "compile the model again") from error
    missing = next((part for part in parts if not part.is_file()), None)
    if missing is not None:
        raise incomplete(folder, missing)
    return package


def _package(folder: Path, manifest: dict[str, Any]) -> Package:
    arenas = tuple(Arena(int(part["bytes"]), part["region"]) for part in manifest["arena"]["parts"])
    starts = [sum(arena.bytes for arena in arenas[:number]) for number in range(len(arenas))]
    pixels = _pixels(manifest["options"].get("pixels"))
    dead = manifest.get("dead_channels")
    return Package(
        folder=folder,
        name=str(manifest["name"]),
        target=str(manifest["target"]),
        form=str(manifest["format"]),
        libc=manifest["libc"],
        inputs=tuple(replace(_tensor(entry), pixels=pixels) for entry in manifest["inputs"]),
        outputs=tuple(map(_tensor, manifest["outputs"])),
        arenas=arenas,
        arena_align=int(manifest["arena"]["align"]),
        calls=tuple(
            replace(_call(entry), writes=_writes(manifest["arena"], starts, call))
            for call, entry in enumerate(manifest["calls"])
        ),
        shapes={name: tuple(map(int, shape)) for name, shape in manifest["options"]["shapes"].items()},
        integer=manifest["integer"] is not None,
        integer_io=bool(manifest["options"]["integer_io"]),
        precision=str(manifest["options"].get("precision", "fp32")),
        channel_multiple=None if dead is None else int(dead["multiple"]),
        variants=tuple(map(_variant, manifest.get("variants", ()))),
        input_offsets=tuple(starts[int(entry["arena"])] + int(entry["offset"]) for entry in manifest["inputs"]),
    )


def _variant(entry: dict[str, Any]) -> Variant:
    return Variant(
        str(entry["name"]),
        frozenset(str(feature).removeprefix("+") for feature in entry["features"]),
        frozenset(map(int, entry["hwcap"])),
        frozenset(map(int, entry["hwcap2"])),
        {str(name): str(own) for name, own in entry["replaces"].items()},
    )


def _tensor(entry: dict[str, Any]) -> Tensor:
    tensor = _dense(str(entry["name"]), entry)
    if tensor.bytes != int(entry["bytes"]):
        raise ValueError(f"{tensor.name} cannot have {entry['bytes']} bytes")
    if entry["scale"] is None:
        return tensor
    return replace(tensor, scale=float(entry["scale"]), zero_point=int(entry["zero_point"]))


def _pixels(entry: dict[str, Any] | None) -> Pixels | None:
    if entry is None:
        return None
    mean, std = (tuple(map(float, entry[key])) for key in ("mean", "std"))
    return Pixels(str(entry["channels"]), int(entry["axis"]), mean, std)


def _call(entry: dict[str, Any]) -> Call:
    kernel = str(entry["kernel"])
    outputs = tuple(_dense(kernel, output) for output in entry["outputs"])
    return Call(kernel, tuple(map(str, entry["nodes"])), outputs, int(entry["stages"]), int(entry["step"]))


def _writes(arena: dict[str, Any], starts: Sequence[int], call: int) -> tuple[tuple[int, int], ...]:
    mine = [block for block in arena.get("blocks", ()) if block["first"] == call]
    return tuple((starts[int(block["arena"])] + int(block["offset"]), int(block["bytes"])) for block in mine)


def _dense(name: str, entry: dict[str, Any]) -> Tensor:
    shape, dtype = tuple(map(int, entry["shape"])), str(entry["dtype"])
    return Tensor(name, shape, dtype, math.prod(shape) * np.dtype(dtype).itemsize)
