"""Whether files can be written: what fails for want of room says nothing of a candidate."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetvm.errors import OutputError, ToolError

_BYTES = 4 << 20  # more than the files of a candidate take


def check_room(folder: Path) -> None:
    """Raises OutputError where a folder has no room for a file of some megabytes."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_BYTES))
            file.flush()
    except OSError as error:
        hint = "make room there, or name another folder in TMPDIR"
        message = f"{tempfile.gettempdir()} has no room for temporary files: {error.strerror}"
        raise OutputError(message, hint) from error


@contextmanager
def in_room(folder: Path) -> Iterator[None]:
    """What fails inside, because a folder is full, fails with OutputError that says so."""
    try:
        yield
    except (OSError, ToolError):
        check_room(folder)
        raise
