"""The bound of the stack against what runs, and what has no bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.codegen.stack_depth import Unbounded, stack_depth
from edgetvm.deploy.build import build_image
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.target.load import load_target
from tests.deploy import hand_made
from tests.deploy.hand_made import samples, write_package
from tests.target.bare_metal import link_program
from tests.tools import require_tool

# Floats of an M0 have no room on its board beside the harness.
CASES = [("qemu-microbit", True), ("qemu-mps2-an385", True), ("qemu-mps2-an500", False)]
CASES += [(board, quantized) for board in ("qemu-mps2-an386", "qemu-mps3-an547") for quantized in (False, True)]
DEEP = """
int deep(int n);
__attribute__((noinline)) int deep(int n) {{ volatile char frame[{bytes}]; frame[n] = 1; return frame[0]; }}
__attribute__((noinline, used)) int shallow(int n) {{ return {body}; }}
int main(void) {{ return shallow(3); }}
"""


def image_of(package: Path, board: str, work: Path) -> Path:
    """The image that the harness runs."""
    target = load_target(board)
    work.mkdir()
    return build_image(read_package(package), target, target.board, work)


@pytest.mark.parametrize(("board", "quantized"), CASES)
def test_what_runs_stays_within(
    board: str,
    quantized: bool,
    compiled: Callable[..., edgetvm.Package],
    digits: Path,
    int8_digits: Path,
    tmp_path: Path,
) -> None:
    """The harness measures from the frame that calls `run_model`, to the last byte that changed."""
    require_tool("qemu-system-arm")
    package = compiled(int8_digits if quantized else digits, board, integer_io=quantized)
    image = image_of(package.path, board, tmp_path / "build")
    info = package.manifest["inputs"][0]
    zeros = np.zeros((1, *info["shape"]), info["dtype"])
    measured = run(package.path, RunRequest((zeros,))).stack_bytes
    bound = stack_depth(image, "run_model", "run")
    assert measured <= bound <= measured + 64
    assert package.manifest["stack_bytes"] == stack_depth(image, "edgetvm_run", "run")


@pytest.mark.parametrize("size", [8, 300, 1000, 1024, 4097])
def test_frames_of_every_size(size: int, tmp_path: Path) -> None:
    """Small ones are in the instruction, larger ones are packed in it."""
    (tmp_path / "main.c").write_text(DEEP.format(bytes=size, body="deep(n) + 1"))
    image = link_program(tmp_path / "main.c", load_target("cortex-m4"), "qemu-mps2-an386")
    assert size <= stack_depth(image, "main", "") <= size + 48


def test_recursion_has_no_bound(tmp_path: Path) -> None:
    board = "qemu-mps2-an386"
    image = image_of(write_package(tmp_path / "p", hand_made.OVERFLOWS_STACK, board), board, tmp_path / "build")
    with pytest.raises(Unbounded, match="calls itself"):
        stack_depth(image, "edgetvm_run", "run")


def test_a_computed_frame_has_no_bound(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(
        DEEP.format(bytes=8, body="({ volatile char a[n + deep(n)]; a[n - 1] = 1; a[0]; })")
    )
    image = link_program(tmp_path / "main.c", load_target("cortex-m4"), "qemu-mps2-an386")
    with pytest.raises(Unbounded, match="computed"):
        stack_depth(image, "main", "")


def test_a_pointer_has_no_bound(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(DEEP.format(bytes=8, body="(*(int (*volatile *)(int))16)(n) + 1"))
    image = link_program(tmp_path / "main.c", load_target("cortex-m4"), "qemu-mps2-an386")
    with pytest.raises(Unbounded, match="pointer"):
        stack_depth(image, "main", "")


def test_a_deep_kernel_is_seen(tmp_path: Path) -> None:
    board = "qemu-mps2-an386"
    package = write_package(tmp_path / "p", hand_made.DEEP_STACK, board)
    image = image_of(package, board, tmp_path / "build")
    assert run(package, RunRequest(samples(1))).stack_bytes <= stack_depth(image, "run_model", "run")
    assert stack_depth(image, "edgetvm_run", "run") >= hand_made.DEEP_STACK_BYTES
