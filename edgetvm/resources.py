"""Where the data that travel with the package lie, in a checkout and in a wheel."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """The folder of shipped data called ``name`` ("targets" or "schedules").

    A wheel holds it inside the package; a checkout beside it.
    """
    shipped = _PACKAGE / "_data" / name
    return shipped if shipped.is_dir() else _PACKAGE.parent / name


def targets_dir() -> Path:
    """`processors/*.toml` and `boards/*.toml`: what is true of hardware."""
    return data_dir("targets")


def schedules_dir() -> Path:
    """Recipes and tuning records: what was chosen for that hardware."""
    return data_dir("schedules")


def runtime_dir() -> Path:
    """The C runtime: `include/`, `src/`, `ports/`."""
    return _PACKAGE / "runtime"


def cache_dir() -> Path | None:
    """The user's folder for what can be built again at any time, or None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "edgetvm"
    except RuntimeError:
        return None
