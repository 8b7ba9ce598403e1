"""How soon does the search of `edgetvm tune` find what is best? Measure a whole space once, then search in the table.

    python tools/search_quality.py [--targets cortex-a53,cortex-m4] [--layers int8_conv,int8_pointwise,int8_depthwise]
                                   [--optimize balanced]

The space of a layer: the tiles of its rule, with no number of the recipe or one of them changed. One row a layer and
target: the points, the first guess against the best, and the best that was found after a quarter of the points.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from enumerate_tiles import LAYERS, Layer, function_of

from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import alternatives, machine_for, recipe_files
from edgetvm.schedule.types import Decision
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from edgetvm.tune.build import Builder
from edgetvm.tune.measure import Measurer
from edgetvm.tune.records import Record, place_of
from edgetvm.tune.run_program import program_runner
from edgetvm.tune.space import Space
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import Candidate, TuningTask

BATCH = 32
SHARE = 0.25


def points_of(space: Space) -> list[Decision]:
    """The rule's own choice, its tiles, and both with each number of the recipe changed alone; equal loops once."""
    numbers: list[dict[str, int]] = [{}]
    numbers += [{name: value} for name, values in space.moves.items() for value in values[1:]]
    found: dict[int, Decision] = {}
    for each in numbers:
        for decision in [each, *space.tiles(each)[1:]]:
            found.setdefault(space.written(decision), decision)
    return list(found.values())


def measure_space(layer: Layer, target_name: str, optimize: str) -> tuple[Space, dict[int, Record]]:
    """The space of a layer, and by the loops that are written a record of each of its points."""
    target = load_target(target_name)
    machine = machine_for(target, "library", optimize)
    func, constants = function_of(layer)
    task = TuningTask(kernel_key(func), "layer", func, constants, "", 1)
    space = Space(task, machine, alternatives(recipe_files(target, "library")))
    candidates = [Candidate(task, decision) for decision in points_of(space)]
    with tempfile.TemporaryDirectory(prefix="edgetvm-quality-") as work:
        place = place_of(target.processor.name, machine, optimize)
        measurer = Measurer(Builder(machine, tvm_target(target)), program_runner(target, Path(work)), place)
        records: list[Record] = []
        for first in range(0, len(candidates), BATCH):
            measurer.measure(candidates[first : first + BATCH], 0, records.append, {})
    return space, {space.written(record.decision): record for record in records}


def search_in(space: Space, table: dict[int, Record], seed: int = 0) -> list[float]:
    """The least cost so far after each trial of a search that may try what is in the table."""
    search = TaskSearch(space, seed)
    best: list[float] = []
    while len(best) < len(table) and (proposed := search.propose(4)):
        for candidate in proposed:
            record = table.get(space.written(candidate.decision))
            if record is None:
                search.tried.add(decision_text(candidate.decision))
                continue
            search.tell([replace(record, decision=candidate.decision)])
            cost = search.best
            best.append(cost[1] if cost else float("inf"))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", default="cortex-a53,cortex-m4")
    parser.add_argument("--layers", default="int8_conv,int8_pointwise,int8_depthwise")
    parser.add_argument("--optimize", default="balanced")
    arguments = parser.parse_args()
    print("| layer | target | points | first guess / best | after a quarter / best | best after |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.layers.split(","):
        for target in arguments.targets.split(","):
            space, table = measure_space(LAYERS[name], target, arguments.optimize)
            least = min(r.outcome.cost.value for r in table.values() if r.outcome.cost)
            found = search_in(space, table)
            quarter = found[min(max(int(SHARE * len(table)), 1), len(found)) - 1]
            at = next((n for n, cost in enumerate(found, 1) if cost <= 1.02 * least), None)
            cells = [name, target, len(table), f"{found[0] / least:.3f}", f"{quarter / least:.3f}", at or "-"]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
