"""Kernels for Helium on an emulated board: exact in every shape, and the rules fired."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from edgetvm.schedule.rules.helium_window import ChunkPanels, Runs
from tests.passes.integer.qdq import Pair, Weights, assert_same_in_package, random_feed, write_model
from tests.tools import require_tool

BOARD = "qemu-mps3-an547"
FORMS = ("object", "c")
X, Y = Pair(0.05, -3), Pair(0.4, 5)
SAME: dict[str, Any] = {"kernel": (3, 3), "pads": (1, 1, 1, 1)}


@dataclass(frozen=True)
class Case:
    """A convolution of an image of so many rows, columns and channels; `groups` as many as channels, or one."""

    size: tuple[int, int, int]
    outputs: int
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    depthwise: bool = False
    largest: int = 127  # weight

    def node(self, name: str) -> NodeProto:
        groups = self.size[2] if self.depthwise else 1
        settings = {"strides": self.strides, "pads": self.pads, "dilations": self.dilations, "group": groups}
        return helper.make_node("Conv", [f"x{name}", f"w{name}", f"b{name}"], [f"y{name}"], **settings)

    def constants(self, name: str, rng: np.random.Generator) -> dict[str, np.ndarray | Weights]:
        """Weights with a scale a channel, and the bias."""
        depth = 1 if self.depthwise else self.size[2]
        codes = rng.integers(-self.largest, self.largest + 1, (self.outputs, depth, *self.kernel)).astype(np.int8)
        reach = np.sqrt(np.prod(codes.shape[1:]))
        scales = rng.uniform(0.3, 1, self.outputs) / (60 * reach * self.largest / 127)
        bias = rng.uniform(-3, 3, self.outputs).astype(np.float32)
        return {f"w{name}": Weights(codes, Pair([float(s) for s in scales])), f"b{name}": bias}


def check(cases: list[Case], folder: Path, form: str, **options: Any) -> list[str]:
    """All in one model, whose kernels compute the interpreter's bits. Gives the rule of each kernel that convolves."""
    require_tool("qemu-system-arm")
    rng = np.random.default_rng(0)
    inputs = {f"x{n}": ((1, case.size[2], *case.size[:2]), X) for n, case in enumerate(cases)}
    constants = {name: data for n, case in enumerate(cases) for name, data in case.constants(str(n), rng).items()}
    nodes = [case.node(str(n)) for n, case in enumerate(cases)]
    model = write_model(folder / "model.onnx", inputs, nodes, {f"y{n}": Y for n in range(len(cases))}, constants)
    assert_same_in_package(model, random_feed(rng, inputs), BOARD, folder / "package", form, **options)
    kernels = json.loads((folder / "package" / "manifest.json").read_text())["kernels"]
    return [kernel["rule"] for kernel in kernels if "convolve" in kernel["name"]]


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_four_bits(form: str, tmp_path: Path) -> None:
    """Two channels in the bytes of one: of one pixel and of many, an odd last one, overlapping and gathered runs."""
    cases = [
        Case((1, 1, 64), 9, (1, 1), largest=7),
        Case((5, 6, 32), 8, (1, 1), largest=7),
        Case((5, 5, 40), 7, (1, 1), largest=7),
        Case((9, 7, 3), 6, (3, 3), pads=(1, 1, 1, 1), largest=7),
        Case((4, 3, 16), 4, (3, 3), pads=(1, 1, 1, 1), largest=7),
        Case((3, 4, 13), 2, (1, 1), largest=7),
    ]
    assert check(cases, tmp_path, form) == ["helium_tile"] * len(cases)


def test_weights_are_loaded_again_in_loops(tmp_path: Path) -> None:
    """Few enough to be held, but products that are not all in one body."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[helium_unrolled]\nvalue = 4\nwhy = "short bodies"\n')
    cases = [Case((4, 6, 32), 4, (1, 1)), Case((5, 4, 40), 2, (1, 1))]
    assert check(cases, tmp_path, "object", recipe=recipe, optimize="speed") == ["helium_tile"] * len(cases)


def test_panels_of_nibbles() -> None:
    """Lower halves are the even channels, upper ones the odd."""
    weights = np.random.default_rng(0).integers(-8, 8, (40, 6)).astype(np.int8)
    runs = Runs(1, 1, (0, 0), 40)
    whole, joined = ChunkPanels(2, runs).pack(weights), ChunkPanels(2, runs, nibbles=True).pack(weights)
    pairs = whole.reshape(-1, 2, 16)
    assert 2 * joined.size == whole.size
    np.testing.assert_array_equal((joined.reshape(-1, 16) << 4) >> 4, pairs[:, 0])
    np.testing.assert_array_equal(joined.reshape(-1, 16) >> 4, pairs[:, 1])
    assert ChunkPanels(2, runs).label != ChunkPanels(2, runs, nibbles=True).label


@pytest.mark.parametrize("form", FORMS)
def test_sums_of_products(form: str, tmp_path: Path) -> None:
    """Runs of every length, gathered ones, whole and ragged tiles, bands of rows, sums kept between iterations."""
    cases = [
        Case((9, 7, 3), 5, (3, 3), pads=(1, 1, 1, 1)),
        Case((8, 8, 3), 4, (3, 3), (2, 2)),
        Case((25, 5, 1), 6, (10, 4), (2, 2), (4, 1, 5, 1)),
        Case((9, 5, 16), 7, (3, 3), pads=(1, 1, 1, 1)),
        Case((6, 7, 20), 3, (3, 2), (1, 2), (0, 1, 2, 0), (2, 2)),
        Case((5, 5, 33), 9, (1, 1)),
        Case((1, 1, 47), 10, (1, 1)),
        Case((4, 4, 8), 6, (1, 1), (2, 2)),
        Case((3, 4, 13), 2, (1, 1)),
        Case((4, 3, 40), 3, (3, 3), pads=(1, 1, 1, 1)),
        Case((1, 2, 640), 3, (1, 1)),
        Case((30, 24, 16), 16, (3, 3), pads=(1, 1, 1, 1)),
    ]
    assert check(cases, tmp_path, form) == ["helium_tile"] * len(cases)


@pytest.mark.parametrize("form", FORMS)
def test_depthwise(form: str, tmp_path: Path) -> None:
    """Blocks of 16 and of 8 channels, whole and overlapping; weights small and large; fewer channels by other rules."""
    same = {**SAME, "depthwise": True}
    cases = [
        Case((9, 7, 16), 16, **same),
        Case((9, 7, 40), 40, **same),
        Case((30, 30, 8), 8, **same),
        Case((5, 6, 13), 13, **same),
        Case((9, 8, 19), 19, (3, 2), (2, 2), (1, 0, 0, 1), depthwise=True, largest=20),
        Case((9, 9, 24), 24, (5, 3), dilations=(1, 2), depthwise=True, largest=60),
        Case((6, 6, 3), 3, **same),
    ]
    assert check(cases, tmp_path, form) == [*["helium_depthwise"] * (len(cases) - 1), "dsp_depthwise"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("case", "rule"),
    [
        (Case((7, 6, 16), 16, **SAME), "helium_tile"),
        (Case((1, 1, 24), 24, (1, 1)), "helium_tile"),
        (Case((7, 6, 32), 32, depthwise=True, **SAME), "helium_depthwise"),
        (Case((5, 6, 8), 8, depthwise=True, **SAME), "helium_depthwise"),
        (Case((5, 6, 19), 19, depthwise=True, **SAME), "dsp_depthwise"),  # blocks that overlap would add twice
    ],
)
def test_codes_that_are_added_to_others(case: Case, rule: str, form: str, tmp_path: Path) -> None:
    """Codes that are added to those of the image, whose place the result may take."""
    require_tool("qemu-system-arm")
    rng = np.random.default_rng(0)
    inputs = {"x0": ((1, case.size[2], *case.size[:2]), X)}
    between = {"scale": np.float32(Y.scale), "zero": np.int8(Y.zero)}
    nodes = [
        case.node("0"),
        helper.make_node("QuantizeLinear", ["y0", *between], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", *between], ["numbers"]),
        helper.make_node("Add", ["numbers", "x0"], ["z"]),
    ]
    constants: dict[str, Any] = {
        **case.constants("0", rng),
        **{name: np.asarray(value) for name, value in between.items()},
    }
    model = write_model(tmp_path / "model.onnx", inputs, nodes, {"z": Pair(0.5, 11)}, constants)
    assert_same_in_package(model, random_feed(rng, inputs), BOARD, tmp_path / "package", form)
    kernels = json.loads((tmp_path / "package" / "manifest.json").read_text())["kernels"]
    assert [kernel["rule"] for kernel in kernels if "scaled_sum" in kernel["name"]] == [rule]


@pytest.mark.parametrize(
    "runs",
    [
        Runs(3, 1, (9, 0), 48),
        Runs(1, 1, (0, 0), 33),
        Runs(2, 3, (9, 9), 21),
        Runs(1, 1, (0, 0), 27, gathered=True),
    ],
)
@pytest.mark.parametrize("channels", [1, 4, 5])
def test_every_weight_is_packed_once(runs: Runs, channels: int) -> None:
    weights = np.random.default_rng(0).integers(1, 128, (runs.count * runs.length, channels)).astype(np.int8)
    packed = ChunkPanels(2, runs).pack(weights)
    assert packed.size == runs.count * runs.bytes * channels
    assert runs.bytes % 4 == 0
    np.testing.assert_array_equal(np.sort(packed[packed != 0]), np.sort(weights.reshape(-1)))
