"""Candidates -> records: built, run, compared with the reference, and priced."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetvm.tune.best import SIZE_UNIT
from edgetvm.tune.build import Builder, symbol_of
from edgetvm.tune.judge import judge, random_inputs, reference_outputs
from edgetvm.tune.records import Place, Record
from edgetvm.tune.room import check_room
from edgetvm.tune.types import CRASHED, OK, Candidate, Cost, Outcome, Ran, Runner, Trial, TuningTask

Arrays = list[NDArray[np.generic]]


@dataclass
class Measurer:
    """Measures candidates of one place. With `by_size` their code's bytes are the cost, else what the runner says."""

    builder: Builder
    runner: Runner
    place: Place
    by_size: bool = False
    known: dict[str, tuple[dict[int, NDArray[np.generic]], Arrays]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return SIZE_UNIT if self.by_size else self.runner.unit

    def data(self, task: TuningTask) -> tuple[dict[int, NDArray[np.generic]], Arrays]:
        """The inputs of a task and the outputs that they must give, the same for all its candidates.

        Raises UnreadableError for a task whose outputs nobody knows.
        """
        if task.key not in self.known:
            inputs = random_inputs(task)
            self.known[task.key] = inputs, reference_outputs(task, inputs)
        return self.known[task.key]

    def measure(
        self, candidates: Sequence[Candidate], rounds: int, tell: Callable[[Record], None], bases: Mapping[str, float]
    ) -> None:
        """Make a record of each candidate, and tell it as soon as its trial ends.

        `bases` are what the rules' own choices for kernels took when they were first timed. A candidate is timed in
        turn with that choice, and takes as many times its base: a machine is not the same from minute to minute.
        Raises what `tell` raises, and OutputError where there is no room for files.
        """
        timed = self.unit == "us"
        own = {
            candidate.task.key: Candidate(candidate.task, {})
            for candidate in candidates
            if timed and candidate.task.key in bases
        }
        with tempfile.TemporaryDirectory(prefix="edgetvm-tune-") as work:
            trials = self._build([*own.values(), *candidates], Path(work))
            ready = []
            for candidate in candidates:
                trial = trials[symbol_of(candidate)]
                if isinstance(trial, Trial):
                    beside = trials[symbol_of(own[candidate.task.key])] if candidate.task.key in own else None
                    ready.append((candidate, replace(trial, beside=beside if isinstance(beside, Trial) else None)))
                else:
                    check_room(Path(work))
                    tell(self._record(candidate, Outcome(CRASHED, note=f"not built: {trial}"), 0))

            def ended(number: int, ran: Ran) -> None:
                candidate, trial = ready[number]
                base = bases.get(candidate.task.key, 1.0)
                outcome = judge(ran, self.data(candidate.task)[1], self.runner.unit, base)
                tell(self._record(candidate, outcome, trial.code_bytes))

            self.runner.run([trial for _, trial in ready], rounds, ended)

    def _build(self, candidates: Sequence[Candidate], work: Path) -> dict[str, Trial | str]:
        """By symbol what each became."""
        each = {symbol_of(candidate): candidate for candidate in candidates}
        inputs = [self.data(candidate.task)[0] for candidate in each.values()]
        return dict(zip(each, self.builder.build(list(each.values()), inputs, work), strict=True))

    def _record(self, candidate: Candidate, outcome: Outcome, code_bytes: int) -> Record:
        if self.by_size and outcome.status == OK:
            outcome = Outcome(OK, Cost(code_bytes, code_bytes, code_bytes, self.unit))
        task = candidate.task
        return Record(task.key, self.place, task.rule, candidate.decision, outcome, code_bytes, int(time.time()))
