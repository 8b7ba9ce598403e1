"""What tuning gains on this machine: packages with and without records, timed in turn.

    python tools/compare_tuned.py --records FILE [--models ic01,vww01] [--kinds float,int8] [--threads 1] [--starts 9]
        [--rounds 7] [--seconds 0.05] [--quantized DIR]

Both packages of a model have a process of their own and take turns, as the engines of compare_peers.py do. They are
started anew `--starts` times: where memory comes to lie makes two equal packages differ by some thousandths. A start
gives one ratio, the median over its rounds of tuned / untuned; in the table are the median of all starts and its 95 %
interval. A model is slower or faster where 1 is outside of it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from compare_peers import Times, Worker, amount, print_machine, ratio, take_turns
from compare_peers_models import TARGET, Unavailable, float_model, load_inputs, our_int8

import edgetvm
from edgetvm.tune.judge import cost_of
from edgetvm.tune.types import Cost

MODELS = "ic01,vww01,mobilenet_v1_025,squeezenet1_1"
KINDS = "float,int8"
UNTUNED, TUNED = "untuned", "tuned"


@dataclass(frozen=True)
class Turns:
    """How often and how long both run."""

    threads: int
    starts: int
    rounds: int
    seconds: float


def packages(model: Path, records: Path, folder: Path, threads: int) -> dict[str, Path]:
    """The package of a model without records and with them."""
    untuned = edgetvm.compile(model, TARGET, folder / UNTUNED, name="model", use_records=False)
    tuned = edgetvm.compile(model, TARGET, folder / TUNED, name="model", records=records, threads=threads)
    return {UNTUNED: untuned.path, TUNED: tuned.path}


def compare(files: dict[str, Path], inputs: Path, turns: Turns) -> tuple[dict[str, float], Cost]:
    """Microseconds of each package, and the ratio with its interval. Raises Unavailable where one does not run."""
    runs: list[dict[str, Times]] = []
    for start in range(turns.starts):
        workers: dict[str, Worker] = {}
        missing: dict[str, str] = {}
        try:
            for name, file in sorted(files.items(), reverse=start % 2 == 1):  # neither is always first
                workers[name] = Worker("ours", file, turns.threads, inputs)
            runs.append(take_turns(workers, missing, turns.rounds, turns.seconds))
        finally:
            for worker in workers.values():
                worker.close()
        for name, reason in missing.items():
            raise Unavailable(f"{name}: {reason}")
    found = [ratio(run, TUNED, [UNTUNED]) for run in runs]
    times = {name: statistics.median(run[name].median for run in runs) for name in files}
    return times, cost_of([pair[0] for pair in found if pair], "tuned / untuned")


def verdict(found: Cost) -> str:
    """Whether tuning made a difference."""
    return "slower" if found.low > 1 else "faster" if found.high < 1 else "equal"


def geometric_mean(ratios: list[Cost]) -> Cost:
    """Of independent ratios, with the interval that theirs give."""
    middle = statistics.fmean(math.log(each.value) for each in ratios)
    spread = math.hypot(*(math.log(each.high / each.low) / 2 for each in ratios)) / len(ratios)
    return Cost(math.exp(middle), math.exp(middle - spread), math.exp(middle + spread), ratios[0].unit)


def print_row(name: str, times: dict[str, float], found: Cost) -> None:
    """One line of the table."""
    cells = [amount(times[kind]) if times else "" for kind in (UNTUNED, TUNED)]
    cells += [f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}", verdict(found)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print one Markdown table; exit with 1 where a model is slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--kinds", default=KINDS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--starts", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=7, help="of a start")
    parser.add_argument("--seconds", type=float, default=0.05, help="of one turn of one package")
    parser.add_argument("--quantized", type=Path, help="a folder of NAME.onnx as edgetvm.quantize writes them")
    given = parser.parse_args()
    turns = Turns(given.threads, given.starts, given.rounds, given.seconds)
    print_machine()
    print(f"\nThreads: {given.threads}; {given.starts} starts of {given.rounds} rounds.\n")
    print(f"| model | untuned us | tuned us | tuned / untuned | 95 % interval | |\n|{' --- |' * 6}")
    ratios = []
    for model in given.models.split(","):
        for kind in given.kinds.split(","):
            with tempfile.TemporaryDirectory(prefix="edgetvm-tuned-") as name:
                folder = Path(name)
                np.savez(inputs := folder / "inputs.npz", **load_inputs(model))
                try:
                    source = our_int8(model, given.quantized) if kind == "int8" else float_model(model)
                    times, found = compare(packages(source, given.records, folder, given.threads), inputs, turns)
                except Unavailable as error:
                    print(f"{model} {kind}: {error}", file=sys.stderr, flush=True)
                    continue
            print_row(f"{model} {kind}", times, found)
            ratios.append(found)
    if not ratios:
        sys.exit(1)
    print_row("geometric mean", {}, geometric_mean(ratios))
    if any(verdict(each) == "slower" for each in ratios):
        sys.exit(1)


if __name__ == "__main__":
    main()
