"""Runs trials in programs, each by itself whatever the others do, and tells of each as soon as it ends."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from edgetvm.codegen.processes import cores
from edgetvm.errors import DoesNotFitError, TargetError
from edgetvm.target.types import Target
from edgetvm.tune.choose_platform import choose_platform
from edgetvm.tune.link_program import Linker, linker_for
from edgetvm.tune.platform import Platform
from edgetvm.tune.program import write_request
from edgetvm.tune.results import Results
from edgetvm.tune.room import check_room
from edgetvm.tune.types import CRASHED, HUNG, Ran, Tell, Trial

TAKEN = "taken"  # as the harness calls it
_LIMIT_S = 20.0  # without a line in the report


@dataclass(frozen=True)
class ProgramRunner:
    """A runner on one platform, whose kernels have so many threads."""

    platform: Platform
    linker: Linker
    threads: int = 1

    @property
    def unit(self) -> str:
        return self.platform.unit

    def run(self, trials: Sequence[Trial], rounds: int, tell: Tell) -> None:
        """Emulators run side by side, one a core; on this machine one program has a core for itself.

        Raises what `tell` raises, and OutputError where there is no room for files.
        """
        parts = cores() if self.platform.figure else 1
        lock, stopped = Lock(), Event()

        def tell_alone(number: int, ran: Ran) -> None:
            with lock:
                tell(number, ran)

        share = _Share(self, trials, rounds, tell_alone, stopped)
        with ThreadPoolExecutor(parts) as pool:
            try:
                running = [pool.submit(share.run, list(range(part, len(trials), parts))) for part in range(parts)]
                wait(running, return_when=FIRST_EXCEPTION)
            finally:  # an interrupt, too, stops the programs
                stopped.set()
        for each in running:
            each.result()


@dataclass(frozen=True)
class _Share:
    """Runs a part of the trials until all have ended, or `stopped`."""

    runner: ProgramRunner
    trials: Sequence[Trial]
    rounds: int
    tell: Tell
    stopped: Event

    def run(self, left: list[int]) -> None:
        """One program after another of what is `left`: the trial in which a program fails begins the next one, and is
        to blame where that fails at once.
        """
        while left and not self.stopped.is_set():
            first = left[0]
            with tempfile.TemporaryDirectory(prefix="edgetvm-trials-") as work:
                failure = self._run_program(left, Path(work))
                if left and not self.stopped.is_set():
                    check_room(Path(work))
                    if left[0] == first:
                        self.tell(left.pop(0), failure)

    def _run_program(self, left: list[int], work: Path) -> Ran:
        """Run a program of what is `left`, and take from it what ends. Tells how the program failed, if it did."""
        try:
            trials, program = self._link([self.trials[number] for number in left], work)
        except DoesNotFitError as error:
            return Ran(CRASHED, note=error.message)
        platform = self.runner.platform
        timed = platform.figure is None
        rounds = self.rounds if platform.most_rounds is None else min(self.rounds, platform.most_rounds)
        write_request(
            work,
            rounds * timed,
            warm_up=platform.warm_up,
            threads=self.runner.threads,
            bound=timed and not platform.fixed_memory,
            digests=platform.slow_line,
        )
        results = Results(trials, work, platform, platform.figure(program) if platform.figure else None)
        alive: float | None = None

        def going_on() -> bool:
            nonlocal alive
            if alive is None or results.grown():
                alive = time.monotonic()
                for ran in results.ended():
                    self.tell(left.pop(0), ran)
                    taken()
            return not self.stopped.is_set() and time.monotonic() - alive < _LIMIT_S

        with _pace(work) as taken:
            status, said = platform.run(program, work, going_on)
            going_on()
        if status is None:
            return Ran(HUNG, note=f"no end in {_LIMIT_S:g} s")
        return Ran(CRASHED, note=said[-200:] or f"status {status}")

    def _link(self, trials: list[Trial], work: Path) -> tuple[list[Trial], Path]:
        """The first of the trials, as many as the machine has room for, and their program.

        Raises DoesNotFitError where there is none for one.
        """
        while True:
            try:
                return trials, self.runner.linker.link(trials, work)
            except DoesNotFitError:
                if len(trials) == 1:
                    raise
                trials = trials[: len(trials) // 2]


@contextmanager
def _pace(work: Path) -> Iterator[Callable[[], object]]:
    """Gives what lets a program in the folder `work` begin its next trial: the result of the last one was taken."""
    os.mkfifo(work / TAKEN)
    pipe = os.open(work / TAKEN, os.O_RDWR)
    try:
        yield lambda: os.write(pipe, b".")
    finally:
        os.close(pipe)


def program_runner(target: Target, work: Path, board: str | None = None, threads: int = 1) -> ProgramRunner:
    """A runner for a target whose shared objects lie in `work`, on `board` as `choose_platform` has it.

    Raises TargetError where nothing has `threads`.
    """
    platform = choose_platform(target, board)
    if threads > 1 and (platform.figure is not None or platform.fixed_memory):
        raise TargetError(
            f"--threads {threads}: {platform.unit} of {target.name} are those of one thread",
            "tune on a machine that executes its instructions",
        )
    return ProgramRunner(platform, linker_for(target, platform, work), threads)
