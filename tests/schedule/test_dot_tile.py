"""Dot-product tiles: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.codegen.in_place import reusable_inputs
from edgetvm.codegen.lower import build, lower
from edgetvm.operators.requantize import requantize
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions, products
from tests.schedule.kernels import Emit, machine, run, schedule
from tests.schedule.reference import Window
from tests.tools import unavailable

SAME = Window((3, 3), pads=(1, 1, 1, 1))
# What this machine can run: its own instruction, and pairs of words in vectors of every size.
HERE = ("host", *(name for name in ("x86-64-v4", "x86-64-v3", "x86-64-v2") if machine("host").dot is not None))
TARGETS = st.sampled_from(HERE)
MANY = settings(max_examples=80, deadline=None, derandomize=True)
if machine("host").dot is None:
    unavailable("this machine has no dot product")


def sums_nothing(layer: Layer) -> bool:
    """A 1x1 window over one channel multiplies elements; TVM leaves no reduction."""
    return int(np.prod(layer.weights().shape[:-1])) == 1


@MANY
@given(layer=convolutions(), target=TARGETS)
def test_convolutions(layer: Layer, target: str) -> None:
    inputs = layer.inputs()
    scheduled = schedule(layer.body, inputs, target)
    assert scheduled.rules == ["dot_tile"] or sums_nothing(layer)
    np.testing.assert_array_equal(run(scheduled, inputs), layer.expected(inputs))


@MANY
@given(layer=products(), target=TARGETS)
def test_products(layer: Layer, target: str) -> None:
    inputs = layer.inputs()
    scheduled = schedule(layer.body, inputs, target)
    assert scheduled.rules == ["dot_tile"] or sums_nothing(layer)
    np.testing.assert_array_equal(run(scheduled, inputs), layer.expected(inputs))


def chosen() -> list[Layer]:
    """Layers in which every way through the rule is taken."""
    layers = [Layer((1, 8, 8, 16), 24, SAME, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((49, 32), 40, None, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((rows, depth), 10, None, "requantize") for rows in (1, 5) for depth in (1, 3, 7, 17, 64, 640)]
    for depth in (1, 3, 7, 17, 48):
        for outputs in (1, 3, 7, 17, 48):
            layers.append(Layer((1, 5, 6, depth), outputs, SAME, "requantize"))
    for strides in ((1, 1), (2, 2), (4, 3)):
        layers.append(Layer((2, 9, 7, 8), 16, Window((2, 3), strides, (0, 1, 2, 0)), "relu"))
        layers.append(Layer((2, 9, 7, 16), 8, Window((3, 3), strides, (2, 1, 0, 3), (2, 2)), "residual"))
        layers.append(Layer((2, 9, 7, 12), 12, Window((1, 1), strides), "requantize"))
        layers.append(Layer((1, 9, 7, 6), 12, Window((2, 2), strides), "requantize"))
    layers.append(Layer((1, 1, 1, 16), 16, SAME, "requantize"))
    layers.append(Layer((1, 49, 10, 1), 64, Window((10, 4), (2, 2), (4, 1, 5, 1)), "relu"))
    layers.append(Layer((1, 20, 20, 16), 32, SAME, "residual"))  # large enough for threads
    return layers


@pytest.mark.parametrize("target", [*HERE, "cortex-a76"])
def test_nothing_is_read_or_written_outside(target: str) -> None:
    """Every tensor ends where memory ends, and once begins where it begins."""
    cases = []
    for layer in chosen():
        inputs = layer.inputs()
        scheduled = schedule(layer.body, inputs, target)
        assert scheduled.rules == ["dot_tile"] or sums_nothing(layer), layer
        cases.append(Fenced(scheduled, inputs))
    for layer, found in zip(chosen(), run_fenced(cases, target if target == "cortex-a76" else "host"), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


@pytest.mark.parametrize("target", ["host", "cortex-a76", "cortex-a53", "cortex-m4"])
def test_groups_and_other_machines_are_left_to_other_rules(target: str) -> None:
    grouped = Layer((1, 6, 6, 16), 16, SAME, "requantize", groups=4)
    assert "dot_tile" not in schedule(grouped.body, grouped.inputs(), target).rules
    plain = Layer((1, 6, 6, 16), 16, SAME, "requantize")
    fired = schedule(plain.body, plain.inputs(), target).rules == ["dot_tile"]
    assert fired == (machine(target).dot is not None)


INSTRUCTIONS = [
    ("cortex-a76", r"\bsdot\s.*\.4b\[[0-3]\]"),
    ("cortex-a76", r"\bsqdmulh\s"),
    ("cortex-a55", r"\bsdot\s"),
    ("x86-64-v4-vnni", r"\bvpdpbusd\s.*%zmm"),
    ("x86-64-v3-vnni", r"\bvpdpbusd\s.*%ymm"),
    ("x86-64-v4", r"\bvpmaddwd\s.*%zmm"),
    ("x86-64-v3", r"\bvpmaddwd\s.*%ymm"),
    ("x86-64-v2", r"\bpmaddwd\s.*%xmm"),
]


@pytest.mark.parametrize(("target", "pattern"), INSTRUCTIONS)
def test_the_instruction_is_used(target: str, pattern: str) -> None:
    """And where it is one, the sums stay in registers."""
    layer = Layer((1, 16, 16, 64), 64, SAME, "requantize")
    scheduled = schedule(layer.body, layer.inputs(), target)
    compiler = tvm_target(load_target(target))
    text = build([lower("kernel", scheduled.only.func, compiler)], compiler).inspect_source("asm")
    assert len(re.findall(pattern, text)) >= 8
    if "dot" in pattern or "dp" in pattern:
        spilled = re.findall(r"(?:st[ur]*|vmovdq[au]64|vmovdqa)\s+[q%]\S+, (?:\[sp|\S*\(%rsp)", text)
        assert len(spilled) <= 8


def test_eight_channels_take_half_a_vector() -> None:
    layer = Layer((1, 16, 16, 16), 8, SAME, "requantize")
    compiler = tvm_target(load_target("x86-64-v4-vnni"))
    scheduled = schedule(layer.body, layer.inputs(), "x86-64-v4-vnni")
    text = build([lower("kernel", scheduled.only.func, compiler)], compiler).inspect_source("asm")
    assert re.search(r"\bvpdpbusd\s.*%ymm", text)
    assert not re.search(r"\bvpdpbusd\s.*%zmm", text)


def test_threads_share_bands_of_rows() -> None:
    layer = Layer((1, 32, 32, 16), 32, SAME, "requantize")
    inputs = layer.inputs()
    scheduled = schedule(layer.body, inputs)
    assert "T.parallel" in scheduled.only.func.script()
    np.testing.assert_array_equal(run(scheduled, inputs), layer.expected(inputs))


def test_a_residual_may_be_overwritten() -> None:
    """Loops that a rule wrote keep what the blocks promised: each element is read before it is written."""
    layer = Layer((1, 7, 7, 16), 24, SAME, "residual")
    scheduled = schedule(layer.body, layer.inputs())
    assert scheduled.rules == ["dot_tile"]
    assert len(reusable_inputs(scheduled.only.blocks)) == 1


@pytest.mark.parametrize("target", HERE)
@pytest.mark.parametrize("shift", [31, 32, 33, 40, 47, 48, 54, 55, 62, None])
def test_requantizing_any_sum(target: str, shift: int | None) -> None:
    """Sums of the whole range, multipliers of any size, one shift or one a channel, against the formula."""
    rng = np.random.default_rng(shift or 0)
    shifts = rng.integers(32, 63, 64) if shift is None else np.full((), shift)
    x, w = np.zeros((256, 4), np.int8), np.zeros((4, 64), np.int8)
    bias = rng.integers(-(2**31), 2**31, 64, dtype=np.int64)
    bias[:4] = -(2**31), 2**31 - 1, 0, -1
    for bits in (8, 20, 31):
        m = rng.integers(-(2**bits) + 1, 2**bits, 64)
        zero, low, high = int(rng.integers(-128, 128)), -128, 127

        def body(p: list[relax.Var], emit: Emit, m: np.ndarray = m, zero: int = zero) -> tvm.ir.Expr:
            acc = emit(relax.op.matmul(p[0], relax.const(w), out_dtype="int32"))
            total = emit(relax.op.add(acc, relax.const(bias.astype(np.int32))))
            factor, places = relax.const(m.astype(np.int32)), relax.const(shifts.astype(np.int32))
            return requantize(total, factor, places, zero_point=zero, low=-128, high=127, dtype="int8")

        scheduled = schedule(body, [x], target)
        assert scheduled.rules == ["dot_tile"]
        wanted = np.clip(((bias * m + (np.int64(1) << (shifts - 1))) >> shifts) + zero, low, high).astype(np.int8)
        np.testing.assert_array_equal(run(scheduled, [x]), np.broadcast_to(wanted, (256, 64)))
