"""The C name of a model: prefix of its symbols, name of its files."""

from __future__ import annotations

from functools import cache

from edgetvm.importers.convert import identifier
from edgetvm.resources import runtime_dir
from edgetvm.target.zig import zig_dir


def model_name(text: str) -> str:
    """`text` as a C identifier that is no file of the C library or of the runtime.

    `string.h` of a model called string would hide the standard one from every source that is compiled beside it.
    """
    name = identifier(text)
    return f"{name}_net" if name.lower() in _taken() else name


@cache
def _taken() -> frozenset[str]:
    """Headers at the top of every C library that zig knows, and all files of the runtime, without their suffix."""
    toolchain = zig_dir() / "lib"
    headers = [*toolchain.glob("libc/include/*/*.h"), *toolchain.glob("include/*.h")]
    return frozenset(path.stem.lower() for path in [*headers, *runtime_dir().rglob("*.[ch]")])
