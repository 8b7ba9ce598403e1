"""Mutated models end in a package's module or in an error of ours: no traceback, no hang."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from hypothesis import given
from hypothesis import strategies as st

from tests.importers.damage import BOUNDED, attempt, edited
from tests.importers.models import convolution


def base_model() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return convolution(Path(folder) / "m.onnx").read_bytes()


MODEL = base_model()


@BOUNDED
@given(edits=st.lists(st.tuples(st.integers(0, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes(edits: list[tuple[int, int]]) -> None:
    attempt(edited(MODEL, edits), "onnx")


@BOUNDED
@given(start=st.integers(0, len(MODEL) - 1), length=st.integers(1, 64), data=st.binary(max_size=32))
def test_replaced_ranges(start: int, length: int, data: bytes) -> None:
    attempt(MODEL[:start] + data + MODEL[start + length :], "onnx")


NAMES = st.sampled_from(["x", "w", "c", "b", "y", "scale", "nothing", ""])
OPERATORS = st.sampled_from(["Conv", "Relu", "Reshape", "Gemm", "If", "Loop", "Concat", "Resize", "Nonsense", "Split"])


@BOUNDED
@given(
    node=st.integers(0, 2),
    operator=st.none() | OPERATORS,
    inputs=st.none() | st.lists(NAMES, max_size=5),
    outputs=st.none() | st.lists(NAMES, max_size=3),
    dims=st.none() | st.lists(st.integers(-2, 9), max_size=5),
    attribute=st.none() | st.tuples(st.sampled_from(["pads", "group", "strides", "axis"]), st.integers(-3, 9)),
)
def test_changed_structure(
    node: int,
    operator: str | None,
    inputs: list[str] | None,
    outputs: list[str] | None,
    dims: list[int] | None,
    attribute: tuple[str, int] | None,
) -> None:
    model = onnx.ModelProto.FromString(MODEL)
    chosen = model.graph.node[node]
    chosen.op_type = operator or chosen.op_type
    if inputs is not None:
        chosen.input[:] = inputs
    if outputs is not None:
        chosen.output[:] = outputs
    if dims is not None:
        model.graph.initializer[0].dims[:] = dims
    if attribute is not None:
        chosen.attribute.append(onnx.helper.make_attribute(*attribute))
    attempt(model.SerializeToString(), "onnx")
