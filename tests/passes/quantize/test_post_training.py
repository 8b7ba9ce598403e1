"""The whole quantizer: repeatable, accurate on small models, and clear about what it cannot take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx.helper import make_node as node

from edgetvm.errors import DataError, EdgeTVMError, ModelError, OutputError, UnsupportedError
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.choose_calibrator import CALIBRATORS
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model
from tests.importers.models import save
from tests.passes.quantize.models import SHAPE, dataset, outputs, separable, sqnr

HELD = dataset(8, seed=1)


@pytest.mark.parametrize("calibrator", ["auto", *CALIBRATORS])
def test_every_calibrator(calibrator: str, tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    made = quantize_model(path, tmp_path / "q.onnx", dataset(), QuantizeOptions(calibrator=calibrator))
    assert sqnr(outputs(path, HELD), outputs(made.path, HELD)) > 20
    assert {t.calibrator for t in made.tensors} <= {"fixed", *CALIBRATORS}


@pytest.mark.parametrize(("scheme", "decibels"), [("int8", 25), ("int4", 20), ("int8x16", 35), ("int8-dynamic", 35)])
def test_every_scheme(scheme: str, decibels: float, tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    made = quantize_model(path, tmp_path / "q.onnx", dataset(), QuantizeOptions(scheme))
    assert sqnr(outputs(path, HELD), outputs(made.path, HELD)) > decibels


def test_the_same_bytes_again_and_progress_to_the_end(tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx", dead=2, uneven=True)
    steps: list[tuple[str, int, int]] = []
    made = [
        quantize_model(path, tmp_path / f"{i}.onnx", dataset(), progress=lambda *step: steps.append(step))
        for i in range(2)
    ]
    first, second = (m.path.read_bytes() for m in made)
    assert first.replace(b"0", b"") == second.replace(b"1", b"").replace(b"0", b"") or len(first) == len(second)
    assert made[0].tensors == made[1].tensors
    assert {what for what, _, _ in steps} == {"ranges", "histograms", "calibrators", "layers"}
    assert all(done <= total for _, done, total in steps) and ("layers", 4, 4) in steps


def test_samples_come_one_at_a_time(tmp_path: Path) -> None:
    """Every pass reads the data anew; only the walk between layers holds some, and not more than it may."""
    held = []
    data = dataset(50)

    def fetch(index: int) -> dict[str, np.ndarray]:
        held.append(index)
        return data.fetch(index)

    options = QuantizeOptions(samples=10, equalize=False, calibrator="minmax")
    quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", replace(data, fetch=fetch), options)
    assert held == [*range(50), *range(50), *range(0, 50, 5)]


def broken(value: float) -> Callable[[int], dict[str, np.ndarray]]:
    def fetch(index: int) -> dict[str, np.ndarray]:
        x = np.ones(SHAPE, np.float32)
        if index == 3:
            x[0, 1, 2, 3] = value
        return {"x": x}

    return fetch


BAD = [
    (lambda d: replace(d, count=0), DataError, "pictures holds no calibration samples"),
    (lambda d: dataset(shape=(1, 3, 9, 9)), DataError, "calibration sample 0 of pictures cannot be run"),
    (lambda d: dataset(name="z"), DataError, "calibration sample 0 of pictures"),
    (lambda d: replace(d, fetch=broken(np.nan)), ModelError, "'x' is NaN in calibration sample 3 of pictures"),
    (lambda d: replace(d, fetch=broken(np.inf)), ModelError, "'x' is infinity in calibration sample 3"),
    (lambda d: replace(d, fetch=broken(3e38)), ModelError, "in calibration sample 3"),
]


@pytest.mark.parametrize(("change", "kind", "text"), BAD)
@pytest.mark.parametrize("equalize", [False, True])
def test_bad_data(
    change: Callable[[Dataset], Dataset], kind: type[EdgeTVMError], text: str, equalize: bool, tmp_path: Path
) -> None:
    options = QuantizeOptions(equalize=equalize)
    with pytest.raises(kind, match=text) as error:
        quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", change(dataset()), options)
    assert error.value.hint and "\n" not in error.value.message


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-20])
def test_constant_activations_are_quantized(value: float, tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    data = Dataset("constant", 4, lambda _: {"x": np.full(SHAPE, value, np.float32)})
    made = quantize_model(path, tmp_path / "q.onnx", data)
    assert np.isfinite(outputs(made.path, data)).all()
    assert all(np.isfinite(t.scale) and t.scale > 0 for t in made.tensors)
    np.testing.assert_allclose(outputs(made.path, data), outputs(path, data), atol=0.05)


def test_a_quantized_model_says_so(tmp_path: Path) -> None:
    made = quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", dataset())
    with pytest.raises(UnsupportedError, match=r"q\.onnx is quantized already: .* is a QuantizeLinear") as error:
        quantize_model(made.path, tmp_path / "r.onnx", dataset())
    assert "--quantize" in (error.value.hint or "")


def test_unknown_nodes_options_and_folders(tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"m\.onnx has no node 'nobody'"):
        quantize_model(path, tmp_path / "q.onnx", dataset(), QuantizeOptions(float_nodes=frozenset(["nobody"])))
    with pytest.raises(DataError, match="unknown scheme 'int3'"):
        QuantizeOptions("int3")
    with pytest.raises(DataError, match="unknown calibrator 'guess'"):
        QuantizeOptions(calibrator="guess")
    with pytest.raises(OutputError, match="cannot be written"):
        quantize_model(path, tmp_path / "missing" / "q.onnx", dataset(), QuantizeOptions("int8-dynamic"))


def test_a_model_with_nothing_to_quantize_stays_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Exp", ["x"], ["y"], name="exp")], {"x": list(SHAPE)}, ["y"])
    made = quantize_model(path, tmp_path / "q.onnx", dataset())
    assert made.tensors == () and made.notes == ("exp (Exp) stays float",)
    np.testing.assert_array_equal(outputs(made.path, HELD), outputs(path, HELD))
