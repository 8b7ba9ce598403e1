"""Our packages against ONNX Runtime, OpenVINO and LiteRT, on this machine, in one run.

    python tools/compare_peers.py [--models ic01,kws01] [--engines ours,onnxruntime] [--threads 1,2] [--rounds 20]
        [--seconds 0.05] [--quantized DIR]

Every engine has a process of its own and they take turns: in each round each runs for `--seconds` after a warm-up,
in an order that moves on. Times are of the inference alone: inputs are in place, and what the call from Python costs
by itself is taken off. A ratio is the median over the rounds of ours divided by theirs in the same round, so that a
busy moment of the machine hits both; the ratio of the minima stands beside it.

| engine | what runs |
| --- | --- |
| ours | a package compiled from the float model |
| ours-int8 | the same, from the model as `edgetvm.quantize` writes it: NAME.onnx in `--quantized`, or made here |
| ours-tflite | the same, from the published int8 .tflite |
| onnxruntime | ONNX Runtime on the float model |
| onnxruntime-int8 | the same, from its own static quantizer: QDQ, per channel, MinMax on the calibration data |
| openvino | OpenVINO on the float model, in float32 |
| litert | LiteRT with XNNPACK on the published int8 .tflite |

Of minilm_l6, which has no activations worth a fixed range, both int8 rows are dynamic quantization.
What is slow to make is kept in build/peers. A cell that could not be measured is told below the tables.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from compare_peers_models import MODELS, Unavailable, load_inputs, prepare

WORKER = Path(__file__).with_name("compare_peers_worker.py")
TIMEOUT_S = 300.0
PAUSE_S = 0.002  # until the threads of the one before stop spinning

FLOAT = ("ours", "onnxruntime", "openvino")
INT8 = ("ours-int8", "ours-tflite", "onnxruntime-int8", "litert")
ENGINES = (*FLOAT, *INT8)
LOADER = {name: name.partition("-")[0] for name in ENGINES}
RATIOS = (
    ("float", FLOAT, (("ours", ("onnxruntime",)), ("ours", ("onnxruntime", "openvino")))),
    ("int8", INT8, (("ours-int8", ("onnxruntime-int8", "litert")), ("ours-tflite", ("onnxruntime-int8", "litert")))),
    ("int8 / float", (), (("ours-int8", ("ours",)), ("ours-tflite", ("ours",)))),
)
# How far the first output may be from ONNX Runtime's in float: a relative error, and a correlation of what was
# quantized. Not a verification, which `edgetvm verify` is: only what computes the same may be compared.
FLOAT_ERROR, INT8_CORRELATION = 1e-3, 0.5


@dataclass(frozen=True)
class Times:
    """Microseconds of one engine: the median and the minimum of each round."""

    medians: tuple[float, ...]
    minima: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.medians)

    @property
    def least(self) -> float:
        """The fastest inference of all."""
        return min(self.minima)


class Worker:
    """One engine with one model in a process of its own."""

    def __init__(self, engine: str, file: Path, threads: int, inputs: Path) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (lives as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), LOADER[engine], str(file), str(threads), str(inputs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.output = np.array(self._answer()["output"])
        except Unavailable:
            self.close()
            raise

    def measure(self, seconds: float) -> tuple[float, float]:
        """Median and minimum in us of what ran in about so many seconds."""
        assert self._process.stdin is not None
        try:
            print(seconds, file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise Unavailable(self._last_words()) from error
        times = self._answer()["ns"]
        return statistics.median(times) / 1e3, min(times) / 1e3

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, list[float]]:
        assert self._process.stdout is not None
        timer = threading.Timer(TIMEOUT_S, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise Unavailable(self._last_words())
        return json.loads(line)  # type: ignore[no-any-return]

    def _last_words(self) -> str:
        status = self._process.wait(timeout=10)
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return lines[-1] if status > 0 and lines else f"its process ended with {status}"


def compare(
    model: str, engines: Sequence[str], files: dict[str, Path], threads: int, rounds: int, seconds: float
) -> tuple[dict[str, Times], dict[str, str]]:
    """Times of one model by engine, and why there are none of the others."""
    workers: dict[str, Worker] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="edgetvm-peers-") as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, **load_inputs(model))
        try:
            for engine in engines:
                if engine in files:
                    try:
                        workers[engine] = Worker(engine, files[engine], threads, inputs)
                    except Unavailable as error:
                        missing[engine] = str(error)
            for engine, reason in unlike(workers).items():
                missing[engine] = reason
                workers.pop(engine).close()
            found = take_turns(workers, missing, rounds, seconds)
        finally:
            for worker in workers.values():
                worker.close()
    return found, missing


def take_turns(workers: dict[str, Worker], missing: dict[str, str], rounds: int, seconds: float) -> dict[str, Times]:
    """Measure all in turn, each round beginning with another."""
    rows: dict[str, list[tuple[float, float]]] = {engine: [] for engine in workers}
    for number in range(rounds):
        names = list(rows)
        turn = number % max(1, len(names))
        for engine in names[turn:] + names[:turn]:
            try:
                rows[engine].append(workers[engine].measure(seconds))
            except Unavailable as error:
                missing[engine] = str(error)
                del rows[engine]
            time.sleep(PAUSE_S)
    return {engine: Times(*zip(*row, strict=True)) for engine, row in rows.items()}


def unlike(workers: dict[str, Worker]) -> dict[str, str]:
    """The engines whose answer is not that of ONNX Runtime in float, where that runs too."""
    if "onnxruntime" not in workers:
        return {}
    expected = workers["onnxruntime"].output
    wrong = {}
    for engine, worker in workers.items():
        if worker.output.shape != expected.shape:
            wrong[engine] = f"its first output has {worker.output.size} elements, not {expected.size}"
        elif engine in FLOAT:
            error = float(np.abs(worker.output - expected).max() / max(float(np.ptp(expected)), 1e-30))
            if not error <= FLOAT_ERROR:
                wrong[engine] = f"its output is wrong: relative error {error:.1e}"
        elif expected.size > 1:
            alike = float(np.corrcoef(worker.output, expected)[0, 1])
            if not alike >= INT8_CORRELATION:
                wrong[engine] = f"its output is not the float model's: correlation {alike:.3f}"
    return wrong


def ratio(times: dict[str, Times], one: str, others: Iterable[str]) -> tuple[float, float] | None:
    """`one` over the fastest of `others`: the median over the rounds, and by minima."""
    found = [times[name] for name in others if name in times]
    if one not in times or not found:
        return None
    best = min(found, key=lambda t: t.median)
    rounds = [a / b for a, b in zip(times[one].medians, best.medians, strict=False)]
    return statistics.median(rounds), times[one].least / min(t.least for t in found)


def print_tables(times: dict[str, dict[str, Times]], threads: int) -> None:
    """The tables of one number of threads."""
    title = "one thread" if threads == 1 else f"{threads} threads"
    for kind, engines, pairs in RATIOS:
        shown = [engine for engine in engines if any(engine in row for row in times.values())]
        used = [
            (one, [o for o in others if any(o in row for row in times.values())])
            for one, others in pairs
            if any(ratio(row, one, others) for row in times.values())
        ]
        if not shown and not used:
            continue
        used = [pair for i, pair in enumerate(used) if pair not in used[:i]]
        heads = [f"{one} / {others[0] if len(others) == 1 else 'best peer'}" for one, others in used]
        print(f"\n### {kind}, {title}: us, median (minimum); ratios of medians (of minima)\n")
        print(f"| model | {' | '.join([*shown, *heads])} |\n|{' --- |' * (1 + len(shown) + len(heads))}")
        for model, row in times.items():
            cells = [f"{amount(row[e].median)} ({amount(row[e].least)})" if e in row else "-" for e in shown]
            cells += [pair_text(ratio(row, one, others)) for one, others in used]
            print(f"| {model} | {' | '.join(cells)} |")
        means = [geometric_means([ratio(row, one, others) for row in times.values()]) for one, others in used]
        print(f"| geometric mean | {' | '.join([''] * len(shown) + means)} |", flush=True)


def amount(us: float) -> str:
    """Three digits."""
    return f"{us:.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def pair_text(pair: tuple[float, float] | None) -> str:
    """A ratio of medians, and of minima."""
    return "-" if pair is None else f"{pair[0]:.2f} ({pair[1]:.2f})"


def geometric_means(pairs: list[tuple[float, float] | None]) -> str:
    """Of both ratios, over the models that have them."""
    found = [pair for pair in pairs if pair is not None]
    if not found:
        return "-"
    means = [math.exp(statistics.fmean(math.log(pair[i]) for pair in found)) for i in (0, 1)]
    return pair_text((means[0], means[1]))


def print_machine() -> None:
    """What this was measured on, and what else it was doing."""
    names = {"edgetvm": "EdgeTVM", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ai-edge-litert": "LiteRT"}
    versions = []
    for package, name in names.items():
        try:
            versions.append(f"{name} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    print(f"{processor()}, {os.cpu_count()} cores, {platform.system()}; {', '.join(versions)}.")


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.05, help="of one turn of one engine")
    parser.add_argument("--quantized", type=Path, help="a folder of NAME.onnx as edgetvm.quantize writes them")
    given = parser.parse_args()
    models, engines = given.models.split(","), given.engines.split(",")
    for name, known in [*((m, MODELS) for m in models), *((e, ENGINES) for e in engines)]:
        if name not in known:
            parser.error(f"{name}: choose from {', '.join(known)}")
    print_machine()
    load = os.getloadavg()[0]
    reasons: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="edgetvm-peers-") as folder:
        prepared = {}
        for model in models:
            prepared[model], missing = prepare(model, engines, Path(folder), given.quantized)
            for engine, reason in missing.items():
                reasons.setdefault(f"{model}, {engine}: {reason}", [])
        for threads in map(int, given.threads.split(",")):
            times = {}
            for model in models:
                print(f"{model}, threads: {threads}", file=sys.stderr, flush=True)
                times[model], missing = compare(model, engines, prepared[model], threads, given.rounds, given.seconds)
                for engine, reason in missing.items():
                    reasons.setdefault(f"{model}, {engine}: {reason}", []).append(str(threads))
            print_tables(times, threads)
    print(f"\n{given.rounds} rounds; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after.")
    if reasons:
        print("\nNot measured:\n")
        for reason, threads_of in reasons.items():
            print(f"- {reason}" + (f" (threads: {', '.join(threads_of)})" if threads_of else ""))


if __name__ == "__main__":
    main()
