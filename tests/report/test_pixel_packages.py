"""Packages that take the camera's bytes: run, verified and scored against the float model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import edgetvm
from edgetvm.cli.main import main

RULE = 'resize = [10, 12]\ncrop = [8, 8]\nlayout = "NCHW"\nchannels = "BGR"\n'
MEANS = RULE + "mean = [104, 117, 123]\n"
HALVES = RULE + "mean = 127.5\nstd = 127.5\n"
WHOLE = RULE + "mean = 128\nstd = 64\n"


def write_model(path: Path, pads: int, inputs: int = 1) -> Path:
    """Convolution, mean, 4 classes."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((4, 3, 3, 3)).astype(np.float32), np.zeros(4, np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["a"], pads=[pads] * 4),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["scores"]),
    ]
    images = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "other")]
    scores = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 4])]
    if inputs == 2:
        nodes[0].input[0] = "both"
        nodes.insert(0, helper.make_node("Add", ["image", "other"], ["both"]))
    constants = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")]
    graph = helper.make_graph(nodes, "pictures", images[:inputs], scores, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labelled pictures of many colours."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    rows = ["file,label"]
    for number in range(24):
        colour = rng.integers(0, 256, (1, 1, 3))
        noise = np.clip(colour + rng.integers(-60, 61, (14, 15, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number % 4}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def pixels_of(path: Path) -> np.ndarray:
    """The bytes that a picture gives, spelt out: resized, cut, BGR, [1, 3, 8, 8]."""
    picture = Image.open(path).resize((12, 10), Image.Resampling.BILINEAR).crop((2, 1, 10, 9))
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1].transpose(2, 0, 1)[None])


def compiled(tmp_path: Path, pictures: Path, rule: str, pads: int, **options: object) -> tuple[edgetvm.Package, Path]:
    path = tmp_path / "rule.toml"
    path.write_text(rule)
    package = edgetvm.compile(
        write_model(tmp_path / "model.onnx", pads),
        "host",
        tmp_path / "package",
        quantize="int8",
        calibration=pictures,
        calibrator="minmax",
        preprocess=path,
        input_type="uint8",
        require_integer=True,
        **options,  # type: ignore[arg-type]
    )
    return package, path


@pytest.mark.parametrize(("rule", "pads"), [(MEANS, 1), (MEANS, 0), (HALVES, 1), (WHOLE, 1)])
def test_a_package_of_pixels(tmp_path: Path, pictures: Path, rule: str, pads: int) -> None:
    package, path = compiled(tmp_path, pictures, rule, pads)
    (entry,) = package.manifest["inputs"]
    assert (entry["name"], entry["shape"], entry["dtype"], entry["bytes"]) == ("image", [1, 3, 8, 8], "uint8", 192)
    assert (entry["scale"], entry["zero_point"]) == ((1 / 64, 128) if rule is WHOLE else (None, None))
    assert ("INPUT_0_SCALE" in (package.path / "include" / "model.h").read_text()) == (rule is WHOLE)
    recorded = package.manifest["options"]["pixels"]
    assert (recorded["channels"], recorded["axis"]) == ("BGR", 1)
    assert recorded["mean"] == {MEANS: [104.0, 117.0, 123.0], HALVES: [127.5] * 3, WHOLE: [128.0] * 3}[rule]

    # The package on bytes follows the model on their numbers.
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    mean, std = np.reshape(recorded["mean"], (3, 1, 1)), np.reshape(recorded["std"], (3, 1, 1))
    found, wanted = [], []
    for number in range(24):
        image = pixels_of(pictures / f"{number}.png")
        found.append(package.run({"image": image})["scores"][0])
        wanted.append(session.run(None, {"image": ((image - mean) / std).astype(np.float32)})[0][0])
    assert np.abs(np.array(found) - np.array(wanted)).max() <= 0.02 * np.max(wanted)
    right = np.count_nonzero(np.argmax(found, axis=1) == np.arange(24) % 4)
    report = package.evaluate(pictures, preprocess=path)
    assert (report.value, report.samples) == (pytest.approx(right / 24), 24)

    verified = package.verify(data=pictures, preprocess=path, samples=5)
    assert verified.passed and verified.integer_mismatches == 0 and verified.max_rel_error < 0.02
    random = package.verify(samples=5)  # uniform bytes, of which the model takes the numbers
    assert random.passed and random.max_rel_error < 0.2
    assert package.bench(runs=2).latency_us_median is not None


def test_arrays_hold_pixels_or_their_numbers(tmp_path: Path, pictures: Path) -> None:
    package, path = compiled(tmp_path, pictures, MEANS, 1)
    images = np.concatenate([pixels_of(pictures / f"{number}.png") for number in range(24)])
    numbers = images - np.reshape([104, 117, 123], (3, 1, 1))
    labels = np.arange(24) % 4
    np.savez(tmp_path / "pixels.npz", x=images, y=labels)
    np.savez(tmp_path / "numbers.npz", image=numbers.astype(np.float32), y=labels)
    np.savez(tmp_path / "compact.npz", x=images, offset=-np.reshape([104, 117, 123], (3, 1, 1)), y=labels)
    wanted = package.evaluate(pictures, preprocess=path).value
    for name in ("pixels", "numbers", "compact"):
        assert package.evaluate(tmp_path / f"{name}.npz").value == wanted
        assert package.verify(data=tmp_path / f"{name}.npz", samples=2).max_rel_error < 0.02


def test_another_preprocessing_is_refused(tmp_path: Path, pictures: Path) -> None:
    package, path = compiled(tmp_path, pictures, MEANS, 1)
    path.write_text(HALVES)
    for call in (package.evaluate, package.verify):
        with pytest.raises(edgetvm.EdgeTVMError, match="makes other numbers of pixels") as caught:
            call(data=pictures, preprocess=path)
        assert "mean [104.0, 117.0, 123.0]" in str(caught.value.hint)


def test_integer_outputs_too(tmp_path: Path, pictures: Path) -> None:
    package, path = compiled(tmp_path, pictures, HALVES, 0, integer_io=True)
    assert package.manifest["inputs"][0]["dtype"] == "uint8"
    assert package.manifest["outputs"][0]["dtype"] == "int8"
    assert package.verify(data=pictures, preprocess=path, samples=3).max_rel_error < 0.02


def test_quantize_alone(tmp_path: Path, pictures: Path) -> None:
    rule = tmp_path / "rule.toml"
    rule.write_text(WHOLE)
    made = edgetvm.quantize(
        write_model(tmp_path / "model.onnx", 1),
        tmp_path / "int8.onnx",
        pictures,
        preprocess=rule,
        input_type="uint8",
    )
    assert onnx.load(made.path).graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input-type", "uint8"], "--input-type uint8 is for quantizing"),
        (["--input-type", "uint8", "--quantize", "int8", "--calibration", "PICTURES"], "what a pixel stands for"),
    ],
)
def test_what_is_missing(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    model = write_model(tmp_path / "model.onnx", 1)
    options = [str(pictures) if option == "PICTURES" else option for option in options]
    assert main(["compile", str(model), "--target", "host", "-o", str(tmp_path / "package"), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


def test_a_model_of_two_inputs(tmp_path: Path, pictures: Path) -> None:
    rule = tmp_path / "rule.toml"
    rule.write_text(MEANS)
    model = write_model(tmp_path / "model.onnx", 1, inputs=2)
    options = {"quantize": "int8", "calibration": pictures, "preprocess": rule, "input_type": "uint8"}
    with pytest.raises(edgetvm.EdgeTVMError, match="has 2 inputs: pixels can be given to a model with one"):
        edgetvm.compile(model, "host", tmp_path / "package", **options)


def test_real_pictures(assets: Path, tmp_path: Path) -> None:
    """A network of pixels, quantized by few pictures, loses few points."""
    rule = tmp_path / "rule.toml"
    rule.write_text('layout = "NHWC"\nmean = 127.5\nstd = 127.5\nlabel_offset = 1\n')
    few = tmp_path / "few"
    few.mkdir()
    for picture in sorted((assets / "images" / "calibration").glob("*.jpg"))[:24]:
        (few / picture.name).symlink_to(picture)
    package = edgetvm.compile(
        assets / "mobilenet_v1_025" / "model.onnx",
        "host",
        tmp_path / "package",
        quantize="int8",
        calibration=few,
        calibrator="minmax",
        preprocess=rule,
        input_type="uint8",
        require_integer=True,
    )
    assert package.verify(data=assets / "images" / "evaluation", preprocess=rule, samples=2).integer_mismatches == 0
    assert package.evaluate(assets / "images" / "evaluation", preprocess=rule).value >= 0.5
    assert package.manifest["inputs"][0]["dtype"] == "uint8"
