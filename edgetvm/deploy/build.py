"""A package and the harness -> a program that runs the model on recorded samples."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgetvm.codegen.image import link_image
from edgetvm.codegen.linker_script import arena_macro
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.package import Package
from edgetvm.errors import TargetError
from edgetvm.resources import runtime_dir
from edgetvm.target.toolchain import compile_sources, link_program
from edgetvm.target.types import Board, Serial, Target
from edgetvm.target.zig import run_zig

_FLAGS = ("-std=c99", "-O2")


def build_linux(package: Package, target: Target, work: Path, libc: str | None, *, header: str | None = None) -> Path:
    """Link the harness and the package for Linux; static with ``libc`` "musl".

    With a ``header`` of the harness the entry function is compiled anew, and calls it after every kernel call.
    """
    objects = _objects(package, target, work, ["posix"], libc, header)
    return link_program(objects, work / "program", target, libc=libc)


def check_bare_metal(target: Target, request: RunRequest) -> None:
    """Refuse what takes an operating system, or more memory than the arena."""
    if request.threads > 1 or request.bound:
        raise TargetError(f"{target.name} has one thread, and no choice of cores", "leave out --threads and --bound")
    if request.caller_buffers:
        raise TargetError(f"{target.name} runs a model with its inputs and outputs in the arena only")


def build_image(
    package: Package,
    target: Target,
    board: Board,
    work: Path,
    *,
    header: str | None = None,
    serial: Serial | None = None,
) -> Path:
    """Link the harness and the package into the image of a Cortex-M board, with ``header`` as for Linux.

    Files are those of a debugger or emulator; with ``serial`` those at the other end of the board's serial port.
    """
    ports, macros = ["cortex_m", "semihosting"], []
    if serial is not None:
        ports, macros = ["cortex_m", "serial"], serial_macros(target, board, serial)
    objects = _objects(package, target, work, ports, None, header, macros)
    return link_image(objects, work / "program.elf", target, board, arena_regions=arena_regions(package, board))


def serial_macros(target: Target, board: Board, serial: Serial) -> list[str]:
    """The flags that tell the ports `cortex_m` and `serial` of a real board: its clock, caches and serial port."""
    return [
        f"-DEDGETVM_CLOCK_KHZ={round(1000 * board.clock_mhz)}u",
        *["-DEDGETVM_CACHES"] * bool(target.processor.cache_bytes),
        f"-DEDGETVM_SERIAL_RECEIVE={_initializer(serial.receive)}",
        f"-DEDGETVM_SERIAL_SEND={_initializer(serial.send)}",
        f"-DEDGETVM_SERIAL_SETUP={','.join(f'{{{_initializer(setting)}}}' for setting in serial.setup)}",
    ]


def arena_regions(package: Package, board: Board) -> list[str | None]:
    """Of each arena the region for which it was planned; None where the board has none of that name."""
    known = {memory.name for memory in board.memory if memory.kind == "ram"}
    return [arena.region if arena.region in known else None for arena in package.arenas]


def _initializer(numbers: tuple[int, ...]) -> str:
    """Numbers as C initializes a structure with them."""
    return ",".join(f"{number:#x}u" for number in numbers)


def _objects(
    package: Package,
    target: Target,
    work: Path,
    ports: list[str],
    libc: str | None,
    header: str | None,
    macros: Sequence[str] = (),
) -> list[Path]:
    runtime = runtime_dir()
    include = [package.folder / "include", *(runtime / name for name in ("include", "ports", "ports/cortex_m"))]
    # Portable C packed for a chip brings no thread pool, and yet may run on this machine.
    pool_missing = bool(package.runtime_sources()) and "thread_pool.c" not in map(_name, package.runtime_sources())
    threads = ["-DEDGETVM_THREADS"] * (target.is_linux and not pool_missing)
    model = [f"-DEDGETVM_MODEL={package.name}_model", arena_macro([arena.bytes for arena in package.arenas])]
    taps = sum(len(call.outputs) for call in package.calls) if header is not None else 1

    def compile_group(name: str, sources: list[Path], flags: list[str]) -> list[Path]:
        folder = work / name  # one each: a model may be called "port"
        folder.mkdir()
        return compile_sources(sources, folder, target, include_dirs=include, flags=[*_FLAGS, *flags], libc=libc)

    model_sources, tap = package.model_sources(), []
    if header is not None:
        model_sources = model_sources or [package.entry_source()]
        tap = ["-include", str(runtime / "harness" / header)]
    with ThreadPoolExecutor() as pool:
        groups = [
            pool.submit(compile_group, "harness", _sources(runtime / "harness"), [*model, f"-DEDGETVM_TAPS={taps}"]),
            pool.submit(
                compile_group,
                "port",
                [c for port in ports for c in _sources(runtime / "ports" / port)],
                [*model, *threads, *macros],
            ),
            pool.submit(compile_group, "model", model_sources, tap),
            pool.submit(compile_group, "runtime", package.runtime_sources(), threads),
        ]
        harness, port, compiled, runtime_objects = (group.result() for group in groups)
    if header is not None and package.form == "object":
        return [*harness, *port, _join(compiled, package.linked_files(), work / "model.o"), *runtime_objects]
    # Objects first: what they define, the linker does not look for in the archive.
    return [*harness, *port, *compiled, *runtime_objects, *package.linked_files()]


def _join(first: list[Path], second: list[Path], out: Path) -> Path:
    """One object file of all; where both define a symbol, it is that of ``first``."""
    run_zig(["ld.lld", "-r", "--allow-multiple-definition", *map(str, [*first, *second]), "-o", str(out)])
    return out


def _name(path: Path) -> str:
    return path.name


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.c"))
