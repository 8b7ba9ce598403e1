"""Tools outside the project that a test needs: absent, it is skipped, but never on CI."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest


def require_tool(name: str) -> str:
    """The path of program ``name``, on PATH or beside the running Python.

    Skips the test where it is missing; with CI=true it fails, or nobody would notice.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    return unavailable(f"{name} is not installed")


def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a program that ends when the tests do, even where these are killed."""
    die_with_parent = 1  # PR_SET_PDEATHSIG, of linux/prctl.h
    prctl = ctypes.CDLL(None).prctl
    return subprocess.Popen(command, text=True, preexec_fn=lambda: prctl(die_with_parent, signal.SIGKILL), **options)


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or the module at whose top this stands; with CI=true fail instead."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
