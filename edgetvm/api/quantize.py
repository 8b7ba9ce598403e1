"""A float model becomes a quantized one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetvm.api.progress import Progress
from edgetvm.errors import DataError, OutputError
from edgetvm.importers.onnx import interface
from edgetvm.importers.read import read_model
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.choose_calibrator import CALIBRATORS
from edgetvm.passes.quantize.options import SCHEMES, QuantizedModel, QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model

__all__ = ["CALIBRATORS", "SCHEMES", "quantize", "quantize_to"]

NO_DATA = Dataset("no data", 0, lambda _: {})


def quantize(
    model: str | Path,
    output: str | Path,
    calibration: str | Path | None = None,
    *,
    scheme: str = "int8",
    calibrator: str = "auto",
    preprocess: str | Path | None = None,
    window: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Quantize a float ONNX model after training, and write it to the new ONNX file `output`.

    calibration  an .npz or a folder of images: samples like those the model will see, without labels
    scheme       "int8", "int8x16" (int16 activations) or "int8-dynamic" (dense layers, ranges found at run time:
                 needs no calibration)
    calibrator   how ranges are chosen: "minmax", "percentile", "entropy", "mse", or "auto": the best for each tensor
    preprocess   how the images of `calibration` become numbers
    window       cut each sample [rows, features] into windows of so many rows
    seed         of what is chosen at random; the same seed gives the same file

    Raises an EdgeTVMError that names the tensor or node and says what to do; then nothing was written.
    """
    options = QuantizeOptions(scheme=scheme, calibrator=calibrator, seed=seed)
    output = Path(output)
    if output.exists():
        raise OutputError(f"{output} exists already", "give the name of a new file")
    with tempfile.TemporaryDirectory(prefix="edgetvm-") as work:
        made = quantize_to(
            Path(model),
            Path(work) / "quantized.onnx",
            calibration,
            options,
            preprocess=preprocess,
            window=window,
            shapes=shapes or {},
            progress=progress,
        )
        try:
            shutil.move(made.path, output)
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error
    return QuantizedModel(output, made.tensors, made.notes)


def quantize_to(
    model: Path,
    output: Path,
    calibration: str | Path | None,
    options: QuantizeOptions,
    *,
    preprocess: str | Path | None,
    window: int | None,
    shapes: Mapping[str, Sequence[int]],
    progress: Progress | None,
) -> QuantizedModel:
    """The same with all options, over whatever lies at `output`."""
    if calibration is None and options.scheme != "int8-dynamic":
        raise DataError(f"quantizing to {options.scheme} needs samples", "give --calibration DATA")
    data = NO_DATA
    if calibration is not None:
        inputs, _ = interface(read_model(model, shapes)[0])
        data = load_data(Path(calibration), inputs, Path(preprocess) if preprocess else None, None, window)
    return quantize_model(model, output, data, options, progress, shapes)
