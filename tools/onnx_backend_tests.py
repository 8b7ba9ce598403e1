"""Run ONNX's own backend tests through the compiler and count: passed, refused, wrong, crashed.

Each case is a model of one or a few nodes with inputs and the outputs that the ONNX project
expects. A case passes when every output agrees in dtype, shape and value; it is refused when
the compiler says by `EdgeTVMError` why it cannot compile it; a wrong output, any other
exception, a dead or a hanging process are failures.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import onnx

KINDS = ("node", "simple")
OUTCOMES = ("passed", "refused", "wrong", "crashed")

# (model file, shapes for --shape, the inputs of each data set) -> the outputs of each data set
CompileAndRun = Callable[[Path, Mapping[str, Sequence[int]], Sequence[Mapping[str, Any]]], list[list[Any]]]


@dataclass(frozen=True)
class Case:
    """One test of the suite: `sets` holds inputs by name and expected outputs in order."""

    name: str
    kind: str
    operator: str
    model: bytes
    sets: tuple[tuple[dict[str, Any], list[Any]], ...]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    name: str
    operator: str
    outcome: str
    reason: str
    seconds: float


def load_cases(kinds: Sequence[str] = KINDS) -> list[Case]:
    """The suite as the installed onnx has it, in order of name."""
    import onnx.backend.test.loader

    cases = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for kind in kinds:
            cases += [_load(test, kind) for test in onnx.backend.test.loader.load_model_tests(kind=kind)]
    return sorted(cases, key=lambda case: case.name)


def _load(test: Any, kind: str) -> Case:
    model = test.model if test.model is not None else onnx.load(Path(test.model_dir) / "model.onnx")
    sets = test.data_sets if test.data_sets is not None else _read_sets(Path(test.model_dir), model)
    names = [value.name for value in model.graph.input]
    pairs = tuple(
        (dict(zip(names, map(_array, inputs), strict=False)), [_array(output) for output in outputs])
        for inputs, outputs in sets
    )
    operator = _operator(test.name, model)
    return Case(test.name, kind, operator, model.SerializeToString(), pairs, test.rtol, test.atol)


def _operator(name: str, model: onnx.ModelProto) -> str:
    """The operator that a test is about; tests of function bodies bear its name in theirs."""
    node = model.graph.node[0]
    if "_expanded" not in name:
        return f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    known = {s.name.lower(): s.name for s in onnx.defs.get_all_schemas()}
    words = name.removeprefix("test_").split("_expanded")[0].split("_")
    joined = ["".join(words[:count]) for count in range(len(words), 0, -1)]
    found = next((known[word] for word in joined if word in known), None)
    losses = {"sce": "SoftmaxCrossEntropyLoss", "nllloss": "NegativeLogLikelihoodLoss"}
    return losses.get(words[0], found or node.op_type)


def _read_sets(folder: Path, model: onnx.ModelProto) -> list[tuple[list[Any], list[Any]]]:
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        values = [
            [
                _parse(path, value.type)
                for path, value in zip(
                    sorted(data.glob(f"{side}_*.pb"), key=lambda p: int(p.stem.split("_")[1])), declared, strict=False
                )
            ]
            for side, declared in (("input", model.graph.input), ("output", model.graph.output))
        ]
        sets.append((values[0], values[1]))
    return sets


def _parse(path: Path, kind: onnx.TypeProto) -> Any:
    proto = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}
    message = proto.get(kind.WhichOneof("value"), onnx.TensorProto)()
    message.ParseFromString(path.read_bytes())
    return message


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def run_case(case: Case, compile_and_run: CompileAndRun) -> Result:
    """Compile and run one case in this process."""
    from edgetvm.errors import EdgeTVMError

    start = time.monotonic()

    def result(outcome: str, reason: str = "") -> Result:
        return Result(case.name, case.operator, outcome, reason, time.monotonic() - start)

    shapes = _frozen_shapes(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(case.model)
        try:
            found = compile_and_run(path, shapes, [inputs for inputs, _ in case.sets])
        except EdgeTVMError as error:
            return result("refused", error.message.removeprefix("model.onnx: "))
        except Exception as error:
            return result("crashed", f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}")
    for (_, expected), outputs in zip(case.sets, found, strict=True):
        difference = _difference(expected, outputs, case.rtol, case.atol)
        if difference:
            return result("wrong", difference)
    return result("passed")


def _frozen_shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Shapes of those inputs whose declared shape is not static, taken from their data."""
    model = onnx.ModelProto.FromString(case.model)
    shapes = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        static = tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
        array = case.sets[0][0].get(value.name)
        if not static and isinstance(array, np.ndarray) and all(array.shape):
            shapes[value.name] = array.shape
    return shapes


def _difference(expected: Sequence[Any], outputs: Sequence[Any], rtol: float, atol: float) -> str:
    if len(expected) != len(outputs):
        return f"{len(outputs)} outputs, expected {len(expected)}"
    for index, (want, have) in enumerate(zip(expected, outputs, strict=True)):
        if not isinstance(want, np.ndarray):
            return f"output {index} is no tensor"
        if have.shape != want.shape or have.dtype != want.dtype:
            return f"output {index} is {have.dtype}{list(have.shape)}, expected {want.dtype}{list(want.shape)}"
        close = np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True)
        if not close.all():
            where = tuple(int(i) for i in np.argwhere(~close)[0])
            return (
                f"output {index}: {np.sum(~close)} of {close.size} values differ, "
                f"first at {where}: {have[where]}, expected {want[where]}"
            )
    return ""


def run_cases(
    cases: Sequence[Case], compile_and_run: CompileAndRun, jobs: int = 2, limit: float = 60.0
) -> Iterator[Result]:
    """Run every case in a pool of processes; one that dies or exceeds `limit` seconds has crashed."""
    context = multiprocessing.get_context("fork")
    pending = iter(range(len(cases)))
    busy: dict[Connection, tuple[Any, int, float]] = {}
    idle: list[tuple[Connection, Any]] = []

    def start(index: int) -> None:
        if idle:
            connection, process = idle.pop()
        else:
            connection, other = context.Pipe()
            process = context.Process(target=_work, args=(other, cases, compile_and_run), daemon=True)
            process.start()
            other.close()
        connection.send(index)
        busy[connection] = (process, index, time.monotonic())

    for index in itertools.islice(pending, jobs):
        start(index)
    while busy:
        ready = wait(list(busy), timeout=1.0)
        late = [c for c, (_, _, begun) in busy.items() if time.monotonic() - begun > limit and c not in ready]
        for connection in [*ready, *late]:
            process, index, begun = busy.pop(connection)
            case, seconds = cases[index], time.monotonic() - begun
            try:
                if connection in late:
                    raise TimeoutError(f"took more than {limit:g} s")
                yield connection.recv()
                idle.append((connection, process))
            except (EOFError, OSError) as error:
                process.kill()
                process.join()
                reason = str(error) if isinstance(error, TimeoutError) else f"its process ended with {process.exitcode}"
                yield Result(case.name, case.operator, "crashed", reason, seconds)
                connection.close()
            following = next(pending, None)
            if following is not None:
                start(following)
    for connection, process in idle:
        connection.send(None)
        process.join()
        connection.close()


def _work(connection: Connection, cases: Sequence[Case], compile_and_run: CompileAndRun) -> None:
    os.environ["TVM_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    while (index := connection.recv()) is not None:
        connection.send(run_case(cases[index], compile_and_run))


def sample(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """`count` cases, the same ones for the same seed."""
    chosen = random.Random(seed).sample(range(len(cases)), min(count, len(cases)))
    return [cases[index] for index in sorted(chosen)]


def table(results: Sequence[Result]) -> str:
    """A Markdown table by operator, with why cases were refused, and totals."""
    by_operator: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_operator[result.operator].append(result)
    lines = ["| operator | passed | refused | wrong | crashed | refused because |", f"|{' --- |' * 6}"]
    for operator, group in sorted(by_operator.items(), key=lambda item: item[0].lower()):
        counts = Counter(result.outcome for result in group)
        reasons = sorted({_short(r.reason) for r in group if r.outcome == "refused"})
        lines.append(f"| {operator} | {' | '.join(str(counts[o]) for o in OUTCOMES)} | {'; '.join(reasons)} |")
    counts = Counter(result.outcome for result in results)
    lines.append(f"| **total {len(results)}** | {' | '.join(f'**{counts[o]}**' for o in OUTCOMES)} | |")
    return "\n".join(lines)


def _short(reason: str) -> str:
    """A reason without the names of the one case it was given for."""
    return reason.split(" cannot be compiled: ")[-1].split("): ", 1)[-1].replace("|", "/")


def relax_vm(path: Path, shapes: Mapping[str, Sequence[int]], inputs: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Import, compile with stock TVM and run on Relax's virtual machine: tests the importer alone."""
    import tvm
    from tvm import relax

    from edgetvm.importers.read import import_model
    from edgetvm.operators.legalize import LEGALIZE

    model = import_model(path, shapes)
    module = relax.transform.LegalizeOps(LEGALIZE)(model.module)
    machine = relax.VirtualMachine(tvm.compile(module, tvm.target.Target("llvm")), tvm.cpu())
    found = []
    for data in inputs:
        arguments = [tvm.runtime.tensor(np.asarray(data[info.name], order="C")) for info in model.inputs]
        result = machine["main"](*arguments)
        outputs = [result] if isinstance(result, tvm.runtime.Tensor) else list(result)
        found.append([output.numpy() for output in outputs])
    return found


def package(path: Path, shapes: Mapping[str, Sequence[int]], inputs: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Compile for this machine as a user would, and run the package."""
    import edgetvm

    found = []
    with tempfile.TemporaryDirectory() as folder:
        built = edgetvm.compile(path, "host", Path(folder) / "package", shapes=shapes, reference=False)
        names = [entry["name"] for entry in built.manifest["outputs"]]
        for data in inputs:
            arrays = {entry["name"]: np.asarray(data[entry["name"]], order="C") for entry in built.manifest["inputs"]}
            result = built.run(arrays)
            found.append([result[name] for name in names])
    return found


BACKENDS: Mapping[str, CompileAndRun] = {"package": package, "relax-vm": relax_vm}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--sample", type=int, metavar="N", help="run N cases chosen by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS", help="for one case")
    parser.add_argument("--match", metavar="TEXT", help="only cases whose name contains it")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="package")
    parser.add_argument("--list", action="append", choices=OUTCOMES, default=[], help="name the cases of an outcome")
    options = parser.parse_args()
    cases = load_cases(options.kind or KINDS)
    if options.match:
        cases = [case for case in cases if options.match in case.name]
    if options.sample:
        cases = sample(cases, options.sample, options.seed)
    results = list(run_cases(cases, BACKENDS[options.backend], options.jobs, options.limit))
    print(table(sorted(results, key=lambda result: result.name)))
    shown = {"wrong", "crashed", *options.list}
    for result in sorted(results, key=lambda result: (result.outcome, result.name)):
        if result.outcome in shown:
            print(f"{result.outcome}: {result.name}: {result.reason}")
    return 1 if any(result.outcome in ("wrong", "crashed") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
