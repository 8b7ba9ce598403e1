"""Which options of `compile` go together."""

from __future__ import annotations

from edgetvm.errors import DataError, TargetError
from edgetvm.target.tvm_target import llvm_features
from edgetvm.target.types import Target

FORMATS = ("library", "object", "c")
OPTIMIZE = ("size", "speed", "balanced")
LIBCS = ("gnu", "musl")
PRECISIONS = ("fp32", "fp16")
MOST_THREADS = 64  # EDGETVM_MAX_THREADS


def check_options(target: Target, form: str, optimize: str, libc: str | None) -> str | None:
    """Check options against each other; gives the C library, None where there is none."""
    for option, value, allowed in (("format", form, FORMATS), ("optimize", optimize, OPTIMIZE)):
        if value not in allowed:
            raise TargetError(f"--{option} {value}: choose from {', '.join(allowed)}")
    if libc is not None and libc not in LIBCS:
        raise TargetError(f"--libc {libc}: choose from {', '.join(LIBCS)}")
    if target.processor.arch == "c" and form != "c":
        raise TargetError(f"target {target.name} has no binary form", "give --format c")
    if target.processor.variants and form == "c":
        hint = "give --format library, or name one kind of core"
        raise TargetError(f"--format c: {target.name} chooses its kernels where it runs, C99 does not", hint)
    if libc is not None and not target.is_linux:
        raise TargetError(f"--libc {libc}: target {target.name} runs no Linux", "leave --libc out")
    return (libc or "gnu") if target.is_linux else None


def check_threads(threads: int) -> None:
    """Refuse a number of threads that the runtime does not have."""
    if not 1 <= threads <= MOST_THREADS:
        raise DataError(f"--threads {threads}: a kernel has 1 to {MOST_THREADS} threads", None)


def check_precision(target: Target, form: str, precision: str, quantize: str | None) -> None:
    """Refuse half precision where a core, a format or a model has none."""
    if precision not in PRECISIONS:
        raise TargetError(f"--precision {precision}: choose from {', '.join(PRECISIONS)}")
    if precision == "fp32":
        return
    if quantize is not None:
        raise DataError(f"--precision {precision} is for float models, --quantize {quantize} gives another", None)
    if form == "c":
        raise TargetError(f"--precision {precision}: C99 has no type of half precision", "leave --format c out")
    if target.processor.arch != "aarch64" or "fullfp16" not in llvm_features(target.processor):
        hint = "cortex-a55, cortex-a76 and cortex-a710 have it"
        raise TargetError(f"--precision {precision}: {target.name} has no arithmetic of half precision", hint)
