"""Candidates -> records: built, run, compared with the reference, and priced."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetvm.tune.build import Builder
from edgetvm.tune.judge import judge, random_inputs, reference_outputs
from edgetvm.tune.records import Place, Record
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
        return "bytes" if self.by_size else self.runner.unit

    def data(self, task: TuningTask) -> tuple[dict[int, NDArray[np.generic]], Arrays]:
        """The inputs of a task and the outputs that they must give, the same for all its candidates.

        Raises UnreadableError for a task whose outputs nobody knows.
        """
        if task.key not in self.known:
            inputs = random_inputs(task)
            self.known[task.key] = inputs, reference_outputs(task, inputs)
        return self.known[task.key]

    def measure(self, candidates: Sequence[Candidate], rounds: int) -> list[Record]:
        """One record a candidate."""
        data = [self.data(candidate.task) for candidate in candidates]
        with tempfile.TemporaryDirectory(prefix="edgetvm-tune-") as work:
            built = self.builder.build(candidates, [inputs for inputs, _ in data], Path(work))
            trials = [trial for trial in built if isinstance(trial, Trial)]
            ran = iter(self.runner.run(trials, rounds))
            return [
                self._record(candidate, trial, None if isinstance(trial, str) else next(ran), wanted)
                for candidate, trial, (_, wanted) in zip(candidates, built, data, strict=True)
            ]

    def _record(self, candidate: Candidate, trial: Trial | str, ran: Ran | None, wanted: Arrays) -> Record:
        code_bytes = 0
        if isinstance(trial, str) or ran is None:
            outcome = Outcome(CRASHED, note=f"not built: {trial}")
        else:
            code_bytes, outcome = trial.code_bytes, judge(ran, wanted, self.runner.unit)
        if self.by_size and outcome.status == OK:
            outcome = Outcome(OK, Cost(code_bytes, code_bytes, code_bytes, self.unit))
        task = candidate.task
        return Record(task.key, self.place, task.rule, candidate.decision, outcome, code_bytes, int(time.time()))
