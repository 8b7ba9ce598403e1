"""Which input a scheduled kernel may overwrite, and that doing so gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tvm
from onnx import helper
from tvm import relax, te

import edgetvm
from edgetvm.codegen.in_place import reusable_inputs
from tests.importers.models import save
from tests.schedule.kernels import MACHINES, Emit, schedule

IMAGE = np.zeros((1, 6, 6, 8), np.float32)
WEIGHTS = relax.const(np.ones((3, 3, 8, 8), np.float32))
POINTWISE = relax.const(np.ones((1, 1, 8, 8), np.float32))
Body = Callable[[list[relax.Var], Emit], tvm.ir.Expr]


def reusable(body: Body, *inputs: np.ndarray, target: str = "host") -> tuple[tuple[int, int], ...]:
    return reusable_inputs(schedule(body, inputs, target).only.blocks)


def conv(x: relax.Expr, weights: relax.Expr) -> tvm.ir.Expr:
    pad = 1 if weights is WEIGHTS else 0
    return relax.op.nn.conv2d(x, weights, 1, pad, 1, 1, "NHWC", "HWIO", "NHWC")


@pytest.mark.parametrize("target", MACHINES)
def test_elementwise(target: str) -> None:
    assert reusable(lambda p, emit: relax.op.exp(p[0]), IMAGE, target=target) == ((0, 0),)
    assert reusable(lambda p, emit: relax.op.add(p[0], p[1]), IMAGE, IMAGE, target=target) == ((0, 0), (1, 0))


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("weights", [WEIGHTS, POINTWISE], ids=["3x3", "1x1"])
def test_the_residual_of_a_convolution_but_not_its_image(target: str, weights: relax.Expr) -> None:
    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        return relax.op.nn.relu(emit(relax.op.add(emit(conv(p[0], weights)), p[1])))

    scheduled = schedule(body, [IMAGE, IMAGE], target)
    assert scheduled.rules[0] in ("register_tile", "matrix_tile", "winograd")
    (call,) = scheduled.program.calls
    residual = call.inputs.index(scheduled.program.inputs[1])
    assert reusable_inputs(scheduled.only.blocks) == ((residual, 0),)


def test_an_image_that_is_the_residual_too() -> None:
    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        return relax.op.add(emit(conv(p[0], POINTWISE)), p[0])

    assert reusable(body, IMAGE) == ()


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (lambda p, emit: relax.op.permute_dims(p[0]), (8, 8)),
        (lambda p, emit: relax.op.flip(p[0], 0), (8,)),
        (lambda p, emit: relax.op.nn.softmax(p[0]), (4, 8)),
        (lambda p, emit: relax.op.sum(p[0], [1], True), (8, 1)),
    ],
    ids=["transposed", "flipped", "softmax", "sum"],
)
def test_another_element_than_the_one_written(body: Body, shape: tuple[int, ...]) -> None:
    assert reusable(body, np.zeros(shape, np.float32)) == ()


def test_a_row_that_is_broadcast() -> None:
    inputs = [np.zeros((8, 8), np.float32), np.zeros((1, 8), np.float32)]
    assert reusable(lambda p, emit: relax.op.add(p[0], p[1]), *inputs) == ((0, 0),)


def test_an_axis_of_length_one_has_one_index() -> None:
    image, row = te.placeholder((1, 8), "int8", "image"), te.placeholder((1, 8), "int8", "row")
    total = te.compute((1, 8), lambda i, j: image(0, j) + row(i, j), "total")
    assert reusable_inputs(te.create_prim_func([image, row, total])) == ((0, 0), (1, 0))
    images = te.placeholder((2, 8), "int8", "images")
    first = te.compute((2, 8), lambda i, j: images(0, j), "first")
    assert reusable_inputs(te.create_prim_func([images, first])) == ()


def test_another_element_type() -> None:
    assert reusable(lambda p, emit: relax.op.astype(p[0], "int32"), np.zeros(8, np.float32)) == ()
    assert reusable(lambda p, emit: relax.op.greater(p[0], p[1]), *[np.zeros(8, np.float32)] * 2) == ()


@pytest.mark.parametrize("form", ["library", "c"])
def test_a_residual_network_in_place(form: str, tmp_path: Path) -> None:
    """Outputs lie on residuals here: two images, a padded row more, and the numbers of ONNX Runtime."""
    rng = np.random.default_rng(0)
    constants = {f"w{i}": rng.standard_normal((8, 8, 3, 3)).astype(np.float32) / 8 for i in range(3)}
    nodes, last = [], "x"
    for i in range(3):
        nodes += [
            helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1] * 4, name=f"conv{i}"),
            helper.make_node("Add", [f"c{i}", last], [f"a{i}"], name=f"add{i}"),
            helper.make_node("Relu", [f"a{i}"], [f"r{i}"], name=f"relu{i}"),
            helper.make_node("Conv", [f"r{i}", f"w{i}"], [f"d{i}"], pads=[1] * 4, name=f"second{i}"),
            helper.make_node("Add", [f"d{i}", f"c{i}"], [f"e{i}"], name=f"sum{i}"),
        ]
        last = f"e{i}"
    model = save(tmp_path / "residual.onnx", nodes, {"x": [1, 8, 12, 12]}, [last], constants)
    package = edgetvm.compile(model, "host", tmp_path / "out", format=form, optimize="size")
    image = 4 * 8 * 12 * 12
    assert 2 * image <= package.manifest["arena"]["bytes"] < 3 * image
    assert package.verify(samples=2).passed
