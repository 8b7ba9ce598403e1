"""Work shared among processes: the same results however many there are, errors as without, nothing left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetvm.codegen.processes import share_out
from edgetvm.errors import ToolError, UnsupportedError

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_every_number_is_done_once(count: int, processes: int, tmp_path: Path) -> None:
    share_out(count, lambda number: (tmp_path / str(number)).touch(exist_ok=False), processes)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(count))


@linux
def test_other_processes_take_part(tmp_path: Path) -> None:
    def work(number: int) -> None:
        (tmp_path / str(number)).write_text(str(os.getpid()))
        time.sleep(0.05)

    share_out(20, work, 3)
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3


@linux
@pytest.mark.parametrize("processes", [1, 3])
def test_the_first_error_is_raised_after_all_is_done(processes: int, tmp_path: Path) -> None:
    def work(number: int) -> None:
        if number in (3, 7):
            raise UnsupportedError(f"node '{number}': no code", "a hint")
        (tmp_path / str(number)).touch()

    with pytest.raises(UnsupportedError, match=r"^node '3': no code$") as caught:
        share_out(10, work, processes)
    assert caught.value.hint == "a hint"
    assert len(list(tmp_path.iterdir())) == 8


@linux
def test_a_killed_process_is_an_error_of_one_line() -> None:
    parent = os.getpid()

    def work(_number: int) -> None:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)

    with pytest.raises(ToolError, match=r"ended with signal 9$"):
        share_out(10, work, 2)


@linux
def test_a_process_that_exits_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"ended with status 3$"):
        share_out(10, lambda _: ctypes.CDLL(None).exit(3), 2)


# What runs in the background of a shell without job control ignores SIGINT, and so does all that it starts.
INTERRUPTED = """
import signal
import time
signal.signal(signal.SIGINT, signal.default_int_handler)
from edgetvm.codegen.processes import share_out
print("begun", flush=True)
share_out(1000, lambda number: time.sleep(0.1), 3)
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_process_behind(number: signal.Signals) -> None:
    """The pipe ends when the last process that holds it has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(number)
        _, printed = process.communicate(timeout=10)
    assert printed.count(b"Traceback") == (number == signal.SIGINT)
