"""What a strict compiler says of a package of C sources."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import edgetvm

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2")


def check_strict(package: edgetvm.Package, compiler: Sequence[str], folder: Path, *more: Path) -> None:
    """Every source of the package, and `more`, compiles without a warning; objects go to `folder`."""
    for source in (*sorted((package.path / "src").glob("*.c")), *more):
        command = [*compiler, *STRICT, f"-I{package.path / 'include'}", "-c", str(source), "-o", str(folder / "x.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
