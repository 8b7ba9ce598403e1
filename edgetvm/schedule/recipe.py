"""Numbers that somebody or a search picked: one TOML file a family of processors."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir
from edgetvm.target.tvm_target import llvm_features
from edgetvm.target.types import Processor, Target

FAMILY = {"x86_64": "x86", "aarch64": "arm-cpu", "arm": "arm-cpu", "thumb": "cortex-m", "c": "portable-c"}


@dataclass(frozen=True)
class Recipe:
    """What the rules of one family are given.

    scalar_accumulators   accumulators of a tile where there are no vectors
    spare_registers       vector registers kept free of accumulators
    least_accumulators    accumulators that hide the latency of multiply-add; fewer cost idle cycles
    max_rows              rows of a register tile at most
    unrolled_operations   multiply-adds of one unrolled inner body at most
    parallel_operations   operations of a kernel from which it is shared among threads; 0 for never
    dot_epilogue          instructions that a vector of sums costs besides its products: start, epilogue, store
    dot_tile              instructions that a tile of sums costs: loops and addresses
    dot_unrolled          dot-product instructions of one unrolled body at most
    dot_band_bytes        bytes of the rows that a kernel copies at a time
    dot_band_share        such rows take at most one in so many bytes of what a kernel reads and writes
    dot_spare_registers   of 32 vector registers, those kept free of sums, weights and activations of one step
    peeled_operations     multiply-adds of all bodies of a depthwise kernel at most, if its borders are peeled
    winograd_side         outputs along a side of the largest tile of Winograd's convolution; 0 for none
    winograd_percent      operations of it, of a hundred of the direct one, at which its larger weights pay
    winograd_bytes        bytes of transformed tiles and sums that a kernel keeps at once
    winograd_rows         tiles of a block of products at most, whose sums are in registers
    winograd_vectors      vectors of output channels of such a block at most
    winograd_tiles        tiles at least that use a weight while it is near
    matrix_epilogue       operations that a vector of float sums costs besides its products
    matrix_tile           operations that a tile of float sums costs
    matrix_loads          loads of activations that cost as much as one of the multiply-adds beside them
    matrix_weights        loads of activations that cost as much as one of weights
    line_operations       operations on one vector in the time in which memory brings 64 bytes
    shared_columns        channels of a panel of int8 weights that several kinds of cores read
    shared_columns_one    the same for kernels of one pixel
    shared_rows           pixels of a tile at most of NEON without dot product on such panels
    """

    scalar_accumulators: int
    spare_registers: int
    least_accumulators: int
    max_rows: int
    unrolled_operations: int
    parallel_operations: int
    dot_epilogue: int = 4
    dot_tile: int = 16
    dot_unrolled: int = 128
    dot_band_bytes: int = 16384
    dot_band_share: int = 8
    dot_spare_registers: int = 0
    peeled_operations: int = 0
    winograd_side: int = 0
    winograd_percent: int = 80
    winograd_bytes: int = 262144
    winograd_rows: int = 8
    winograd_vectors: int = 2
    winograd_tiles: int = 14
    line_operations: int = 10
    matrix_epilogue: int = 4
    matrix_tile: int = 16
    matrix_loads: int = 8
    matrix_weights: int = 3
    shared_columns: int = 0
    shared_columns_one: int = 0
    shared_rows: int = 0
    sha256: str = ""  # of the file it was read from


@dataclass(frozen=True)
class Machine:
    """What rules know of the processor: facts of `targets/` beside choices of `schedules/`."""

    vector_bytes: int
    vector_registers: int
    cache_bytes: tuple[int, ...]
    recipe: Recipe
    dot: str | None = None  # the instruction that sums products of 8 bits by four, by its usual name
    neon: str | None = None  # NEON as "aarch64" or 32-bit "arm" has it
    matrix: str | None = None  # the instruction that multiplies matrices of 8 bits, by its usual name
    dsp: bool = False  # Arm's instructions on two words of 16 bits in a register
    helium: bool = False  # Arm's vectors for microcontrollers, MVE
    columns: int = 0  # of a panel of weights of the kernel at hand, where others read it too; 0 if it is free

    def lanes(self, element_bytes: int) -> int:
        """Elements of one vector register; 1 without any."""
        return max(self.vector_bytes // element_bytes, 1)


def machine_for(target: Target, form: str, optimize: str = "balanced", path: Path | None = None) -> Machine:
    """The machine that rules schedule for. Portable C has no vectors, whatever the target."""
    processor = target.processor
    family = "portable-c" if form == "c" else FAMILY[processor.arch]
    recipe = load_recipe(path or schedules_dir() / family / "default.toml", optimize)
    if family == "portable-c":
        return Machine(0, 0, processor.cache_bytes, recipe)
    facts = (processor.vector_bytes, processor.vector_registers, processor.cache_bytes)
    products = (dot_of(processor), neon_of(processor), matrix_of(processor))
    thumb = llvm_features(processor) if processor.arch == "thumb" else frozenset()
    return Machine(*facts, recipe, *products, dsp="dsp" in thumb, helium="mve" in thumb)


def dot_of(processor: Processor) -> str | None:
    """The dot product of 8-bit integers that LLVM knows the processor to have."""
    features = llvm_features(processor)
    if processor.arch == "aarch64" and "dotprod" in features:
        return "sdot"
    wide = "avx512vnni" if processor.vector_bytes == 64 else "avxvnni"
    if processor.arch != "x86_64":
        return None
    return "vpdpbusd" if wide in features else "pmaddwd"


def neon_of(processor: Processor) -> str | None:
    """Which NEON the processor has."""
    has_neon = processor.arch in ("aarch64", "arm") and "neon" in llvm_features(processor)
    return processor.arch if has_neon else None


def matrix_of(processor: Processor) -> str | None:
    """The product of matrices of 8-bit integers that LLVM knows the processor to have."""
    return "smmla" if processor.arch == "aarch64" and "i8mm" in llvm_features(processor) else None


def load_recipe(path: Path, optimize: str = "balanced") -> Recipe:
    """Read a recipe: one table a number, with `value` and `why`, and where it differs `size` and `speed`.

    Raises TargetError that names the file and the key.
    """
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"recipe {path} cannot be read: {error}") from error
    wanted = set(Recipe.__dataclass_fields__) - {"sha256"}
    for key in sorted(wanted ^ set(table)):
        raise TargetError(f"recipe {path}: {'missing' if key in wanted else 'unknown'} key '{key}'")
    values = {key: _number(path, key, entry, optimize) for key, entry in table.items()}
    return Recipe(**values, sha256=hashlib.sha256(content).hexdigest())


def _number(path: Path, key: str, entry: object, optimize: str) -> int:
    if not isinstance(entry, dict) or not isinstance(entry.get("why"), str) or "value" not in entry:
        raise TargetError(f"recipe {path}: '{key}' needs an integer 'value' and a text 'why'")
    unknown = sorted(set(entry) - {"value", "size", "speed", "why"})
    if unknown:
        raise TargetError(f"recipe {path}: '{key}' has an unknown entry '{unknown[0]}'")
    number = entry.get(optimize, entry["value"])
    if type(number) is not int or number < 0:
        raise TargetError(f"recipe {path}: '{key}' is {number!r}; it must be an integer of at least 0")
    return number
