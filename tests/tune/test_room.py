"""A full disk is told apart from what else may fail."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from edgetvm.errors import OutputError, ToolError
from edgetvm.tune.room import in_room


def test_what_fails_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ToolError, match="crashed"), in_room(tmp_path):
        raise ToolError("the linker crashed")
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    for failure in (ToolError("the linker crashed"), OSError(errno.EIO, "?")):
        message = f"^{tempfile.gettempdir()} has no room .*: No space left on device$"
        with pytest.raises(OutputError, match=message) as told, in_room(tmp_path):
            raise failure
        assert told.value.hint and "TMPDIR" in told.value.hint
    with in_room(tmp_path):
        pass
