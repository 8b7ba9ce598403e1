"""The QEMU plugin that counts what runs: built on demand, and what it is told."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from edgetvm.deploy.counts import COUNTS
from edgetvm.errors import ToolError
from edgetvm.resources import cache_dir
from edgetvm.target.zig import run_zig

SOURCE = Path(__file__).resolve().parent / "plugin" / "count.c"
_TAG = b"edgetvm-markers\0"
_FLAGS = ("-shared", "-fPIC", "-std=c99", "-O2", "-g0", "-mcpu=baseline", "-fno-sanitize=undefined")
_FIRST_VERSION = 1
_TRIES = 3
_LOADED = "returned error code"  # what QEMU says of a plugin that loaded, and missed its arguments
_LIMIT = re.compile(r"supports only (?:a minimum version of|up to version) (\d+)")


def counting_arguments(emulator: str, program: Path, pointer_bytes: int) -> list[str]:
    """The arguments that make ``emulator`` count the instructions of ``program``; none if it cannot."""
    plugin = loadable_plugin(emulator)
    if plugin is None:
        return []
    begin, end = marker_addresses(program.read_bytes(), pointer_bytes)
    return ["-plugin", f"{plugin},begin={begin:#x},end={end:#x},out={COUNTS}"]


def marker_addresses(program: bytes, pointer_bytes: int) -> tuple[int, int]:
    """Where the harness's two markers lie, from the table that it keeps in the program."""
    at = program.index(_TAG) + len(_TAG)
    begin, end = struct.unpack_from("<2Q" if pointer_bytes == 8 else "<2I", program, at)
    thumb = 0 if pointer_bytes == 8 else 1  # the low bit of a function's address says Thumb: it is no address bit
    return begin & ~thumb, end & ~thumb


@cache
def loadable_plugin(emulator: str) -> Path | None:
    """A plugin of an interface version that this emulator loads; one that refuses names its limit."""
    version = _FIRST_VERSION
    for _ in range(_TRIES):
        try:
            plugin = build_plugin(version)
        except (ToolError, OSError):
            return None  # no count is no reason not to run
        answer = _try_loading(emulator, plugin)
        if _LOADED in answer:
            return plugin
        limit = _LIMIT.search(answer)
        if limit is None:
            return None
        version = int(limit.group(1))
    return None


def _try_loading(emulator: str, plugin: Path) -> str:
    nothing = ["-M", "none", "-display", "none"] if "system" in Path(emulator).name else [os.devnull]
    done = subprocess.run(
        [emulator, "-plugin", str(plugin), *nothing],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    return done.stderr


def build_plugin(version: int) -> Path:
    """Compile the plugin for one version of QEMU's plugin interface, unless the cache has it."""
    text = SOURCE.read_bytes() + SOURCE.with_name("plugin.h").read_bytes()
    key = hashlib.sha256(text + " ".join(_FLAGS).encode()).hexdigest()[:16]
    plugin = (cache_dir() or _scratch()) / "plugin" / f"count-{key}-{version}.so"
    if not plugin.is_file():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=plugin.parent) as work:
            built = Path(work) / plugin.name
            run_zig(["cc", *_FLAGS, f"-DQEMU_PLUGIN_VERSION={version}", str(SOURCE), "-o", str(built)])
            built.replace(plugin)  # in one step: another process may be doing the same
    return plugin


@cache
def _scratch() -> Path:
    """Where there is no cache folder: one for as long as this process lives."""
    folder = Path(tempfile.mkdtemp(prefix="edgetvm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
