"""The host's end of a serial line to a board: it serves the files of a run (`runtime/ports/serial/serial.h`)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Protocol

from edgetvm.deploy.exchange import INPUTS, OUTPUTS, REPORT, REQUEST, TAPS
from edgetvm.errors import RunError, ToolError

HELLO, ANSWER = b"EdgeTVM?\n", b"!"
_LETTERS = b"orwscmx"
_FILES = {False: (REQUEST, INPUTS), True: (OUTPUTS, TAPS, REPORT)}  # by whether the board writes
_FAILED = -1


class Line(Protocol):
    """A serial port that is open. `read` gives fewer bytes, or none, when it had to wait too long."""

    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


def serve(line: Line, folder: Path, may_go_on: Callable[[], bool]) -> tuple[int, str]:
    """Give a board the files of ``folder`` until its program ends: its status, and what it said.

    It may read and write the files of a run alone; what it writes is there at once. Raises RunError when it may not go
    on, which is asked whenever a byte comes, or none has come for as long as the line waits; ToolError for a line that
    breaks.
    """
    return _Server(line, folder, may_go_on).run()


class _Server:
    def __init__(self, line: Line, folder: Path, may_go_on: Callable[[], bool]) -> None:
        self.line, self.folder, self.may_go_on = line, folder, may_go_on
        self.files: list[FileIO] = []
        self.said = ""

    def run(self) -> tuple[int, str]:
        with ExitStack() as opened:
            letter = self._greet()
            while letter != b"x":
                self._answer(letter, opened)
                letter = self._take(1)
            return self._word(), self.said

    def _greet(self) -> bytes:
        """Answer the board's greetings; gives its first request, which ends them."""
        heard = b""
        while HELLO not in heard or heard[-1:] not in _split(_LETTERS):
            heard += self._take(1)
            if heard.endswith(HELLO):
                self.line.write(ANSWER)
        return heard[-1:]

    def _answer(self, letter: bytes, opened: ExitStack) -> None:
        if letter == b"m":
            self.said += self._take(self._word()).decode(errors="replace")
        elif letter == b"o":
            self._reply(self._open(bool(self._word()), self._take(self._word()).decode(errors="replace"), opened))
        elif letter == b"r":
            file, size = self.files[self._word()], self._word()
            data = file.read(size)
            self._reply(0 if len(data) == size else _FAILED)
            self.line.write(data if len(data) == size else b"")
        elif letter == b"w":
            file = self.files[self._word()]
            file.write(self._take(self._word()))
            self._reply(0)
        elif letter == b"s":
            file = self.files[self._word()]
            file.seek(self._word())
            self._reply(0)
        elif letter == b"c":
            self.files[self._word()].close()
            self._reply(0)
        else:
            raise RunError(f"the board asked for {letter!r}, which no request begins with: the line lost bytes")

    def _open(self, writes: bool, name: str, opened: ExitStack) -> int:
        if name not in _FILES[writes]:
            return _FAILED
        self.files.append(opened.enter_context((self.folder / name).open("wb" if writes else "rb", buffering=0)))
        return len(self.files) - 1

    def _reply(self, word: int) -> None:
        self.line.write(b">" + struct.pack("<i", word))

    def _word(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                data += self.line.read(size - len(data))
            except OSError as error:
                raise ToolError(f"the serial line to the board broke: {error}", "is it still plugged in?") from error
            if not self.may_go_on():
                raise RunError("the board did not finish in time", "is it wired, is its program loaded, is it running?")
        return data


def _split(letters: bytes) -> Collection[bytes]:
    return [letters[i : i + 1] for i in range(len(letters))]
