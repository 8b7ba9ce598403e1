"""Work on many items shared among copies of this process.

TVM cannot generate code in several threads, since LLVM's options are global to a process, and takes longer to load a
function that another process has written than to compile it. A copy of this process has all functions already.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from edgetvm import errors
from edgetvm.errors import EdgeTVMError, ToolError

_INDEX_BYTES = 4


def share_out(count: int, work: Callable[[int], None], processes: int | None = None) -> None:
    """Call `work` once with each number below `count`, in `processes` at a time, by default one a core.

    What `work` changes in memory is lost: its results are files. Raises the EdgeTVMError of the least number for which
    there was one, and ToolError when a process was killed, or could not write: LLVM ends the one in which it cannot.
    """
    wanted = min(cores() if processes is None else processes, count)
    with tempfile.TemporaryDirectory(prefix="edgetvm-") as name:
        folder, parent = Path(name), os.getpid()
        (folder / "numbers").write_bytes(b"".join(i.to_bytes(_INDEX_BYTES) for i in range(count)))
        with (folder / "numbers").open("rb", buffering=0) as numbers:
            children: list[int] = []

            def share() -> None:
                _work(numbers.fileno(), work, folder, parent)

            if wanted < 2:
                share()
            try:
                children += [_copy(share) for _ in range(wanted if wanted > 1 else 0)]
                while children:
                    _check(os.waitpid(children[0], 0)[1], children.pop(0))
            finally:
                for child in children:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
        failed = sorted(folder.glob("*.error"), key=lambda path: int(path.stem))
        if failed:
            kind, message, hint = json.loads(failed[0].read_text(encoding="utf-8"))
            raise getattr(errors, kind)(message, hint)


def cores() -> int:
    """Processors that this process may use; 1 where it cannot be copied safely."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _numbers(file: int) -> Iterator[int]:
    """What is left in a file: copies of a process share the place up to which it was read."""
    while number := os.read(file, _INDEX_BYTES):
        yield int.from_bytes(number)


def _work(numbers: int, work: Callable[[int], None], folder: Path, parent: int) -> None:
    for number in _numbers(numbers):
        try:
            work(number)
        except EdgeTVMError as error:
            told = [type(error).__name__, error.message, error.hint]
            (folder / f"{number}.error").write_text(json.dumps(told), encoding="utf-8")
        if parent not in (os.getpid(), os.getppid()):  # nobody waits for the rest
            return


def _copy(work: Callable[[], None]) -> int:
    """Fork; the child does `work` and ends. Gives its number.

    Safe beside idle threads of numpy and ONNX Runtime: the child calls neither.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any thread
        child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        _end_at_once_on_exit()
        work()
        os._exit(0)
    except OSError:  # no room to tell of an error: the status does
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _end_at_once_on_exit() -> None:
    """LLVM ends a process in which it cannot write: clean-up waits for threads that a copy does not have."""
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):
        library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)


def _check(status: int, child: int) -> None:
    if status:
        code = os.waitstatus_to_exitcode(status)
        cause = f"signal {-code}" if code < 0 else f"status {code}"
        raise ToolError(f"process {child}, which compiled kernels, ended with {cause}", "was memory or the disk full?")
