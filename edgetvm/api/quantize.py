"""A float model becomes a quantized one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgetvm.api.progress import Progress
from edgetvm.errors import DataError, OutputError
from edgetvm.importers.onnx import interface
from edgetvm.importers.read import read_model
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.oracle.pixels import Pixels, read_pixels
from edgetvm.passes.quantize.choose_calibrator import CALIBRATORS
from edgetvm.passes.quantize.options import SCHEMES, QuantizedModel, QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model

__all__ = ["CALIBRATORS", "INPUT_TYPES", "SCHEMES", "move_to", "pixel_input", "quantize", "quantize_to"]

INPUT_TYPES = ("uint8",)

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
    input_type: str | None = None,
    equalize: bool = True,
    tensor_calibrators: Mapping[str, str] | None = None,
    float_nodes: Collection[str] = (),
    int16_nodes: Collection[str] = (),
    int8_weights: Collection[str] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Quantize a float ONNX model after training, and write it to the new ONNX file `output`.

    calibration  an .npz or a folder of images: samples like those the model will see, without labels
    scheme       "int8", "int4" (int8 activations, weights of dense layers and 1x1 convolutions of 4 bits where
                 that costs little), "int8x16" (int16 activations) or "int8-dynamic" (dense layers, ranges found at
                 run time: needs no calibration)
    calibrator   how ranges are chosen: "minmax", "percentile", "entropy", "mse", or "auto": the best for each tensor
    preprocess   how the images of `calibration` become numbers
    window       cut each sample [rows, features] into windows of so many rows
    input_type   "uint8": the model's one input, an image, takes pixels 0..255; `preprocess` says what they stand for
    equalize     balance the ranges of channels across layers first
    tensor_calibrators  calibrators of single activations, by name
    float_nodes  names of nodes left in float
    int16_nodes  names of nodes that get int16 activations
    int8_weights names of nodes that keep int8 weights with "int4"
    seed         of what is chosen at random; the same seed gives the same file

    Raises an EdgeTVMError that names the tensor or node and says what to do; then nothing was written.
    """
    pixels = None if input_type is None else pixel_input(Path(model), input_type, preprocess, shapes or {})
    options = options_of(
        scheme, calibrator, equalize, tensor_calibrators, float_nodes, int16_nodes, int8_weights, pixels, seed
    )
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
        move_to(made.path, output)
    return replace(made, path=output)


def options_of(
    scheme: str,
    calibrator: str,
    equalize: bool,
    tensor_calibrators: Mapping[str, str] | None,
    float_nodes: Collection[str],
    int16_nodes: Collection[str],
    int8_weights: Collection[str],
    pixels: Pixels | None,
    seed: int = 0,
) -> QuantizeOptions:
    """What a user's arguments say, in the form in which equal options are equal."""
    return QuantizeOptions(
        scheme=scheme,
        calibrator=calibrator,
        equalize=equalize,
        float_nodes=frozenset(float_nodes),
        int16_nodes=frozenset(int16_nodes),
        int8_weights=frozenset(int8_weights),
        tensor_calibrators=tuple(sorted((tensor_calibrators or {}).items())),
        seed=seed,
        pixels=pixels,
    )


def move_to(made: Path, output: Path) -> None:
    """A file that is complete becomes what the user asked for."""
    try:
        shutil.move(made, output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error


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
        # An .npz holds the numbers of pixels: what pixels become is said for the package, not for it.
        images = preprocess if options.pixels is None or Path(calibration).is_dir() else None
        data = load_data(Path(calibration), inputs, Path(images) if images else None, None, window)
    return quantize_model(model, output, data, options, progress, shapes)


def pixel_input(
    model: Path, input_type: str, preprocess: str | Path | None, shapes: Mapping[str, Sequence[int]]
) -> Pixels:
    """What the pixels of the model's one input stand for, for `input_type` "uint8"."""
    if input_type not in INPUT_TYPES:
        raise DataError(f"--input-type {input_type}: choose from {', '.join(INPUT_TYPES)}")
    if preprocess is None:
        raise DataError(
            f"--input-type {input_type}: what a pixel stands for is not said",
            "give --preprocess FILE.toml (channels, mean, std, layout)",
        )
    inputs, _ = interface(read_model(model, shapes)[0])
    if len(inputs) != 1:
        raise DataError(
            f"{model.name} has {len(inputs)} inputs: pixels can be given to a model with one", "leave --input-type out"
        )
    return read_pixels(Path(preprocess), inputs[0])
