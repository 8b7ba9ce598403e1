"""The outputs of every kernel call: whole, in order, right after the call, on every runner."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import edgetvm
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import PackageError, RunError
from tests.deploy import hand_made
from tests.deploy.hand_made import samples, write_package
from tests.importers.models import save
from tests.tools import require_tool

EMULATORS = {"host": None, "cortex-a53": "qemu-aarch64", "cortex-a8": "qemu-arm", "qemu-mps2-an386": "qemu-system-arm"}


@pytest.fixture(params=EMULATORS)
def target(request: pytest.FixtureRequest) -> str:
    if EMULATORS[request.param] is not None:
        require_tool(EMULATORS[request.param])
    return str(request.param)


@pytest.mark.parametrize("form", ["library", "object", "c"])
def test_every_kernel_gives_what_onnx_runtime_gives(
    compiled: Callable[..., edgetvm.Package], digits: Path, target: str, form: str
) -> None:
    package = compiled(digits, target, format=form)
    images = np.random.default_rng(0).uniform(0, 1, (3, 1, 1, 8, 8)).astype(np.float32)
    measurement = run(package.path, RunRequest((images,), taps=True))
    expected = intermediates(digits, images)
    names = compare(package.path, digits, measurement, expected)
    inside = {"relu", "relu_2"} if target == "qemu-mps2-an386" else set()  # of kernels joined by rows
    wanted = {"relu", "relu_1", "relu_2", "max_pool2d", "relu_3", "relu_4", "linear", "probabilities"} - inside
    assert wanted <= set(names)
    np.testing.assert_array_equal(measurement.outputs[0], taps_of(measurement)[-1])


def test_taps_change_no_output(compiled: Callable[..., edgetvm.Package], digits: Path, target: str) -> None:
    package = compiled(digits, target)
    images = np.random.default_rng(1).uniform(0, 1, (2, 1, 1, 8, 8)).astype(np.float32)
    plain = run(package.path, RunRequest((images,)))
    tapped = run(package.path, RunRequest((images,), taps=True, guard=True, repeats=2))
    assert plain.taps is None
    assert plain.outputs[0].tobytes() == tapped.outputs[0].tobytes()
    assert (tapped.guard_ok, tapped.repeatable) == (True, True)


def test_taps_with_threads_and_buffers_of_the_caller(compiled: Callable[..., edgetvm.Package], digits: Path) -> None:
    package = compiled(digits, "host")
    images = np.random.default_rng(1).uniform(0, 1, (2, 1, 1, 8, 8)).astype(np.float32)
    one = run(package.path, RunRequest((images,), taps=True))
    other = run(package.path, RunRequest((images,), taps=True, threads=2, caller_buffers=True, guard=True))
    for first, second in zip(taps_of(one), taps_of(other), strict=True):
        np.testing.assert_array_equal(first, second)


def test_copies_views_and_kernels_in_place(
    compiled: Callable[..., edgetvm.Package], tmp_path: Path, target: str
) -> None:
    """Exp runs in place; the second output is a view of the first, and so a copy."""
    weights = np.random.default_rng(0).standard_normal((6, 6)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("ReduceMax", ["x"], ["r"], name="largest", axes=[2], keepdims=0),
        onnx.helper.make_node("Exp", ["r"], ["e"], name="exp"),
        onnx.helper.make_node("MatMul", ["e", "w"], ["m"], name="product"),
        onnx.helper.make_node("Reshape", ["m", "shape"], ["y"], name="view"),
    ]
    constants = {"w": weights, "shape": np.array([2, 12], np.int64)}
    model = save(tmp_path / "chain.onnx", nodes, {"x": [4, 6, 3]}, ["m", "y"], constants)
    package = compiled(model, target)
    x = np.random.default_rng(2).standard_normal((2, 4, 6, 3)).astype(np.float32)
    measurement = run(package.path, RunRequest((x,), taps=True))
    names = compare(package.path, model, measurement, intermediates(model, x))
    assert names == ["r", "e", "m"]
    assert re.search(r"exp\((\(void \*\)\(arena_0 \+ \d+\)), \1\);", (package.path / "src" / "chain.c").read_text())
    (copy,) = (i for i, call in enumerate(read_package(package.path).calls) if call.kernel == "memcpy")
    assert measurement.taps is not None
    np.testing.assert_array_equal(measurement.taps[copy][0], measurement.outputs[1])


@pytest.mark.parametrize("form", ["library", "object", "c"])
def test_every_sample_is_there(form: str, target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, target, form=form)
    ((tap,),) = run(package, RunRequest(samples(5), taps=True, guard=True, warmup=1, repeats=1)).taps or ()
    np.testing.assert_array_equal(tap, samples(5)[0] + 1)
    assert tap.dtype == np.float32


def test_a_package_that_taps_other_bytes_than_it_says_is_refused(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "host")
    source = package / "src" / "hand_made.c"
    source.write_text(source.read_text().replace("EDGETVM_TAP(0, 0, y, 16);", ""))
    with pytest.raises(RunError, match="hand_made wrote 0 bytes of taps, 32 were expected"):
        run(package, RunRequest(samples(2), taps=True))


def test_a_package_without_its_entry_is_incomplete(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "host", form="library", libc="gnu")
    (package / "src" / "hand_made.c").unlink()
    run(package, RunRequest(samples(1)))
    with pytest.raises(PackageError, match=r"incomplete: src/hand_made.c is missing"):
        run(package, RunRequest(samples(1), taps=True))


def taps_of(measurement: Measurement) -> list[np.ndarray]:
    assert measurement.taps is not None
    return [array for call in measurement.taps for array in call]


def intermediates(path: Path, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Every float tensor that a node of the model gives, by name, the samples along its first axis."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(value for value in model.graph.value_info if value.name not in known)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    rows = [session.run(names, {session.get_inputs()[0].name: sample}) for sample in inputs]
    return {name: np.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def compare(folder: Path, path: Path, measurement: Measurement, expected: dict[str, np.ndarray]) -> list[str]:
    """Compare each call with the output of the last of its nodes; gives the names of the tensors compared."""
    order = {node.name: node for node in onnx.load(path).graph.node}
    names = []
    assert measurement.taps is not None
    for call, taps in zip(read_package(folder).calls, measurement.taps, strict=True):
        assert [tap.shape[1:] for tap in taps] == [output.shape for output in call.outputs]
        last = max(call.nodes, key=list(order).index, default=None)
        if last is None:
            continue
        reference = expected[order[last].output[0]]
        (tap,) = taps
        if tap.ndim == 5 and tap.shape != reference.shape:  # NHWC, as the kernel computes it
            reference = np.moveaxis(reference, 2, -1)
        np.testing.assert_allclose(tap.reshape(reference.shape), reference, rtol=1e-4, atol=1e-5)
        names.append(order[last].output[0])
    return names
