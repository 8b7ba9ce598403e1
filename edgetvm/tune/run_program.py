"""Runs trials in a program, each by itself whatever the others do."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from edgetvm.codegen.processes import cores
from edgetvm.deploy.counts import COUNTS, read_segments
from edgetvm.deploy.exchange import OUTPUTS, Report, read_report
from edgetvm.errors import DoesNotFitError
from edgetvm.target.types import Target
from edgetvm.tune.link_program import Linker, linker_for
from edgetvm.tune.platform import Platform, platform_for
from edgetvm.tune.program import memory_bytes, write_request
from edgetvm.tune.types import CRASHED, HUNG, OK, WRONG, Ran, Trial

_LIMIT_S, _LIMIT_S_A_TRIAL = 10.0, 2.0
_PS = 1e6  # in a microsecond


@dataclass(frozen=True)
class ProgramRunner:
    """A runner on one platform."""

    platform: Platform
    linker: Linker

    @property
    def unit(self) -> str:
        return self.platform.unit

    def run(self, trials: Sequence[Trial], rounds: int) -> list[Ran]:
        """Emulators run side by side, one a core; on this machine one program has a core for itself."""
        parts = cores() if self.platform.figure else 1
        shares = [list(range(first, len(trials), parts)) for first in range(min(parts, len(trials)))]
        with ThreadPoolExecutor(parts) as pool:
            results = list(pool.map(lambda share: self._run([trials[n] for n in share], rounds), shares))
        found = dict(zip(chain(*shares), chain(*results), strict=True))
        return [found[n] for n in range(len(trials))]

    def _run(self, trials: list[Trial], rounds: int) -> list[Ran]:
        """The program without the trial that failed, until all others have run to the end."""
        failed: dict[int, Ran] = {}
        left = list(range(len(trials)))
        while left:
            with tempfile.TemporaryDirectory(prefix="edgetvm-trials-") as name:
                result = self._run_together([trials[n] for n in left], rounds, Path(name))
            if isinstance(result, list):
                return [failed.pop(n) if n in failed else result.pop(0) for n in range(len(trials))]
            place, ran = result
            failed[left.pop(place)] = ran
        return [failed[n] for n in range(len(trials))]

    def _run_together(self, trials: list[Trial], rounds: int, work: Path) -> list[Ran] | tuple[int, Ran]:
        """What each gave, or which one failed, and how."""
        try:
            program = self.linker.link(trials, work)
        except DoesNotFitError as error:
            most = max(range(len(trials)), key=lambda n: memory_bytes(trials[n : n + 1]))
            return most, Ran(CRASHED, note=error.message)
        timed = self.platform.figure is None
        write_request(work, rounds * timed, bound=timed, digests=False)
        limit = _LIMIT_S + _LIMIT_S_A_TRIAL * len(trials)
        status, said = self.platform.run(program, work, limit)
        report, output = read_report(work), work / OUTPUTS
        written = output.read_bytes() if output.is_file() else b""
        if status != 0:
            return _last(trials, len(written), report), Ran(HUNG if status is None else CRASHED, note=said[-200:])
        return self._read(trials, written, report, program, work)

    def _read(self, trials: list[Trial], written: bytes, report: Report, program: Path, work: Path) -> list[Ran]:
        samples: list[tuple[float, ...]]
        if self.platform.figure is None:
            times = [value / _PS for value in report.values.get("trial_ps", ())]
            samples = [tuple(times[n :: len(trials)]) for n in range(len(trials))]
        else:
            figure = self.platform.figure(program)
            own, *segments = read_segments(work / COUNTS)
            samples = [(figure(segment) - figure(own),) for segment in segments]
        found, at = [], 0
        for trial, sample, right in zip(trials, samples, report.values["trial_ok"], strict=True):
            size = sum(trial.outputs)
            output, at = written[at : at + size], at + size
            found.append(Ran(OK, output, sample) if right else Ran(WRONG, note="it failed or wrote beside its output"))
        return found


def program_runner(target: Target, work: Path) -> ProgramRunner:
    """A runner for a target whose shared objects lie in `work`."""
    platform = platform_for(target)
    return ProgramRunner(platform, linker_for(target, platform, work))


def _last(trials: Sequence[Trial], written: int, report: Report) -> int:
    """The trial in which a program ended that wrote so many bytes of outputs and reported so many times."""
    for number, trial in enumerate(trials):
        written -= sum(trial.outputs)
        if written < 0:
            return number
    return len(report.values.get("trial_ps", ())) % len(trials)
