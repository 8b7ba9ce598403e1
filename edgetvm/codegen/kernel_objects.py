"""Lowered kernels -> object files, one a kernel, kept in the user's cache by what they were made from."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import tvm

from edgetvm.codegen.lower import LoweredKernel, build
from edgetvm.codegen.processes import share_out
from edgetvm.resources import cache_dir
from edgetvm.target.zig import writable

MOST_BYTES = 256_000_000  # of kept objects; the oldest go first


def kernel_objects(kernels: Sequence[LoweredKernel], work: Path) -> list[Path]:
    """The object of each kernel, in `work`; only those are compiled that were not compiled before.

    Raises UnsupportedError that names the node of a kernel for which TVM has no code.
    """
    kept = writable(cache_dir())
    store = kept / "kernels" if kept else work / "kernels"
    store.mkdir(exist_ok=True)
    objects = [work / f"{kernel.name}.o" for kernel in kernels]

    def make(number: int) -> None:
        kernel, own = kernels[number], objects[number]
        entry = store / f"{_key(kernel)}.o"
        if not _copied(entry, own):
            build([kernel], kernel.target).write_to_file(str(own))
            _keep(own, entry)

    share_out(len(kernels), make)
    prune(store.glob("*.o"), MOST_BYTES)
    return objects


def prune(files: Iterable[Path], most_bytes: int) -> None:
    """Delete the files that were used longest ago until the others are at most `most_bytes` together."""
    found = []
    for path in files:
        try:
            found.append((path.stat(), path))
        except FileNotFoundError:  # another process prunes too
            continue
    total = 0
    for status, path in sorted(found, key=lambda pair: -pair[0].st_mtime):
        total += status.st_size
        if total > most_bytes:
            path.unlink(missing_ok=True)


def _key(kernel: LoweredKernel) -> str:
    parts = (version("apache-tvm"), str(tvm.ir.save_json(kernel.func)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _copied(entry: Path, own: Path) -> bool:
    try:
        shutil.copyfile(entry, own)
        entry.touch()
    except OSError:
        return False
    return True


def _keep(own: Path, entry: Path) -> None:
    """Put a copy there at once: another process may be looking. Without room it is compiled again next time."""
    try:
        with tempfile.TemporaryDirectory(dir=entry.parent) as scratch:
            shutil.copyfile(own, Path(scratch) / entry.name).replace(entry)
    except OSError:
        return
