"""Numbers that somebody or a search picked: one TOML file a family of processors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir
from edgetvm.schedule.types import Decision, TileSize
from edgetvm.target.tvm_target import llvm_features
from edgetvm.target.types import Processor, Target

_SEARCHES = ("search", "search_threads")
FAMILY = {"x86_64": "x86", "aarch64": "arm-cpu", "arm": "arm-cpu", "thumb": "cortex-m", "c": "portable-c"}


@dataclass(frozen=True)
class Recipe:
    """What the rules of one family are given. Numbers of 0 by default are of kernels that not every family has.

    vector_bytes          bytes of a vector at most; 0 for as many as a register has
    scalar_accumulators   accumulators of a tile where there are no vectors
    spare_registers       vector registers kept free of accumulators
    least_accumulators    accumulators that hide the latency of multiply-add; fewer cost idle cycles
    max_rows              rows of a register tile at most
    unrolled_operations   multiply-adds of one unrolled inner body at most
    parallel_operations   operations of a kernel from which it is shared among threads; 0 for never
    channel_multiple      what the number of channels stays a multiple of where dead ones are removed; 0: none is
    register_steps        steps of a sum that a register tile unrolls at most
    register_epilogue     operations that a vector of its sums costs besides its products
    register_overhead     operations that such a tile costs: loops and addresses
    register_vectors      vectors of sums beside each other in it at most
    max_vectors           the same of tiles whose loops are written without TVM's schedule
    thread_stack_bytes    scratch of a kernel at most that lies on the stack of a thread
    thread_bands          bands of rows at least that threads share
    uncopied_bands        bands of rows of a kernel that copies none of them
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
    winograd_block        operations that a block of products costs besides those on its sums
    winograd_loads        loads that cost as much as one of the multiply-adds beside them
    winograd_overlap      of computing and reading memory, the shorter costs one in so many of its time
    winograd_bands        bands of tiles at least that threads share
    matrix_epilogue       operations that a vector of float sums costs besides its products
    matrix_tile           operations that a tile of float sums costs
    matrix_loads          loads of activations that cost as much as one of the multiply-adds beside them
    matrix_weights        loads of activations that cost as much as one of weights
    half_vectors          channels, in vectors of 64 bytes, below which vectors of 32 bytes may fit them better
    window_tile           operations that a tile of a float depthwise convolution costs: loops and addresses
    neon_columns          channels of a panel of weights at most where NEON has no dot product: a power of two
    neon_epilogue         instructions of the epilogue of four outputs, in 32 bits
    neon_narrow           instructions that narrow and store up to eight outputs
    neon_loads            loads of one unrolled body at most
    neon_tile             instructions that such a tile costs: loops and addresses
    neon_windows          instructions with windows copied to be one run, of a hundred of those without, at which it
                          pays where NEON has no dot product; 0 for never
    neon_winograd         instructions of exact Winograd, of a hundred of the direct convolution, at which its larger
                          weights pay where NEON has no dot product; 0 for never
    depthwise_pixels      pixels across that a depthwise convolution computes at once, on cores with DSP
    helium_pixels         pixels of a tile of sums at most, on Helium
    helium_columns        channels of such a tile
    helium_held           vectors of weights of such channels at most that stay in registers while pixels pass
    helium_unrolled       products of vectors of one unrolled body at most, on Helium
    line_operations       operations on one vector in the time in which memory brings 64 bytes
    shared_columns        channels of a panel of int8 weights that several kinds of cores read
    shared_columns_one    the same for kernels of one pixel
    shared_rows           pixels of a tile at most of NEON without dot product on such panels
    row_stages            kernels at most that are joined to go over rows; 0 for none
    row_tile              rows of the result that such a kernel computes at a step, at most
    row_step              what a stage costs at each step, in bytes that move for as much
    reserved_ram          bytes of the first of several RAM regions that tensors leave to the stack and variables
    row_memory_percent    by how much the live set may exceed the smallest one, for kernels over rows that cost less
    scalar_sums           sums of a tile at most where every product is an instruction
    scalar_unrolled       products of one unrolled body of such a tile at most
    scalar_product        instructions of such a product
    scalar_load           instructions that load an activation or a weight
    scalar_loop           instructions that an iteration of the innermost loop costs
    scalar_output         instructions that an output costs besides its products
    scalar_channel        instructions that a channel of a tile of outputs costs
    scalar_overhead       instructions that a tile of outputs costs: loops and addresses
    plain_spill           instructions that a register too few costs as `dsp_spill` does, without DSP instructions
    dsp_unrolled          multiplications of one unrolled body at most, of two products each
    dsp_output            instructions that an output costs besides its products
    dsp_channel           instructions that a channel of a tile of outputs costs
    dsp_tile              instructions that a tile of outputs costs: loops and addresses
    dsp_loop              instructions that an iteration of the innermost loop costs
    dsp_spill             instructions that a register too few costs for each group of four products of an output
    small_percent         instructions, of a hundred of a model, of which the kernels that take least are made for size
    llvm_level            how far LLVM optimizes a kernel, 1 for the least code and 3 for the fastest code; 0 as usual
    tuned_percent         bytes, of a hundred of the rules' own, that a faster kernel may take when tuned; 0 for any
    wide_percent          instructions, of a hundred, at which it pays to have weights for DSP in 16 bits; 0: never, and
                          those that fit 4 bits are held in 4 where flash is scarce
    """

    scalar_accumulators: int
    spare_registers: int
    least_accumulators: int
    max_rows: int
    unrolled_operations: int
    parallel_operations: int
    channel_multiple: int
    register_steps: int
    register_epilogue: int
    register_overhead: int
    vector_bytes: int = 0
    register_vectors: int = 0
    max_vectors: int = 0
    thread_stack_bytes: int = 0
    thread_bands: int = 0
    uncopied_bands: int = 0
    dot_epilogue: int = 0
    dot_tile: int = 0
    dot_unrolled: int = 0
    dot_band_bytes: int = 0
    dot_band_share: int = 0
    dot_spare_registers: int = 0
    peeled_operations: int = 0
    winograd_side: int = 0
    winograd_percent: int = 0
    winograd_bytes: int = 0
    winograd_rows: int = 0
    winograd_vectors: int = 0
    winograd_tiles: int = 0
    winograd_block: int = 0
    winograd_loads: int = 0
    winograd_overlap: int = 0
    winograd_bands: int = 0
    matrix_epilogue: int = 0
    matrix_tile: int = 0
    matrix_loads: int = 0
    matrix_weights: int = 0
    half_vectors: int = 0
    window_tile: int = 0
    neon_columns: int = 0
    neon_epilogue: int = 0
    neon_narrow: int = 0
    neon_loads: int = 0
    neon_tile: int = 0
    neon_windows: int = 0
    neon_winograd: int = 0
    depthwise_pixels: int = 0
    helium_pixels: int = 0
    helium_columns: int = 0
    helium_held: int = 0
    helium_unrolled: int = 0
    line_operations: int = 0
    shared_columns: int = 0
    shared_columns_one: int = 0
    shared_rows: int = 0
    row_stages: int = 0
    row_tile: int = 0
    row_step: int = 0
    row_memory_percent: int = 0
    reserved_ram: int = 0
    scalar_sums: int = 0
    scalar_unrolled: int = 0
    scalar_product: int = 0
    scalar_load: int = 0
    scalar_loop: int = 0
    scalar_output: int = 0
    scalar_channel: int = 0
    scalar_overhead: int = 0
    plain_spill: int = 0
    dsp_unrolled: int = 0
    dsp_output: int = 0
    dsp_channel: int = 0
    dsp_tile: int = 0
    dsp_loop: int = 0
    dsp_spill: int = 0
    tuned_percent: int = 0
    wide_percent: int = 0
    small_percent: int = 0
    llvm_level: int = 0


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
    plain: bool = False  # one of Arm's microcontrollers without instructions on more than one number
    low_registers: bool = False  # whose instructions take 8 of the registers: Armv6-M
    helium: bool = False  # Arm's vectors for microcontrollers, MVE
    vcvtr: bool = False  # a float to the nearest integer, in a 32-bit register
    tile: TileSize | None = None  # of the kernel at hand, where its rule does not choose
    columns: int = 0  # of a panel of weights of the kernel at hand, where others read it too; 0 if it is free
    threads: int = 1  # for which `decisions` are made; kernels run on any number
    # by `kernel_key`, for kernels whose rules do not decide everything themselves
    decisions: Mapping[str, Decision] = field(default_factory=dict, hash=False)

    def lanes(self, element_bytes: int) -> int:
        """Elements of one vector; 1 without any."""
        widest = self.vector_bytes
        return max(min(widest, self.recipe.vector_bytes or widest) // element_bytes, 1)


def machine_for(target: Target, form: str, optimize: str = "balanced", own: Path | None = None) -> Machine:
    """The machine that rules schedule for. C has Helium and Arm's DSP instructions, and no other vectors.

    Numbers of the processor's recipe, if it has one, replace those of its family, and those of `own` both.
    """
    processor = target.processor
    features = llvm_features(processor) if processor.arch == "thumb" else frozenset()
    dsp = "dsp" in features
    first, *others = recipe_files(target, form)
    recipe = load_recipe(first, optimize, *others, own)
    if form == "c" or FAMILY[processor.arch] == "portable-c":
        return Machine(0, 0, processor.cache_bytes, recipe, dsp=dsp, helium="mve" in features)
    facts = (processor.vector_bytes, processor.vector_registers, processor.cache_bytes)
    products = (dot_of(processor), neon_of(processor), matrix_of(processor))
    plain = processor.arch == "thumb" and not dsp
    return Machine(
        *facts,
        recipe,
        *products,
        dsp=dsp,
        plain=plain,
        low_registers=plain and "thumb2" not in features,
        helium="mve" in features,
        vcvtr="vfp2sp" in features,
    )


def recipe_files(target: Target, form: str) -> list[Path]:
    """The recipe of the processor's family, and if it has one its own."""
    processor = target.processor
    portable = form == "c" and "dsp" not in (llvm_features(processor) if processor.arch == "thumb" else ())
    folder = schedules_dir() / ("portable-c" if portable else FAMILY[processor.arch])
    core = folder / f"{processor.name}.toml"
    return [folder / "default.toml", *([core] if core.is_file() else [])]


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


def load_recipe(path: Path, optimize: str = "balanced", *others: Path | None) -> Recipe:
    """Read a recipe: one table a number, with `value` and `why`, and where it differs `size` and `speed`.

    What each of the `others` that is given has replaces what is before it. Raises TargetError that names the file
    and the key.
    """
    numbers = _numbers(path, optimize)
    for entry in fields(Recipe):
        if entry.default is MISSING and entry.name not in numbers:
            raise TargetError(f"recipe {path}: missing key '{entry.name}'")
    for other in others:
        numbers |= _numbers(other, optimize) if other else {}
    return Recipe(**numbers)


def alternatives(paths: Sequence[Path], threads: int = 1) -> dict[str, tuple[int, ...]]:
    """What a search may try instead of the numbers of these recipes, the last of which counts: their `search`, and
    for several threads their `search_threads`.
    """
    tables = {key: entry for path in paths for key, entry in _table(path).items()}
    lists = _SEARCHES if threads > 1 else _SEARCHES[:1]
    found = {key: tuple(number for name in lists for number in entry.get(name, ())) for key, entry in tables.items()}
    return {key: numbers for key, numbers in found.items() if numbers}


def _numbers(path: Path, optimize: str) -> dict[str, int]:
    return {key: _number(path, key, entry, optimize) for key, entry in _table(path).items()}


def _table(path: Path) -> dict[str, dict[str, Any]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"recipe {path} cannot be read: {error}") from error
    for key in sorted(set(table) - {entry.name for entry in fields(Recipe)}):
        raise TargetError(f"recipe {path}: unknown key '{key}'")
    for key, entry in table.items():
        _check(path, key, entry)
    return table


def _check(path: Path, key: str, entry: object) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("why"), str) or "value" not in entry:
        raise TargetError(f"recipe {path}: '{key}' needs an integer 'value' and a text 'why'")
    unknown = sorted(set(entry) - {"value", "size", "speed", "why", *_SEARCHES})
    if unknown:
        raise TargetError(f"recipe {path}: '{key}' has an unknown entry '{unknown[0]}'")
    for name in _SEARCHES:
        numbers = entry.get(name, [])
        if not isinstance(numbers, list):
            raise TargetError(f"recipe {path}: '{name}' of '{key}' is no list of integers")
        for number in numbers:
            _check_number(path, key, number)


def _number(path: Path, key: str, entry: Mapping[str, Any], optimize: str) -> int:
    number = entry.get(optimize, entry["value"])
    _check_number(path, key, number)
    return int(number)


def _check_number(path: Path, key: str, number: object) -> None:
    if type(number) is not int or number < 0:
        raise TargetError(f"recipe {path}: '{key}' is {number!r}; it must be an integer of at least 0")
