"""What a program of trials has written, read while it runs (`runtime/trials/trials.c` is the other end)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edgetvm.deploy.counts import COUNTS, Figure, read_segments
from edgetvm.deploy.exchange import OUTPUTS, REPORT
from edgetvm.errors import ToolError
from edgetvm.tune.platform import Platform
from edgetvm.tune.program import written_bytes
from edgetvm.tune.types import OK, WRONG, Ran, Trial

_TRIAL = re.compile(r"((?:\w+_ps=\d+\n)*)trial_ok=(\d+)\n")
_PS = 1e6  # in a microsecond


@dataclass
class Results:
    """Of a program of `trials` in the folder `work`. `figure` tells what it executes; without, the program is timed."""

    trials: Sequence[Trial]
    work: Path
    platform: Platform
    figure: Figure | None
    told: int = 0
    seen: int = 0  # bytes of the report

    def grown(self) -> bool:
        """Whether the program has reported anything since it was last asked."""
        path, before = self.work / REPORT, self.seen
        self.seen = path.stat().st_size if path.is_file() else 0
        return self.seen != before

    def ended(self) -> Iterator[Ran]:
        """What the trials gave that have ended since it was last asked, in order.

        Raises ToolError for an emulator that does not count, and for a clock that stands still.
        """
        path = self.work / REPORT
        text = path.read_text(errors="replace") if path.is_file() else ""
        for times, right in islice(_TRIAL.findall(text), self.told, None):
            number, self.told = self.told, self.told + 1
            if not int(right):
                yield Ran(WRONG, note="it failed or wrote beside its output")
            elif self.figure is None:
                own, beside = (self._measured(times, of) for of in ("trial", "beside"))
                yield self._right(number, own, beside)
            else:
                yield self._right(number, (self._counted(self.figure, number),))

    def _right(self, number: int, samples: tuple[float, ...], beside: tuple[float, ...] = ()) -> Ran:
        """A trial that went well, with what it wrote."""
        digests = self.platform.slow_line
        sizes = [written_bytes(trial, digests) for trial in self.trials]
        with (self.work / OUTPUTS).open("rb") as file:
            file.seek(sum(sizes[:number]))
            written = file.read(sizes[number])
        if digests and self.trials[number].exact:
            return Ran(OK, samples=samples, beside=beside, digest=int.from_bytes(written, "little"))
        return Ran(OK, written, samples, beside)

    def _counted(self, figure: Figure, number: int) -> float:
        """The figure of a trial, less the markers' own."""
        segments = read_segments(self.work / COUNTS)
        if not segments:
            raise ToolError("the emulator counts no instructions", "its version may know no plugins: update it")
        return figure(segments[number + 1]) - figure(segments[0])

    def _measured(self, lines: str, of: str) -> tuple[float, ...]:
        picoseconds = [int(value) for value in re.findall(rf"^{of}_ps=(\d+)$", lines, re.MULTILINE)]
        if 0 in picoseconds:
            raise ToolError("the clock stands still", "times cannot be measured there")
        return tuple(value / _PS * self.platform.per_us for value in picoseconds)
