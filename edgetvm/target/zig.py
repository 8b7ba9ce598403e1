"""Runs the `ziglang` wheel's commands and spells targets the way zig does."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edgetvm.errors import TargetError, ToolError
from edgetvm.resources import cache_dir
from edgetvm.target.types import Processor

GLIBC = "2.28"  # Debian 10, Ubuntu 18.10, RHEL 8 and whatever is newer can run the result
TIMEOUT_S = 600.0

# Variables that would change what is compiled: folders of headers and libraries, zig's own.
_MEDDLING = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "ZIG_")
_FLOAT_SUFFIX = {"hard": "hf", "soft": "", None: ""}


def run_zig(arguments: Sequence[str], cwd: Path | None = None) -> str:
    """Run one zig command and return what it printed; ToolError with its first error otherwise."""
    command = [str(zig_dir() / "zig"), *arguments]
    try:
        with _environment() as environment:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"zig {arguments[0]} took more than {TIMEOUT_S:.0f} s and was stopped") from error
    except OSError as error:
        raise ToolError(f"zig {arguments[0]} cannot run: {error.strerror}: {error.filename}") from error
    if done.returncode != 0:
        raise ToolError(f"zig {arguments[0]} failed: {_first_error(done.stderr) or f'status {done.returncode}'}")
    return done.stdout


def zig_dir() -> Path:
    """The folder of the ziglang wheel."""
    spec = find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("the C toolchain is missing: Python package 'ziglang' is not installed", "pip install ziglang")
    return Path(spec.submodule_search_locations[0])


def zig_triple(processor: Processor, libc: str | None = None) -> str:
    """The triple of ``processor`` as zig spells it, with the C library ("gnu" or "musl") and its version."""
    if processor.arch == "thumb":
        return f"thumb-freestanding-eabi{_FLOAT_SUFFIX[processor.float_abi]}"
    if processor.arch == "c":
        raise TargetError(f"{processor.name} has no binary form", "use --format c and the chip's own compiler")
    abi = "eabihf" if processor.arch == "arm" else ""
    return f"{processor.arch}-linux-{f'musl{abi}' if libc == 'musl' else f'gnu{abi}.{GLIBC}'}"


def zig_cpu(processor: Processor) -> str:
    """The core and its features as zig spells them: "cortex_m7-fp64"."""
    features = (f[0] + f[1:].replace("-", "_").replace(".", "_") for f in processor.features)
    return f"{processor.zig_cpu}{''.join(features)}"


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else "")


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """zig's caches: C libraries and start-up files stay, the objects of this call do not.

    A lasting object cache would also be wrong: zig does not see the files that `.incbin` reads.
    """
    lasting = writable(cache_dir())
    with tempfile.TemporaryDirectory(prefix="edgetvm-zig-") as scratch:
        yield {name: value for name, value in os.environ.items() if not name.startswith(_MEDDLING)} | {
            "ZIG_GLOBAL_CACHE_DIR": str(lasting / f"zig-{_installation()}") if lasting else f"{scratch}/global",
            "ZIG_LOCAL_CACHE_DIR": f"{scratch}/local",
        }


@cache
def _installation() -> str:
    """Tells one installation of zig from another: two that share a cache build its C libraries again and again."""
    return hashlib.sha256(str(zig_dir()).encode()).hexdigest()[:8]


@cache
def writable(folder: Path | None) -> Path | None:
    """``folder``, made if need be; None where it cannot be written (a read-only home, a full disk)."""
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
        return folder
    except OSError:
        return None
