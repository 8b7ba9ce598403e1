"""Convolutions, pools and resizes over their attributes, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx.helper import make_node

from edgetvm.errors import EdgeTVMError, UnsupportedError
from edgetvm.importers.onnx import import_onnx
from tests.importers.execute import agree, expected
from tests.importers.models import save

BOUNDED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
RANK = st.integers(1, 3)


def compare(path: Path, shape: list[int]) -> None:
    """ONNX Runtime decides whether the attributes make sense; where it runs, we agree or refuse to guess."""
    try:
        expected(path, {"x": np.zeros(shape, np.float32)})
    except Exception:
        assume(False)
    try:
        agree(path, tolerance=1e-4)
    except UnsupportedError as error:
        assert "auto_pad asks for" in error.message


@st.composite
def windows(draw: st.DrawFn, rank: int) -> dict[str, Any]:
    sizes = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    attributes: dict[str, Any] = {"strides": draw(sizes)}
    mode = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode == "NOTSET":
        attributes["pads"] = draw(st.lists(st.integers(0, 1), min_size=2 * rank, max_size=2 * rank))
        attributes["dilations"] = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    else:
        attributes["auto_pad"] = mode
    return attributes


@BOUNDED
@given(data=st.data(), rank=RANK, transpose=st.booleans(), groups=st.sampled_from([1, 2]), bias=st.booleans())
def test_convolutions(data: st.DataObject, rank: int, transpose: bool, groups: int, bias: bool, tmp_path: Path) -> None:
    attributes = data.draw(windows(rank))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    rng = np.random.default_rng(0)
    filters = [4, 6 // groups] if transpose else [6, 4 // groups]
    constants = {"w": rng.standard_normal((*filters, *kernel)).astype(np.float32)}
    if bias:
        constants["b"] = rng.standard_normal(6).astype(np.float32)
    if transpose:
        strides = attributes["strides"]
        attributes["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
    shape = [2, 4, *data.draw(st.lists(st.integers(4, 7), min_size=rank, max_size=rank))]
    operator = "ConvTranspose" if transpose else "Conv"
    layer = make_node(operator, ["x", *constants], ["y"], group=groups, **attributes)
    compare(save(tmp_path / "m.onnx", [layer], {"x": shape}, ["y"], constants), shape)


@BOUNDED
@given(
    data=st.data(),
    rank=RANK,
    operator=st.sampled_from(["MaxPool", "AveragePool", "LpPool"]),
    ceil=st.integers(0, 1),
    counted=st.integers(0, 1),
)
def test_pools(data: st.DataObject, rank: int, operator: str, ceil: int, counted: int, tmp_path: Path) -> None:
    attributes = data.draw(windows(rank))
    attributes["kernel_shape"] = data.draw(st.lists(st.integers(2, 3), min_size=rank, max_size=rank))
    attributes["ceil_mode"] = ceil
    if operator == "AveragePool":
        attributes["count_include_pad"] = counted
    shape = [2, 3, *data.draw(st.lists(st.integers(5, 8), min_size=rank, max_size=rank))]
    path = save(tmp_path / "m.onnx", [make_node(operator, ["x"], ["y"], **attributes)], {"x": shape}, ["y"], opset=19)
    compare(path, shape)


@BOUNDED
@given(
    mode=st.sampled_from(["nearest", "linear", "cubic"]),
    coordinates=st.sampled_from(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]),
    nearest=st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]),
    out=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_resizes(mode: str, coordinates: str, nearest: str, out: tuple[int, int], tmp_path: Path) -> None:
    sizes = {"sizes": np.array([1, 2, *out])}
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
    # Single precision decides ties of nearest otherwise than the double precision of ONNX's reference.
    assume(mode != "nearest" or all(o % s == 0 for o, s in zip(out, (4, 6), strict=True)))
    node = make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    shape = [1, 2, 4, 6]
    compare(save(tmp_path / "m.onnx", [node], {"x": shape}, ["y"], sizes), shape)


@BOUNDED
@given(kernel=st.integers(-1, 9), stride=st.integers(-1, 3), pad=st.integers(-2, 9), size=st.integers(1, 6))
def test_windows_that_make_no_sense_are_refused(kernel: int, stride: int, pad: int, size: int, tmp_path: Path) -> None:
    attributes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [pad] * 4}
    node = make_node("AveragePool", ["x"], ["y"], **attributes)
    path = save(tmp_path / "m.onnx", [node], {"x": [1, 1, size, size]}, ["y"])
    try:
        import_onnx(path)
    except EdgeTVMError:
        return
    assert kernel > 0
    assert stride > 0
    assert pad >= 0
