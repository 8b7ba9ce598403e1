"""What a target is: frozen facts read from `targets/*.toml`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Memory:
    """One memory region of a board. Sizes in bytes; `address` is where it is mapped.

    `wait_states` are the cycles of the core that an access to a word of RAM waits, beside those of its instruction;
    where the board's file does not tell, one more than for the region before, since these are in order of speed.
    """

    name: str
    kind: str  # "flash" or "ram"
    bytes: int
    address: int | None = None
    wait_states: float = 0.0


@dataclass(frozen=True)
class Variant:
    """Instructions that some cores of a processor's kind have: their kernels are chosen where the program runs.

    features      LLVM's names with their sign, beside those of the processor
    hwcap, hwcap2 numbers of the bits of Linux's AT_HWCAP and AT_HWCAP2 that tell of them; all must be set
    """

    name: str
    features: tuple[str, ...]
    hwcap: tuple[int, ...] = ()
    hwcap2: tuple[int, ...] = ()


@dataclass(frozen=True)
class Processor:
    """One core and what its compiler may assume.

    arch          x86_64, aarch64, arm (32-bit Linux), thumb (Cortex-M) or c (any C99 compiler)
    os            "linux" or "none"
    triple        LLVM triple for TVM, cpu its mcpu, features its mattr ("+neon", "-fp64")
    zig_cpu       the same core as zig names it
    vector_bytes  width of the vector registers in bytes, 0 without any; vector_registers their number
    cache_bytes   data cache by level, innermost first; () without any
    qemu_cpu      `-cpu` of the user-mode emulator, None where there is none (Linux only)
    unaligned     whether loads of 4 bytes may be unaligned
    variants      what its better cores have, the best last; () for one kind of core
    cycles        what each kind of instruction takes (`cost/cycles.py`); () of a core whose manual does not tell
    """

    name: str
    arch: str
    os: str
    triple: str
    cpu: str
    source: str
    features: tuple[str, ...] = ()
    float_abi: str | None = None
    zig_cpu: str | None = None
    vector_bytes: int = 0
    vector_registers: int = 0
    cache_bytes: tuple[int, ...] = ()
    qemu_cpu: str | None = None
    unaligned: bool = True
    variants: tuple[Variant, ...] = ()
    cycles: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Emulator:
    """How `qemu-system-arm` stands in for a board."""

    machine: str
    counter: str | None = None  # "cmsdk" or "sse": the free-running timer that `-icount` drives


@dataclass(frozen=True)
class Serial:
    """The serial port of a board that is wired to the host, by its registers.

    receive, send  the data register; then a register, a mask and what its bits are when the port is ready
    setup          what to write once: address, bits to clear, bits to set
    probe          the chip by pyocd's name, which loads programs; None where that is done otherwise
    """

    baud: int
    receive: tuple[int, ...]
    send: tuple[int, ...]
    setup: tuple[tuple[int, ...], ...]
    probe: str | None = None


@dataclass(frozen=True)
class Board:
    """One board: a processor, its clock and its memories (RAM regions in order of speed)."""

    name: str
    processor: str
    source: str
    clock_mhz: float
    cores: int = 1
    features: tuple[str, ...] = ()
    memory: tuple[Memory, ...] = ()
    emulator: Emulator | None = None
    serial: Serial | None = None


@dataclass(frozen=True)
class Target:
    """What a user names with `--target`: a processor, and the board around it if one was named.

    `processor.features` already holds the board's narrowing.
    """

    name: str
    processor: Processor
    board: Board | None = None

    @property
    def is_linux(self) -> bool:
        return self.processor.os == "linux"

    def with_variant(self, variant: Variant) -> Target:
        """The target of those cores alone that have `variant`."""
        features = (*self.processor.features, *variant.features)
        return replace(self, processor=replace(self.processor, features=features, variants=()))
