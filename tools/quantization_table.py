"""Quantize the models of the assets and print what that costs in accuracy.

    python tools/quantization_table.py [--models ic01,kws01] [--scheme int8] [--calibrator auto]
        [--no-equalize] [--bias-correction empirical] [--no-adaround] [--only-calibration] [--simulate]

The quantized models run as packages for the host; with --simulate in ONNX Runtime, in float.
Figures are top-1, of ad01 the AUC. "same class" is the share of evaluation samples whose predicted
class is the float model's. Only calibration data decide anything; evaluation data are for this table.
With --only-calibration the agreement on calibration data is printed instead: what one may tune by.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime

import edgetvm
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run as run_on_target
from edgetvm.importers.onnx import interface, read_graph
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset, Sample
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model
from edgetvm.report.accuracy import auc, mean_squared_error

Array = np.ndarray
Runner = Callable[[Path, Iterable[Sample], str], list[Array]]  # (model, samples, output) -> that output of each

HEADER = ("model", "scheme", "float", "published", "must reach", "quantized", "same class", "SQNR dB", "s", "MiB")
BATCH = 50  # samples that are in memory at a time
TENSORFLOW = 'layout = "NHWC"\nmean = [127.5, 127.5, 127.5]\nstd = [127.5, 127.5, 127.5]\nlabel_offset = 1\n'
CAFFE = 'layout = "NCHW"\nchannels = "BGR"\nmean = [104, 117, 123]\n'


@dataclass(frozen=True)
class Case:
    """One model of the assets: how its data are read, and the figures it is held against."""

    published: float | None
    must_reach: float
    preprocess: str = ""
    window: int | None = None
    output: str = "output"
    scheme: str = ""


CASES = {
    "ic01": Case(0.8770, 0.8795),
    "kws01": Case(0.9036, 0.8969),
    "vww01": Case(0.8467, 0.8467),
    "ad01": Case(0.8587, 0.880, window=5),
    "resnet20_cifar10": Case(None, 0.9127),
    "mobilenet_v1_025": Case(0.542, 0.542, preprocess=TENSORFLOW),
    "squeezenet1_1": Case(None, 0.588, preprocess=CAFFE),
    "mobilenet_v2": Case(0.858, 0.858, preprocess=TENSORFLOW),
    "minilm_l6": Case(None, 0.798, output="sst2_logits", scheme="int8-dynamic"),
}


def run_onnx(model: Path, samples: Iterable[Sample], output: str) -> list[Array]:
    """ONNX Runtime on the model as it stands: of a quantized one, a simulation in float."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return [session.run([output], sample)[0] for sample in samples]


def run_package(model: Path, samples: Iterable[Sample], output: str) -> list[Array]:
    """The package of the quantized model for the host."""
    outputs: list[Array] = []
    with tempfile.TemporaryDirectory() as folder:
        package = edgetvm.compile(model, "host", Path(folder) / "package")
        names = [entry["name"] for entry in package.manifest["inputs"]]
        place = [entry["name"] for entry in package.manifest["outputs"]].index(output)
        pending = iter(samples)
        while part := list(islice(pending, BATCH)):
            arrays = tuple(np.stack([sample[name] for sample in part]) for name in names)
            outputs += list(run_on_target(package.path, RunRequest(arrays)).outputs[place])
    return outputs


def load(assets: Path, name: str, part: str, folder: Path) -> Dataset:
    """The calibration or evaluation data of a model."""
    case = CASES[name]
    inputs, _ = interface(read_graph(assets / name / "model.onnx", {})[0])
    if case.preprocess:
        rule = folder / "preprocess.toml"
        rule.write_text(case.preprocess)
        return load_data(assets / "images" / part, inputs, rule)
    clips = part == "evaluation" and case.window is not None
    return load_data(
        assets / name / f"{part}{'_clips' if clips else ''}.npz", inputs, window=case.window if clips else None
    )


def figure(case: Case, data: Dataset, outputs: list[Array]) -> float:
    """Top-1, or the AUC of reconstruction errors."""
    assert data.labels is not None
    if case.window is None:
        return float(np.mean([o.argmax() for o in outputs] == data.labels))
    errors = [mean_squared_error(next(iter(s.values())), o) for s, o in zip(data, outputs, strict=True)]
    return auc(np.reshape(errors, (data.count, data.windows)).mean(axis=1), data.labels)


def same_class(case: Case, one: list[Array], other: list[Array]) -> str:
    """The share of equal predictions, where there are classes."""
    if case.window is not None:
        return "-"
    return f"{np.mean([a.argmax() == b.argmax() for a, b in zip(one, other, strict=True)]):.1%}"


def row(assets: Path, name: str, options: QuantizeOptions, run: Runner, folder: Path, part: str) -> list[str]:
    """Quantize one model and measure it."""
    case = CASES[name]
    model, quantized = assets / name / "model.onnx", folder / f"{name}.onnx"
    start = time.perf_counter()
    quantize_model(model, quantized, load(assets, name, "calibration", folder), options)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    data = load(assets, name, part, folder)
    before, after = run_onnx(model, data, case.output), run(quantized, data, case.output)
    noise = sum(float(((a - b) ** 2).sum()) for a, b in zip(before, after, strict=True))
    signal = sum(float((a**2).sum()) for a in before)
    scores = [figure(case, data, o) if data.labels is not None else float("nan") for o in (before, after)]
    return [
        name,
        options.scheme,
        f"{scores[0]:.4f}",
        "-" if case.published is None else f"{case.published:.4f}",
        f"{case.must_reach:.4f}",
        f"{scores[1]:.4f}{'' if part != 'evaluation' or scores[1] >= case.must_reach - 5e-5 else ' MISSED'}",
        same_class(case, before, after),
        f"{10 * np.log10(signal / noise):.1f}",
        f"{seconds:.0f}",
        f"{peak}",
    ]


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(CASES))
    parser.add_argument("--scheme")
    parser.add_argument("--calibrator", default="auto")
    parser.add_argument("--bias-correction", default="empirical")
    parser.add_argument("--no-equalize", action="store_true")
    parser.add_argument("--no-adaround", action="store_true")
    parser.add_argument("--only-calibration", action="store_true")
    parser.add_argument("--simulate", action="store_true")
    given = parser.parse_args()
    run = run_onnx if given.simulate else run_package
    assets = Path(os.environ.get("EDGETVM_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    for name in given.models.split(","):
        options = QuantizeOptions(
            scheme=given.scheme or CASES[name].scheme or "int8",
            calibrator=given.calibrator,
            equalize=not given.no_equalize,
            bias_correction=given.bias_correction,
            adaround=not given.no_adaround,
        )
        part = "calibration" if given.only_calibration else "evaluation"
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join(row(assets, name, options, run, Path(folder), part))} |", flush=True)


if __name__ == "__main__":
    main()
