"""`processors/*.toml` and `boards/*.toml` -> Processor and Board: form and sense of every key."""

from __future__ import annotations

from itertools import pairwise
from math import inf

from edgetvm.target.instructions import OTHER, PIPELINED_LOAD, REFILL, kinds
from edgetvm.target.toml_table import TomlTable
from edgetvm.target.types import Board, Emulator, Memory, Processor, Serial, Variant

KIB = 1024
ADDRESSES = 1 << 32
STACK_ALIGN = 8
HWCAP_BITS = 64

_OS = {"x86_64": "linux", "aarch64": "linux", "arm": "linux", "thumb": "none", "c": "none"}
_FLOAT_ABIS = {"arm": ("hard",), "thumb": ("hard", "soft")}


def read_processor(table: TomlTable) -> Processor:
    """Check one processor file and return its facts."""
    arch = table.take("arch", str)
    if arch not in _OS:
        raise table.error(f"arch '{arch}' is none of {', '.join(_OS)}")
    binary = arch != "c"
    cycles = table.take_table("cycles")
    processor = Processor(
        name=table.take("name", str),
        source=table.take("source", str),
        arch=arch,
        os=table.take("os", str, _OS[arch]),
        triple=table.take("triple", str) if binary else "",
        cpu=table.take("cpu", str) if binary else "",
        zig_cpu=table.take("zig_cpu", str) if binary else None,
        features=read_features(table),
        float_abi=table.take("float_abi", str, None),
        vector_bytes=table.take("vector_bytes", int, 0),
        vector_registers=table.take("vector_registers", int, 0),
        cache_bytes=read_cache(table),
        qemu_cpu=table.take("qemu_cpu", str, None),
        unaligned=table.take("unaligned", bool, True),
        variants=tuple(_read_variant(entry) for entry in table.take_tables("variant")),
        cycles=_read_cycles(cycles, arch) if cycles else (),
    )
    table.finish()
    _check_variants(processor, table)
    if processor.os != _OS[arch]:
        raise table.error(f"os of arch '{arch}' must be '{_OS[arch]}', is '{processor.os}'")
    if processor.float_abi not in _FLOAT_ABIS.get(arch, (None,)):
        raise table.error(f"float_abi of arch '{arch}' cannot be {processor.float_abi!r}")
    _check_triple(processor, table)
    if processor.vector_bytes not in (0, 8, 16, 32, 64) or (processor.vector_bytes == 0) != (
        processor.vector_registers == 0
    ):
        raise table.error(
            f"{processor.vector_registers} vector_registers of {processor.vector_bytes} vector_bytes cannot be"
        )
    return processor


def _check_triple(processor: Processor, table: TomlTable) -> None:
    """In LLVM's short forms ("thumbv7m-none-eabi") the ABI is taken for the system, and its library calls are wrong."""
    parts = processor.triple.split("-")
    if processor.arch != "c" and (len(parts) != 4 or parts[2] != processor.os):
        raise table.error(
            f"triple '{processor.triple}' must be architecture, vendor, '{processor.os}' and ABI",
            "such as thumbv7em-none-none-eabihf or aarch64-unknown-linux-gnu",
        )


def _read_cycles(table: TomlTable, arch: str) -> tuple[tuple[str, float], ...]:
    """Cycles by kind of instruction."""
    if arch != "thumb":
        raise table.error(f"there is no model of the cycles of arch '{arch}'", "Cortex-M has one")
    optional = (*kinds(arch), PIPELINED_LOAD)
    prices = {kind: table.take(kind, float) for kind in (OTHER, REFILL)}
    prices |= {kind: table.take(kind, float) for kind in optional if table.has(kind)}
    table.finish()
    for kind, cycles in prices.items():
        if cycles < 0:
            raise table.error(f"{cycles:g} cycles of '{kind}' cannot be")
    return tuple(prices.items())


def _read_variant(table: TomlTable) -> Variant:
    variant = Variant(
        name=table.take("name", str),
        features=read_features(table),
        hwcap=table.take_list("hwcap", int),
        hwcap2=table.take_list("hwcap2", int),
    )
    table.finish()
    if not variant.name.isidentifier():
        raise table.error(f"name '{variant.name}' must be one that C could have")
    if not variant.features or any(feature[0] != "+" for feature in variant.features):
        raise table.error(f"variant '{variant.name}' must add features, such as '+dotprod'")
    bits = (*variant.hwcap, *variant.hwcap2)
    if not bits or not all(0 <= bit < HWCAP_BITS for bit in bits):
        raise table.error(f"variant '{variant.name}' needs bits of hwcap or hwcap2, from 0 to {HWCAP_BITS - 1}")
    return variant


def _check_variants(processor: Processor, table: TomlTable) -> None:
    names = [variant.name for variant in processor.variants]
    if names and (processor.arch != "aarch64" or processor.os != "linux"):
        raise table.error(
            f"variants are chosen by getauxval of 64-bit Arm Linux; arch is '{processor.arch}', os '{processor.os}'",
            "give each kind of core a file of its own",
        )
    if len(set(names)) != len(names):
        raise table.error("two variants have one name")


def read_board(table: TomlTable) -> Board:
    """Check one board file and return its facts; `cache_kib`, if any, is left to the caller."""
    emulator, serial = table.take_table("emulator"), table.take_table("serial")
    board = Board(
        name=table.take("name", str),
        processor=table.take("processor", str),
        source=table.take("source", str),
        clock_mhz=table.take("clock_mhz", float),
        cores=table.take("cores", int, 1),
        features=read_features(table),
        memory=_read_memories(table),
        emulator=_read_emulator(emulator) if emulator else None,
        serial=_read_serial(serial) if serial else None,
    )
    if not 0 < board.clock_mhz < inf:
        raise table.error(f"clock_mhz must be a number above 0, is {board.clock_mhz:g}")
    if board.cores <= 0:
        raise table.error(f"cores must be at least 1, is {board.cores}")
    return board


def read_features(table: TomlTable) -> tuple[str, ...]:
    """LLVM's names with their sign: "+dotprod", "-fp64"."""
    features = table.take_list("features", str)
    for feature in features:
        if len(feature) < 2 or feature[0] not in "+-":
            raise table.error(f"feature '{feature}' must begin with + or -")
    return features


def read_cache(table: TomlTable) -> tuple[int, ...]:
    """Data caches in bytes, innermost first."""
    sizes = table.take_list("cache_kib", int)
    if any(size <= 0 for size in sizes) or any(inner > outer for inner, outer in pairwise(sizes)):
        raise table.error(f"cache_kib {list(sizes)} must be positive and grow from the innermost level outwards")
    return tuple(size * KIB for size in sizes)


def _read_emulator(table: TomlTable) -> Emulator:
    emulator = Emulator(machine=table.take("machine", str), counter=table.take("counter", str, None))
    table.finish()
    if emulator.counter not in (None, "cmsdk", "sse"):
        raise table.error(f"counter '{emulator.counter}' is neither cmsdk nor sse")
    return emulator


def _read_serial(table: TomlTable) -> Serial:
    serial = Serial(
        baud=table.take("baud", int),
        receive=table.take_list("receive", int),
        send=table.take_list("send", int),
        setup=tuple(tuple(setting) for setting in table.take_list("setup", list)),
        probe=table.take("probe", str, None),
    )
    table.finish()
    for key, registers in (("receive", serial.receive), ("send", serial.send)):
        if len(registers) != 4:
            raise table.error(f"{key} must be a data register, a state register, a mask and the bits when ready")
    for setting in serial.setup:
        if len(setting) != 3 or not all(type(value) is int for value in setting):
            raise table.error(f"setup {list(setting)} must be an address, the bits to clear and the bits to set")
    return serial


def _read_memories(table: TomlTable) -> tuple[Memory, ...]:
    memories: tuple[Memory, ...] = ()
    for entry in table.take_tables("memory"):
        slowest = max((memory.wait_states for memory in memories if memory.kind == "ram"), default=-1.0)
        memories = (*memories, _read_memory(entry, slowest))
    if len({memory.name for memory in memories}) != len(memories):
        raise table.error("two memory regions have one name")
    mapped = sorted((m for m in memories if m.address is not None), key=lambda m: m.address or 0)
    for low, high in pairwise(mapped):
        if (end := (low.address or 0) + low.bytes) > (high.address or 0):
            raise table.error(
                f"memory regions '{low.name}' and '{high.name}' overlap: "
                f"the first ends at {end:#x}, the second begins at address {high.address:#x}"
            )
    return memories


def _read_memory(table: TomlTable, slowest: float) -> Memory:
    """One region; of the RAM before it the slowest waits `slowest` cycles, -1 if there is none."""
    kind = table.take("kind", str)
    if kind not in ("flash", "ram"):
        raise table.error(f"kind '{kind}' is neither flash nor ram")
    memory = Memory(
        name=table.take("name", str),
        kind=kind,
        bytes=table.take("kib", int) * KIB,
        address=table.take("address", int, None),
        wait_states=table.take("wait_states", float, slowest + 1) if kind == "ram" else 0.0,
    )
    table.finish()
    if kind == "ram" and not max(slowest, 0) <= memory.wait_states < inf:
        hint = f"list RAM regions in order of speed: the one before it waits {slowest:g}"
        raise table.error(f"wait_states must be at least {max(slowest, 0):g}, is {memory.wait_states:g}", hint)
    if memory.bytes <= 0:
        raise table.error(f"kib must be at least 1, is {memory.bytes // KIB}")
    if memory.address is not None:
        _check_address(table, memory.address, memory.bytes)
    return memory


def _check_address(table: TomlTable, address: int, size: int) -> None:
    """What has an address is seen by a core of 32 bits, whose stack is aligned to 8 bytes."""
    if not 0 <= address <= ADDRESSES or address % STACK_ALIGN:
        raise table.error(f"address {address:#x} must be a multiple of {STACK_ALIGN} from 0 to {ADDRESSES:#x}")
    if address + size > ADDRESSES:
        raise table.error(f"kib {size // KIB} at address {address:#x} ends beyond the {ADDRESSES:#x} bytes of 32 bits")
