"""The C toolchain: compiler, assembler, archiver and linker for every target.

Results depend on sources and flags alone: not on the folder, the time or an earlier call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgetvm.target.types import Target
from edgetvm.target.zig import run_zig, zig_cpu, zig_dir, zig_triple

# zig's own defaults (sanitizer traps, stack protector) would call functions that no package has.
_QUIET = ("-g0", "-fno-sanitize=undefined", "-fno-stack-protector", "-ffunction-sections", "-fdata-sections")

_BARE_METAL = ("-ffreestanding", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")


def compile_sources(
    sources: Sequence[Path],
    out_dir: Path,
    target: Target,
    *,
    include_dirs: Sequence[Path] = (),
    flags: Sequence[str] = ("-std=c99", "-O2"),
    libc: str | None = None,
) -> list[Path]:
    """Compile C and assembler files (`.c`, `.S`) to objects in ``out_dir``; returns them in order.

    ``libc`` is "gnu" or "musl" for Linux, None takes gnu. ``.incbin`` and ``#include`` find files
    beside their source and in ``include_dirs``.
    """
    objects = [out_dir / f"{source.stem}.o" for source in sources]
    if len(set(objects)) != len(objects):
        raise ValueError(f"two sources of one name: {', '.join(map(str, sources))}")
    for source, obj in zip(sources, objects, strict=True):
        run_zig(_compile_command(source, obj, target, include_dirs, flags, libc), cwd=source.resolve().parent)
    return objects


def _compile_command(
    source: Path, obj: Path, target: Target, include_dirs: Sequence[Path], flags: Sequence[str], libc: str | None
) -> list[str]:
    """The arguments for zig that compile one source, to be run in the source's folder."""
    folders = [source.resolve().parent, *(path.resolve() for path in include_dirs)]
    command = ["cc", *target_flags(target, libc), *_QUIET, *flags]
    command += ["-fPIC"] if target.is_linux else [*_BARE_METAL, "-isystem", str(freestanding_headers())]
    for folder in folders:
        # Mapped, because __FILE__ must not tell where the build ran.
        command += [f"-I{folder}", f"-ffile-prefix-map={folder}/="]
    return [*command, "-c", source.name, "-o", str(obj.resolve())]


def archive(objects: Sequence[Path], library: Path) -> Path:
    """Put ``objects`` into the static library ``library``, without dates or owners."""
    library.unlink(missing_ok=True)
    run_zig(["ar", "rcsD", str(library), *map(str, objects)])
    return library


def link_shared(objects: Sequence[Path], library: Path, target: Target, *, libc: str | None = None) -> Path:
    """Link a shared library for Linux; an undefined symbol is an error."""
    flags = ["-shared", f"-Wl,-soname,{library.name}", "-Wl,-z,defs"]
    return _link_linux(objects, library, target, libc, flags)


def link_program(
    objects: Sequence[Path], program: Path, target: Target, *, libc: str | None = None, flags: Sequence[str] = ()
) -> Path:
    """Link objects and archives into an executable for Linux: dynamic with glibc, static with musl."""
    return _link_linux(objects, program, target, libc, ["-static"] * (libc == "musl") + [*flags])


def link_bare_metal(objects: Sequence[Path], program: Path, script: Path, flags: Sequence[str] = ()) -> Path:
    """Link for a chip without an operating system as the linker script says."""
    command = ["ld.lld", "--gc-sections", "--build-id=none", "-T", str(script), *flags]
    run_zig([*command, *map(str, objects), "-o", str(program)])
    return program


def target_flags(target: Target, libc: str | None = None) -> list[str]:
    """The flags that tell zig which machine, C library and core to compile for."""
    cpu = zig_cpu(target.processor)
    return ["-target", zig_triple(target.processor, libc), f"-mcpu={cpu}"]


def freestanding_headers() -> Path:
    """Declarations of the C99 library for targets that have none of their own."""
    return zig_dir() / "lib" / "libc" / "include" / "generic-musl"


def _link_linux(objects: Sequence[Path], out: Path, target: Target, libc: str | None, flags: Sequence[str]) -> Path:
    # No -mcpu: it would only make zig build its start-up files once more for every core.
    command = ["cc", "-target", zig_triple(target.processor, libc), "-s", "-Wl,--build-id=none", "-Wl,--gc-sections"]
    run_zig([*command, *flags, *map(str, objects), "-lm", "-lpthread", "-o", str(out)])
    return out
