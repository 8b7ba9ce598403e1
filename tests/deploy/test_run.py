"""Packages of known behaviour, good and bad, on every runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run
from edgetvm.errors import DataError, PackageError, RunError, TargetError, ToolError
from tests.deploy import hand_made
from tests.deploy.hand_made import ARENA_BYTES, samples, write_package
from tests.tools import require_tool

RUNNERS = {
    "host": "host",
    "cortex-a53": "qemu-aarch64",
    "cortex-a8": "qemu-arm",
    "qemu-mps2-an385": "qemu-system-arm",
    "qemu-mps2-an386": "qemu-system-arm",
    "qemu-mps2-an500": "qemu-system-arm",
    "qemu-mps2-an505": "qemu-system-arm",
    "qemu-mps3-an547": "qemu-system-arm",
    "qemu-microbit": "qemu-system-arm",
}
LINUX = ["host", "cortex-a53", "cortex-a8"]
ONE_OF_EACH = ["host", "cortex-a53", "qemu-mps2-an386"]


@pytest.fixture(params=RUNNERS)
def target(request: pytest.FixtureRequest) -> str:
    if RUNNERS[request.param] != "host":
        require_tool(RUNNERS[request.param])
    return str(request.param)


def one_of(targets: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("target", targets, indirect=True)


def test_a_good_model(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, target)
    request = RunRequest(samples(5), warmup=1, repeats=3, guard=True, count=True)
    first, second = run(package, request), run(package, request)
    np.testing.assert_array_equal(first.outputs[0], samples(5)[0] + 1)
    assert first.outputs[0].dtype == np.float32
    assert first.runner == RUNNERS[target]
    assert (first.guard_ok, first.repeatable, first.arena_touched) == (True, True, ARENA_BYTES)
    assert first.stack_bytes is not None
    assert 0 < first.stack_bytes < 500
    if target == "host":
        assert first.latency_ns is not None
        assert len(first.latency_ns) == 3
        assert first.instructions is None
    else:
        assert first.latency_ns is None
        assert first.instructions is not None
        assert 50 < first.instructions < 1000
    assert second.outputs[0].tobytes() == first.outputs[0].tobytes()
    assert (second.instructions, second.stack_bytes) == (first.instructions, first.stack_bytes)


@pytest.mark.parametrize("body", [hand_made.OUTSIDE_BEFORE, hand_made.OUTSIDE_AFTER], ids=["before", "after"])
@one_of(ONE_OF_EACH)
def test_a_write_beside_the_arena_is_seen(target: str, body: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", body, target)
    assert run(package, RunRequest(samples(1), guard=True)).guard_ok is False
    assert run(package, RunRequest(samples(1))).guard_ok is None


@one_of(ONE_OF_EACH)
def test_reading_what_nobody_wrote_is_seen(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.READS_UNWRITTEN, target)
    measurement = run(package, RunRequest(samples(1), guard=True))
    assert measurement.repeatable is False
    assert measurement.arena_touched == 32  # input and output, not the scratch behind them


@one_of([*ONE_OF_EACH, "cortex-a8", "qemu-microbit"])
def test_the_stack_is_measured(target: str, tmp_path: Path) -> None:
    shallow = write_package(tmp_path / "shallow", hand_made.ADD_ONE, target)
    deep = write_package(tmp_path / "deep", hand_made.DEEP_STACK, target)
    depths = [run(package, RunRequest(samples(1))).stack_bytes for package in (shallow, deep)]
    assert depths[0] is not None
    assert depths[1] is not None
    assert depths[0] < 500
    assert hand_made.DEEP_STACK_BYTES <= depths[1] < hand_made.DEEP_STACK_BYTES + 500


@one_of(ONE_OF_EACH)
def test_a_failing_kernel_is_named_with_its_sample(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.KERNEL_FAILS, target)
    with pytest.raises(RunError, match=r"EDGETVM_KERNEL_FAILED; it was in sample 3 of 4"):
        run(package, RunRequest(samples(4)))


@one_of(LINUX)
def test_a_null_pointer_is_a_crash(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.WRITES_NULL, target)
    message = f"hand_made failed on {RUNNERS[target]}: it crashed with SIGSEGV; it was in sample 3 of 4"
    with pytest.raises(RunError, match=message):
        run(package, RunRequest(samples(4)))


@one_of(["qemu-microbit"])
def test_an_unaligned_access_is_a_hard_fault_on_cortex_m0(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.WRITES_UNALIGNED, target)
    with pytest.raises(RunError, match=r"HardFault at pc 0x\w+; it was in sample 3 of 4"):
        run(package, RunRequest(samples(4)))


@one_of(["qemu-mps2-an385", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-mps3-an547"])
def test_a_wild_pointer_is_a_bus_fault(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.WRITES_NOWHERE, target)
    with pytest.raises(RunError, match=r"BusFault at pc 0x\w+, CFSR 0x0000[\w]+; it was in sample 3 of 4"):
        run(package, RunRequest(samples(4)))


@one_of(["host", "cortex-a53", "qemu-mps3-an547"])
def test_endless_recursion_is_a_failure(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.OVERFLOWS_STACK, target)
    reason = "stack overflow" if target == "qemu-mps3-an547" else "crashed with SIGSEGV"
    with pytest.raises(RunError, match=reason):
        run(package, RunRequest(samples(1)))


@one_of(["qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps3-an547", "qemu-microbit"])
def test_too_little_stack_is_a_failure(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.OVER_4_KIB_OF_STACK, target)
    with pytest.raises(RunError, match=r"stack overflow|overflowed its stack of \d+ bytes"):
        run(package, RunRequest(samples(1)))


@one_of(ONE_OF_EACH)
def test_a_hanging_model_is_stopped(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.HANGS, target)
    with pytest.raises(RunError, match=rf"did not finish on {RUNNERS[target]} in 1.5 s; it was in sample 3 of 4"):
        run(package, RunRequest(samples(4), timeout_s=1.5))


@pytest.mark.parametrize(
    ("target", "form", "libc"),
    [
        ("host", "library", "gnu"),
        ("host", "object", "gnu"),
        ("cortex-a53", "library", "gnu"),
        ("cortex-a53", "library", "musl"),
        ("cortex-a8", "library", "gnu"),
        ("cortex-a8", "object", "musl"),
    ],
    indirect=["target"],
)
def test_compiled_packages_link(target: str, form: str, libc: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, target, form=form, libc=libc)
    threaded = RunRequest(samples(3), caller_buffers=True, threads=2)
    for request in (RunRequest(samples(3)), threaded):
        np.testing.assert_array_equal(run(package, request).outputs[0], samples(3)[0] + 1)


@one_of(["qemu-mps2-an386"])
def test_compiled_packages_link_for_a_board(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "cortex-m4", form="library", libc="none")
    np.testing.assert_array_equal(run(package, RunRequest(samples(2)), board=target).outputs[0], samples(2)[0] + 1)
    with pytest.raises(TargetError, match="cortex-m4 has no emulator"):
        run(package, RunRequest(samples(2)))
    with pytest.raises(TargetError, match="raspberry-pi-3 has aarch64 instructions, hand_made was compiled for"):
        run(package, RunRequest(samples(2)), board="raspberry-pi-3")


@one_of(["host", "cortex-a8", "qemu-microbit"])
def test_portable_c_runs_anywhere(target: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "generic-c")
    measurement = run(package, RunRequest(samples(2)), board=None if target == "host" else target)
    np.testing.assert_array_equal(measurement.outputs[0], samples(2)[0] + 1)
    assert measurement.runner == RUNNERS[target]


def test_buffers_of_the_caller_stay_as_they_are(tmp_path: Path) -> None:
    """Sample 0 is loaded once for all timed runs: a model that wrote to its input would drift."""
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "host")
    measurement = run(package, RunRequest(samples(1), warmup=2, repeats=50, caller_buffers=True, guard=True))
    assert measurement.latency_ns is not None
    assert len(measurement.latency_ns) == 50
    assert measurement.arena_touched == ARENA_BYTES
    assert measurement.guard_ok is True


def test_guarded_buffers_have_only_the_alignment_of_their_elements(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.WANTS_ALIGNMENT, "host")
    run(package, RunRequest(samples(1), caller_buffers=True))
    with pytest.raises(RunError, match="EDGETVM_KERNEL_FAILED"):
        run(package, RunRequest(samples(1), caller_buffers=True, guard=True))


def test_what_a_board_cannot_do_is_said(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "qemu-mps2-an386")
    with pytest.raises(TargetError, match="one thread"):
        run(package, RunRequest(samples(1), threads=2))


def test_wrong_inputs_are_named(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "host")
    good = samples(2)[0]
    with pytest.raises(DataError, match=r"has 1 inputs, 2 arrays were given"):
        run(package, RunRequest((good, good)))
    with pytest.raises(DataError, match=r"input 'x' of hand_made has shape \[4\], a sample of the given array \[2\]"):
        run(package, RunRequest((good[:, :2],)))
    with pytest.raises(DataError, match=r"input 'x' of hand_made is float32, the given array float64"):
        run(package, RunRequest((good.astype(np.float64),)))


def test_a_missing_emulator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "cortex-a8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="qemu-arm is not installed") as caught:
        run(package, RunRequest(samples(1)))
    assert caught.value.hint is not None
    assert "apt install qemu-user" in caught.value.hint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "manifest.json").unlink(), "is not a package: manifest.json"),
        (lambda p: (p / "manifest.json").write_text("{"), "is not JSON"),
        (lambda p: (p / "manifest.json").write_text("[]"), "format version None"),
        (lambda p: (p / "manifest.json").write_text('{"format_version": 3}'), "format version 3; this EdgeTVM reads 2"),
        (lambda p: (p / "manifest.json").write_text('{"format_version": 2}'), "is damaged: KeyError"),
        (lambda p: (p / "include" / "hand_made.h").unlink(), "incomplete: include/hand_made.h is missing"),
    ],
)
def test_a_damaged_package_is_refused(damage, message: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "host")
    damage(package)
    with pytest.raises(PackageError, match=message):
        run(package, RunRequest(samples(1)))


def test_a_board_whose_core_lacks_instructions(tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "qemu-mps2-an386")
    with pytest.raises(
        TargetError, match="qemu-microbit has no thumb2, hwdiv, dsp, vfp2sp, hand_made was compiled for"
    ):
        run(package, RunRequest(samples(1)), board="qemu-microbit")


def test_a_board_with_more_instructions_runs_it(tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "qemu-mps2-an386")
    found = run(package, RunRequest(samples(2)), board="qemu-mps2-an500")
    np.testing.assert_array_equal(found.outputs[0], samples(2)[0] + 1)


@pytest.mark.parametrize("more", [{"threads": 2}, {"bound": True}])
def test_threads_need_an_operating_system(more: dict[str, int], tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "qemu-mps2-an386")
    with pytest.raises(TargetError, match="qemu-mps2-an386 has one thread, and no choice of cores"):
        run(package, RunRequest(samples(1), **more))
