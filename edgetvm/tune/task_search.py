"""The search for the best decision about one task.

First the rule's own choice and what was best on another core, then tiles in the order of predicted cost. Then
neighbours of the best decisions so far, as a model ranks them that learns from what was measured; a space that small
is gone through to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.types import Decision
from edgetvm.tune.cost_model import predict
from edgetvm.tune.records import Record
from edgetvm.tune.space import Space
from edgetvm.tune.types import OK, Candidate

_FIRST = 6  # tiles that are tried before a model says anything
_PARENTS = 4  # decisions whose neighbours are looked at
_SURPRISES = 5  # one candidate in so many is taken at random
_GAIN = 0.995  # what counts as one
_PATIENCE = 24  # trials without a gain


@dataclass
class TaskSearch:
    """Proposes candidates, and is told what became of them; `seed` decides about what is left to chance.

    `hints` are decisions that were measured on other cores, with their cost as a multiple of the rule's own choice
    there: the best is tried at once, and the model learns from them before there is anything else.
    """

    space: Space
    seed: int
    hints: Sequence[tuple[Decision, float]] = ()
    tried: set[str] = field(default_factory=set)
    costs: list[tuple[Decision, float]] = field(default_factory=list)  # of those that were right
    decisions: list[Decision] = field(default_factory=list)  # that were measured, right or not
    since_gain: int = 0

    def __post_init__(self) -> None:
        """Order the hints, the best first: what was measured elsewhere ended in any order."""
        self.hints = sorted(self.hints, key=lambda pair: (pair[1], decision_text(pair[0])))

    @property
    def base(self) -> float | None:
        """What the rule's own choice costs; None as long as it is not measured."""
        return next((cost for decision, cost in self.costs if not decision), None)

    @property
    def best(self) -> tuple[Decision, float] | None:
        """The decision of least cost, the first of equal ones."""
        return min(self.costs, key=lambda pair: pair[1], default=None)

    def leaders(self, count: int) -> list[Decision]:
        """So many decisions, those of least cost first."""
        return [decision for decision, _ in sorted(self.costs, key=lambda pair: pair[1])[:count]]

    @property
    def done(self) -> bool:
        """Whether nothing is left to try, or long nothing has helped."""
        return self.since_gain >= _PATIENCE or not self._fresh()

    @property
    def hinted(self) -> list[Decision]:
        """The best decision of another core, as long as it is not tried, if it was better than the rule's own there."""
        best = [decision for decision, ratio in self.hints[:1] if ratio < 1]
        return [decision for decision in best if decision_text(decision) not in self._skipped]

    def tell(self, records: Iterable[Record]) -> None:
        """Take note of what was measured, in order."""
        for record in records:
            best, cost = self.best, record.outcome.cost
            self.tried.add(decision_text(record.decision))
            self.decisions.append(record.decision)
            self.since_gain += 1
            if record.outcome.status == OK and cost is not None:
                self.costs.append((record.decision, cost.value))
                if best is None or cost.value < best[1] * _GAIN:
                    self.since_gain = 0

    def propose(self, count: int) -> list[Candidate]:
        """At most so many candidates that were not tried; none when all were."""
        pool = self._pool()
        rng = np.random.default_rng([self.seed, int(self.space.task.key, 16), len(self.tried)])
        chosen: list[Decision] = []
        written = {self.space.written(decision) for decision in self.decisions}
        while pool and len(chosen) < count:
            surprise = len(self.tried) >= _FIRST and rng.integers(_SURPRISES) == 0
            decision = pool.pop(int(rng.integers(len(pool))) if surprise else 0)
            loops = self.space.written(decision)
            if loops in written:  # as another one that was or will be measured
                self.tried.add(decision_text(decision))
            else:
                written.add(loops)
                chosen.append(decision)
        return [Candidate(self.space.task, decision) for decision in chosen]

    def _pool(self) -> list[Decision]:
        """What could be tried, the most promising first."""
        hinted = self.hinted
        if not self.tried:
            return [{}, *hinted]
        fresh = self._fresh()
        few = len(self.costs) + len(self.hints) < _FIRST
        ranked = sorted(fresh, key=self.space.predicted) if few else self._ranked(fresh)
        return sorted(ranked, key=lambda decision: decision not in hinted)

    def _fresh(self) -> list[Decision]:
        """What could be tried, in no order that means anything."""
        if not self.tried:
            return [{}]
        space = self.space
        own, skipped = space.tiles({}), self._skipped
        elsewhere = [decision for decision, _ in self.hints[:_PARENTS]]
        near = [*elsewhere, *(other for parent in self.leaders(_PARENTS) for other in space.neighbours(parent))]
        pool = {decision_text(decision): decision for decision in [*own, *near] if decision}
        return [decision for text, decision in pool.items() if text not in skipped]

    @property
    def _skipped(self) -> set[str]:
        """What is not tried any more. The rule's own choice is one of its tiles: it is not measured twice."""
        return self.tried | {decision_text(tile) for tile in self.space.tiles({})[:1]}

    def _ranked(self, decisions: Sequence[Decision]) -> list[Decision]:
        if not decisions:
            return []
        space, base = self.space, self.costs[0][1] if self.costs else 1.0
        known = [*self.hints, *((decision, cost / base) for decision, cost in self.costs)]
        seen = np.asarray([space.features(decision) for decision, _ in known], float)
        off = [np.log(ratio / space.predicted(decision)) for decision, ratio in known]
        features = np.asarray([space.features(decision) for decision in decisions], float)
        guesses = predict(seen, np.asarray(off), features) + np.log(features[:, 0])
        return [decisions[n] for n in np.argsort(guesses, kind="stable")]
