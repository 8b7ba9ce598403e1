"""Math and memory functions for chips without a C library, built once for every core and kept.

Three sources make them whole: zig's compiler_rt (soft float, memcpy, expf, logf, sinf ...), the musl
files that the ziglang wheel carries, and `device_math.zig` for what both lack.
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

_OWN = Path(__file__).with_name("device_math.zig")
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
    key = hashlib.sha256("\0".join((version("ziglang"), *flags, *_MUSL)).encode() + _OWN.read_bytes())
    kept = writable(cache_dir())
    folder = kept / "math" if kept else Path(tempfile.mkdtemp(prefix="edgetvm-math-"))
    library = folder / f"{key.hexdigest()[:16]}.a"
    if library.exists():
        return library
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch) / library.name
        run_zig(["build-lib", f"-femit-bin={new}", *flags, *_options(), str(_OWN), *_musl_sources()])
        new.replace(library)  # at once: another process may be looking
    return library


def _options() -> list[str]:
    musl = zig_dir() / "lib" / "libc" / "musl"
    includes = [f"-I{musl / name}" for name in ("src/internal", "src/include", "arch/arm", "arch/generic")]
    return [
        *("-OReleaseSmall", "-fcompiler-rt", "-fstrip", "-fno-unwind-tables", "-ffunction-sections", "-fdata-sections"),
        *(*includes, "-isystem", str(freestanding_headers())),
    ]


def _musl_sources() -> list[str]:
    folder = zig_dir() / "lib" / "libc" / "musl" / "src" / "math"
    return [str(folder / f"{name}.c") for name in _MUSL]
