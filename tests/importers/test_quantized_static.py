"""Models that ONNX Runtime quantized, in both its forms: packages against ONNX Runtime, and no float inside.

ONNX Runtime rounds ties to even where our kernels round them up, and computes in float what they compute
exactly: a code may differ by one, rarely.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.importers.onnx import import_onnx
from edgetvm.passes.integer.lower import lower_to_integers
from tests.importers.execute import expected
from tests.importers.quantized_models import NETS, SCHEMES, expose_codes, operators, run_all, samples, static

SHARE = 1e-3  # of codes that may differ by a unit


def check(path: Path, folder: Path, count: int) -> None:
    """Integers everywhere but at the border; every quantized tensor, made an output, as ONNX Runtime's."""
    assert lower_to_integers(import_onnx(path)).floats == ()
    names = expose_codes(path)
    package = edgetvm.compile(path, "host", folder / "package", reference=False)
    outputs = [info.name for info in import_onnx(path).outputs]
    wrong = total = 0
    data = list(samples(path, count, seed=1))
    for inputs, have in zip(data, run_all(package, data), strict=True):
        want = dict(zip(outputs, expected(path, inputs), strict=True))
        for name in names:
            assert (have[name].dtype, have[name].shape) == (want[name].dtype, want[name].shape)
            units = np.abs(have[name].astype(int) - want[name].astype(int))
            assert units.max() <= 1, name
            wrong, total = wrong + int(units.sum()), total + units.size
    assert wrong < SHARE * total


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("net", NETS)
def test_small_networks(net: str, scheme: str, form: str, tmp_path: Path) -> None:
    path = static(NETS[net](tmp_path / "float.onnx"), tmp_path / "model.onnx", form, scheme)
    assert any(operator.startswith(("QLinear", "QGemm")) for operator in operators(path)) == (form == "QOperator")
    check(path, tmp_path, count=20)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("scheme", ["uint8", "int8"])
def test_digits(scheme: str, form: str, digits: Path, tmp_path: Path) -> None:
    check(static(digits, tmp_path / "model.onnx", form, scheme), tmp_path, count=30)


def test_kernels_are_known_by_the_nodes_of_the_file(tmp_path: Path) -> None:
    path = static(NETS["residual"](tmp_path / "float.onnx"), tmp_path / "model.onnx", "QOperator", "int8")
    package = edgetvm.compile(path, "host", tmp_path / "package", reference=False)
    known = {node for call in package.manifest["calls"] for node in call["nodes"]}
    assert {"stem_quant", "depthwise_quant", "sum_quant", "pool_quant", "dense_quant"} <= known
    assert len(package.manifest["calls"]) <= 9
