"""Elementwise kernels: recognised, fused into convolutions, and rewritten in another axis order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm
from onnx import helper
from tvm import te

import edgetvm
from edgetvm.passes.elementwise_kernel import is_elementwise, permuted_kernel
from tests.importers.models import save


def kernel(shape: tuple[int, ...], function: object) -> tvm.tirx.PrimFunc:
    x = te.placeholder(shape, name="x")
    return te.create_prim_func([x, te.compute(shape, lambda *i: function(x, i), name="y")])  # type: ignore[operator]


def test_what_is_elementwise() -> None:
    assert is_elementwise(kernel((1, 4, 5), lambda x, i: x(*i) * x(*i)))
    assert not is_elementwise(kernel((4, 4), lambda x, i: x(i[1], i[0])))
    assert not is_elementwise(kernel((4, 4), lambda x, i: x(i[0], 0)))


def test_another_order() -> None:
    permuted = permuted_kernel(kernel((1, 8, 5, 6), lambda x, i: x(*i) + 1.0), (0, 3, 1, 2))
    assert permuted is not None
    assert [[int(extent) for extent in param.shape] for param in permuted.params] == [[1, 5, 6, 8]] * 2
    assert permuted_kernel(kernel((4, 4), lambda x, i: x(i[1], i[0])), (1, 0)) is None


@pytest.mark.parametrize("activation", ["LeakyRelu", "HardSwish", "HardSigmoid", "Elu", "Mish", "Softplus"])
def test_activations_join_their_convolution(activation: str, tmp_path: Path) -> None:
    constants = {"w": np.random.default_rng(0).standard_normal((8, 8, 3, 3)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1] * 4, name="first"),
        helper.make_node(activation, ["a"], ["b"], name="bend"),
        helper.make_node("Conv", ["b", "w"], ["y"], pads=[1] * 4, name="second"),
    ]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 8, 6, 6]}, ["y"], constants, opset=18)
    package = edgetvm.compile(path, "host", tmp_path / "package")
    assert any({"first", "bend"} <= set(call["nodes"]) for call in package.manifest["calls"])
    assert len(package.manifest["calls"]) == 4  # two convolutions, and a transpose at each border
    assert package.verify(samples=2).passed
