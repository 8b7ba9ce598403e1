"""What running a package needs to know of it: its manifest, read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgetvm.codegen.memory import Arena
from edgetvm.errors import PackageError
from edgetvm.oracle.pixels import Pixels

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Tensor:
    """An input or output with the model's own name, or an output of a kernel; dtype by numpy's name.

    Of quantized integers ``scale * (code - zero_point)`` is the number that a code stands for; of the bytes of an
    image `pixels` says it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    scale: float | None = None
    zero_point: int | None = None
    pixels: Pixels | None = None


@dataclass(frozen=True)
class Call:
    """One kernel call of a run: the C function, the ONNX nodes that it computes, and what it writes.

    `stages` is how many kernels of other packages of the model were joined to this one, `step` its place in the order
    of the graph, which may be another than that of the calls. `writes` are the bytes of the arenas that are the
    call's to write, its outputs and its scratch: the first, counted through all arenas, and their number.
    """

    kernel: str
    nodes: tuple[str, ...]
    outputs: tuple[Tensor, ...]
    stages: int
    step: int = 0
    writes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Variant:
    """Kernels for cores that have `features`, by LLVM's names: which kernels of `calls` run by which other names.

    The bits `hwcap` of Linux's AT_HWCAP and `hwcap2` of AT_HWCAP2 tell of such a core.
    """

    name: str
    features: frozenset[str]
    hwcap: frozenset[int]
    hwcap2: frozenset[int]
    replaces: Mapping[str, str]


@dataclass(frozen=True)
class Package:
    """A package folder. `libc` is gnu, musl, none or None; `form` library, object or c.

    The number of channels that were kept is a multiple of `channel_multiple`, None where dead ones were kept too.
    `precision` is that of float arithmetic, fp32 or fp16. `shapes` froze the model's dynamic dimensions; `integer`
    tells that it was compiled from a quantized graph, `integer_io` that its inputs and outputs are integers where
    the model's are float. `input_offsets` are where inputs lie before a run, counted
    through all arenas.
    """

    folder: Path
    name: str
    target: str
    form: str
    libc: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arenas: tuple[Arena, ...]
    arena_align: int
    calls: tuple[Call, ...]
    shapes: Mapping[str, tuple[int, ...]]
    integer: bool
    integer_io: bool
    variants: tuple[Variant, ...] = ()  # the best last
    precision: str = "fp32"
    channel_multiple: int | None = None
    input_offsets: tuple[int, ...] = ()

    @property
    def arena_bytes(self) -> int:
        """Of all arenas."""
        return sum(arena.bytes for arena in self.arenas)

    def compiled_model(self) -> Path | None:
        """The model that was compiled: the quantized graph if EdgeTVM quantized it, else the model as given."""
        path = self.folder / "reference" / "quantized.onnx"
        return path if path.is_file() else self.reference_model()

    def reference_model(self) -> Path | None:
        """The model as given, in the form that it was given in; None if it was left out."""
        paths = (self.folder / "reference" / f"model.{suffix}" for suffix in ("onnx", "tflite"))
        return next((path for path in paths if path.is_file()), None)

    def linked_files(self) -> list[Path]:
        """The compiled parts that a program links: none with `--format c`."""
        return {
            "library": [self.folder / "lib" / f"lib{self.name}.a"],
            "object": [self.folder / "lib" / f"{self.name}.o"],
            "c": [],
        }[self.form]

    def entry_source(self) -> Path:
        """The C file of the entry function, which a package has in every format."""
        path = self.folder / "src" / f"{self.name}.c"
        if not path.is_file():
            raise _incomplete(self.folder, path)
        return path

    def model_sources(self) -> list[Path]:
        """The C files of the model that are still to be compiled."""
        return sorted((self.folder / "src").glob("*.c")) if self.form == "c" else []

    def runtime_sources(self) -> list[Path]:
        """The C files of the runtime that are still to be compiled; a library holds them already."""
        return sorted((self.folder / "runtime" / "src").glob("*.c")) if self.form != "library" else []


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
        raise _incomplete(folder, missing)
    return package


def _incomplete(folder: Path, missing: Path) -> PackageError:
    return PackageError(f"{folder} is incomplete: {missing.relative_to(folder)} is missing", "compile the model again")


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
