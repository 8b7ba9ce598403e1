"""The models that compare_peers.py measures, in the form that each engine takes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from quantization_table import CASES, load

import edgetvm
from edgetvm.oracle.dataset import Dataset, Sample

ROOT = Path(__file__).resolve().parents[1]
ASSETS = Path(os.environ.get("EDGETVM_ASSETS", ROOT.parent / "shared" / "assets"))
CACHE = ROOT / "build" / "peers"
MODELS = (
    "ad01",
    "ic01",
    "kws01",
    "vww01",
    "mobilenet_v1_025",
    "mobilenet_v2",
    "squeezenet1_1",
    "resnet20_cifar10",
    "minilm_l6",
)
TARGET = "host"
_QUANTIZER = ("passes/quantize", "passes/integer", "importers")  # what decides the bytes of a quantized model
_CALIBRATION_SAMPLES = 200


class Unavailable(Exception):
    """Why an engine cannot be measured on a model, in one line."""


def float_model(model: str) -> Path:
    """The model as it was trained."""
    path = ASSETS / model / "model.onnx"
    if not path.is_file():
        raise Unavailable(f"{path} does not exist")
    return path


def published(model: str) -> Path:
    """The int8 model of its authors."""
    path = ASSETS / model / "reference_int8.tflite"
    if not path.is_file():
        raise Unavailable("no int8 .tflite was published")
    return path


def load_inputs(model: str) -> Sample:
    """The first calibration sample."""
    with tempfile.TemporaryDirectory() as folder:
        sample = load(ASSETS, model, "calibration", Path(folder)).fetch(0)
    return {name: np.ascontiguousarray(array) for name, array in sample.items()}


def prepare(
    model: str, engines: Sequence[str], folder: Path, quantized: Path | None, target: str = TARGET
) -> tuple[dict[str, Path], dict[str, str]]:
    """The file or package of each engine, and why there is none."""
    makers: dict[str, Callable[[], Path]] = {
        "ours": lambda: package(float_model(model), folder / model / "float", target),
        "ours-int8": lambda: package(our_int8(model, quantized), folder / model / "int8", target),
        "ours-tflite": lambda: package(published(model), folder / model / "tflite", target),
        "onnxruntime": lambda: float_model(model),
        "onnxruntime-int8": lambda: their_int8(model),
        "openvino": lambda: float_model(model),
        "litert": lambda: published(model),
    }
    files, missing = {}, {}
    for engine in engines:
        print(f"{model}: preparing {engine}", file=sys.stderr, flush=True)
        try:
            files[engine] = makers[engine]()
        except Unavailable as error:
            missing[engine] = str(error)
        except edgetvm.EdgeTVMError as error:
            missing[engine] = error.message
    return files, missing


def package(model: Path, folder: Path, target: str) -> Path:
    """A package of a model."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return edgetvm.compile(model, target, folder, name="model").path


def our_int8(model: str, folder: Path | None) -> Path:
    """The model as `edgetvm.quantize` writes it: that in `folder`, or made from the calibration data and kept."""
    if folder is not None:
        path = folder / f"{model}.onnx"
        if not path.is_file():
            raise Unavailable(f"{path} does not exist")
        return path
    sources = [p for part in _QUANTIZER for p in sorted((ROOT / "edgetvm" / part).rglob("*.py"))]
    path = CACHE / f"{model}-ours-{digest([float_model(model), *sources])}.onnx"
    if not path.is_file():
        case = CASES[model]
        with tempfile.TemporaryDirectory() as work:
            rule = Path(work) / "preprocess.toml"
            rule.write_text(case.preprocess)
            data = ASSETS / "images" / "calibration" if case.preprocess else ASSETS / model / "calibration.npz"
            scheme = case.scheme or "int8"
            made = edgetvm.quantize(
                float_model(model),
                Path(work) / "quantized.onnx",
                None if scheme == "int8-dynamic" else data,
                scheme=scheme,
                preprocess=rule if case.preprocess else None,
            )
            keep(made.path, path)
    return path


def their_int8(model: str) -> Path:
    """The model as ONNX Runtime's quantizer makes it from the calibration data, kept."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source = float_model(model)
    path = CACHE / f"{model}-onnxruntime-{onnxruntime.__version__}-{digest([source, Path(__file__)])}.onnx"
    if not path.is_file():
        with tempfile.TemporaryDirectory() as work:
            clean, made = Path(work) / "clean.onnx", Path(work) / "quantized.onnx"
            try:
                quant_pre_process(source, clean, skip_symbolic_shape=True)
                if CASES[model].scheme == "int8-dynamic":
                    quantize_dynamic(clean, made, per_channel=True, weight_type=QuantType.QInt8)
                else:
                    quantize_static(
                        clean,
                        made,
                        Reader(load(ASSETS, model, "calibration", Path(work))),
                        quant_format=QuantFormat.QDQ,
                        per_channel=True,
                        activation_type=QuantType.QUInt8,  # what VNNI multiplies; int8 is as fast or half as fast
                        weight_type=QuantType.QInt8,
                    )
            except Exception as error:  # whatever its quantizer raises, the cell is empty and says why
                raise Unavailable(f"ONNX Runtime's quantizer: {' '.join(str(error).split())[:200]}") from error
            keep(made, path)
    return path


class Reader:
    """Calibration samples as ONNX Runtime's quantizer asks for them."""

    def __init__(self, data: Dataset) -> None:
        self._samples: Iterator[Sample] = iter([data.fetch(i) for i in range(min(len(data), _CALIBRATION_SAMPLES))])

    def get_next(self) -> Sample | None:
        return next(self._samples, None)

    def __iter__(self) -> Iterator[Sample]:
        return self._samples


def digest(files: Sequence[Path]) -> str:
    """Of what the files hold."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:16]


def keep(file: Path, path: Path) -> None:
    """Move a file into the cache in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    shutil.move(file, partial)
    partial.replace(path)
