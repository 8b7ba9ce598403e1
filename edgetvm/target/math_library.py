"""Math and memory functions for chips without a C library, built once for every core and kept.

zig's compiler_rt gives soft float, expf, logf, sinf and the like; more comes from the musl files that
the ziglang wheel carries, the rest from `device_math.zig`; `device_memory.c` replaces compiler_rt's memcpy.
"""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from edgetvm.resources import cache_dir
from edgetvm.target.toolchain import freestanding_headers, target_flags
from edgetvm.target.types import Target
from edgetvm.target.zig import run_zig, writable, zig_dir

_OWN = (Path(__file__).with_name("device_math.zig"), Path(__file__).with_name("device_memory.c"))
_FLAGS = ("-OReleaseSmall", "-fcompiler-rt", "-fstrip", "-fno-unwind-tables", "-ffunction-sections", "-fdata-sections")
# Without -fno-builtin the loop in memcpy would become a call of memcpy.
_C_FLAGS = ("-cflags", "-O2", "-fno-builtin", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "--")
_MUSL = (
    *("__expo2", "__expo2f", "__math_invalid", "__math_invalidf", "__math_oflow", "__math_oflowf"),
    *("__math_divzero", "__math_divzerof", "__math_uflow", "__math_uflowf", "__math_xflow", "__math_xflowf"),
    *("asinf", "asinh", "asinhf", "atan2", "atan2f", "atanh", "atanhf", "erf", "erff", "exp_data", "expm1", "expm1f"),
    *("ldexp", "ldexpf", "nextafter", "nextafterf", "pow", "pow_data", "powf", "powf_data", "exp2f_data"),
    *("remainder", "remainderf", "remquo", "remquof", "scalbn", "scalbnf", "sinh", "sinhf"),
)


def math_library(target: Target) -> Path:
    """The archive to link after all objects of a Cortex-M image."""
    return _build(tuple(target_flags(target)))


@cache
def _build(flags: tuple[str, ...]) -> Path:
    key = hashlib.sha256("\0".join((version("ziglang"), *flags, *_FLAGS, *_C_FLAGS, *_MUSL)).encode())
    for own in _OWN:
        key.update(own.read_bytes())
    kept = writable(cache_dir())
    folder = kept / "math" if kept else Path(tempfile.mkdtemp(prefix="edgetvm-math-"))
    library = folder / f"{key.hexdigest()[:16]}.a"
    if library.exists():
        return library
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch) / library.name
        run_zig(["build-lib", f"-femit-bin={new}", *flags, *_FLAGS, *_includes(), *_sources()])
        new.replace(library)  # at once: another process may be looking
    return library


def _includes() -> list[str]:
    musl = zig_dir() / "lib" / "libc" / "musl"
    folders = [musl / name for name in ("src/internal", "src/include", "arch/arm", "arch/generic")]
    return [*(f"-I{folder}" for folder in folders), "-isystem", str(freestanding_headers())]


def _sources() -> list[str]:
    musl = zig_dir() / "lib" / "libc" / "musl" / "src" / "math"
    return [*_C_FLAGS, *map(str, _OWN), *(str(musl / f"{name}.c") for name in _MUSL)]
