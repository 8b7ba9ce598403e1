"""The files of a package, written beside their destination and moved there when complete."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgetvm.errors import OutputError


@contextmanager
def staged_folder(output: Path) -> Iterator[Path]:
    """A new folder that becomes `output` when the block ends without an error, and is gone otherwise.

    Raises OutputError when `output` is not empty, not a folder, not writable or the disk is full.
    """
    check_output(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise _cannot_write(output, error) from error
    try:
        try:
            yield stage
            stage.chmod(0o755)
            if output.is_dir():
                output.rmdir()
            stage.rename(output)
        except OSError as error:
            raise _cannot_write(output, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_output(output: Path) -> None:
    """Raise OutputError when a package cannot be put at `output`: before any work is done."""
    if output.exists() and not output.is_dir():
        raise OutputError(f"output folder {output} is a file", "give -o the name of a new folder")
    if output.is_dir() and any(output.iterdir()):
        raise OutputError(f"output folder {output} is not empty", "remove it, or give -o the name of a new folder")
    home = next(parent for parent in (output.absolute(), *output.absolute().parents) if parent.exists())
    if not os.access(home, os.W_OK | os.X_OK) or (output.is_dir() and not os.access(output.absolute().parent, os.W_OK)):
        raise OutputError(f"output folder {output} cannot be written: no permission for {home}")


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write `files`, keyed by path below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def copy_files(sources: Sequence[Path], folder: Path) -> None:
    """Copy files into `folder`, contents only."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, folder / source.name)


def to_json(data: Mapping[str, object]) -> str:
    """JSON as every EdgeTVM file has it: indented, keys as given, UTF-8."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _cannot_write(output: Path, error: OSError) -> OutputError:
    return OutputError(f"output folder {output} cannot be written: {error.strerror or error}")
