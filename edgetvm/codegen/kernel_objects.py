"""Lowered kernels -> object files, one a kernel, kept in the user's cache by what they were made from."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
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
    objects = [work / f"{kernel.name}.o" for kernel in kernels]
    share_out(len(kernels), lambda number: write_object(kernels[number], objects[number]))
    prune_kept()
    return objects


def write_object(kernel: LoweredKernel, path: Path) -> None:
    """Compile one kernel, or copy what was compiled before; `prune_kept` is to be called once in a while."""
    store = _store()
    entry = store / f"{_key(kernel)}.o" if store else None
    if entry is None or not _copied(entry, path):
        build([kernel], kernel.target).write_to_file(str(path))
        if entry is not None:
            _keep(path, entry)


def prune_kept() -> None:
    """Keep the cache within its size."""
    if (store := _store()) is not None:
        prune(store, MOST_BYTES)


def prune(folder: Path, most_bytes: int) -> None:
    """Delete the files of a folder that were used longest ago until the others are at most `most_bytes` together."""
    found = []
    with os.scandir(folder) as entries:  # of some ten thousand files paths alone would take a second
        for entry in entries:
            try:
                status = entry.stat()
            except FileNotFoundError:  # another process prunes too
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime, status.st_size, entry.path))
    total = 0
    for _, size, path in sorted(found, reverse=True):
        total += size
        if total > most_bytes:
            Path(path).unlink(missing_ok=True)


def _store() -> Path | None:
    """Where objects are kept; None where no cache can be written."""
    kept = writable(cache_dir())
    if kept is None:
        return None
    store = kept / "kernels"
    store.mkdir(exist_ok=True)
    return store


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
