"""What running a package needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetvm.codegen.memory import Arena
from edgetvm.errors import PackageError
from edgetvm.oracle.pixels import Pixels


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
            raise incomplete(self.folder, path)
        return path

    def model_sources(self) -> list[Path]:
        """The C files of the model that are still to be compiled."""
        return sorted((self.folder / "src").glob("*.c")) if self.form == "c" else []

    def runtime_sources(self) -> list[Path]:
        """The C files of the runtime that are still to be compiled; a library holds them already."""
        return sorted((self.folder / "runtime" / "src").glob("*.c")) if self.form != "library" else []


def incomplete(folder: Path, missing: Path) -> PackageError:
    """A package folder lacks a file."""
    return PackageError(f"{folder} is incomplete: {missing.relative_to(folder)} is missing", "compile the model again")
