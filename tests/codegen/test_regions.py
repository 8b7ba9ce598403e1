"""Models that the fastest memory of a board cannot hold: spread over its regions they compile, and run exactly."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.cli.main import main
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run
from edgetvm.errors import DoesNotFitError
from edgetvm.report.region_use import RegionUse
from edgetvm.target.load import load_target
from tests.target.bare_metal import link_program, run_image
from tests.target.small_board import smaller
from tests.tools import require_tool


@pytest.fixture
def spread_digits(
    compiled: Callable[..., edgetvm.Package], int8_digits: Path, session_dir: Path
) -> Callable[[str], edgetvm.Package]:
    """int8, for a board with 1 and 4 KiB of RAM for the arenas."""
    return lambda board: compiled(int8_digits, smaller(board, 9, 4, session_dir), integer_io=True)


def regions(package: edgetvm.Package) -> dict[str, RegionUse]:
    footprint = package.footprint()
    assert footprint is not None
    return {use.region.name: use for use in footprint.regions}


@pytest.mark.parametrize("board", ["qemu-mps2-an386", "qemu-mps3-an547"])
def test_it_runs_exactly(board: str, spread_digits: Callable[[str], edgetvm.Package]) -> None:
    require_tool("qemu-system-arm")
    package = spread_digits(board)
    fast, slow = (memory.name for memory in load_target(board).board.memory if memory.kind == "ram")
    arena = package.manifest["arena"]
    assert [part["region"] for part in arena["parts"]] == [fast, slow]
    assert arena["parts"][0]["bytes"] <= 1024 < arena["bytes"] == sum(part["bytes"] for part in arena["parts"])
    report = package.verify(samples=3, canary=True)
    assert (report.passed, report.integer_mismatches) == (True, 0)
    use = regions(package)
    assert dict(use[fast].sections) == {".stack": 4096, ".arena": arena["parts"][0]["bytes"]}
    assert dict(use[slow].sections) == {".arena.1": arena["parts"][1]["bytes"]}
    assert package.manifest["ram_bytes"] == arena["bytes"]


def test_neither_arena_is_left(spread_digits: Callable[[str], edgetvm.Package]) -> None:
    require_tool("qemu-system-arm")
    package = spread_digits("qemu-mps2-an386")
    (entry,) = package.manifest["inputs"]
    sample = np.zeros((1, *entry["shape"]), np.int8)
    measured = run(package.path, RunRequest((sample,), guard=True))
    assert (measured.guard_ok, measured.repeatable) == (True, True)
    assert measured.arena_touched == package.manifest["arena"]["bytes"]


def test_words_in_use_most_are_near(spread_digits: Callable[[str], edgetvm.Package]) -> None:
    """The scratch of the convolutions, which reads of windows hit again and again, and the largest tensor apart."""
    blocks = spread_digits("qemu-mps2-an386").manifest["arena"]["blocks"]
    assert all(block["arena"] == 0 for block in blocks if block["scratch"] and "Conv" in block["name"])
    assert any(block["arena"] == 1 for block in blocks if block["bytes"] == max(each["bytes"] for each in blocks))


def test_a_float_model_that_fits_no_region_alone(
    compiled: Callable[..., edgetvm.Package], digits: Path, session_dir: Path, tmp_path: Path
) -> None:
    require_tool("qemu-system-arm")
    package = compiled(digits, smaller("qemu-mps2-an386", 13, 6, session_dir))
    assert package.manifest["arena"]["bytes"] > 6 * 1024
    assert len(package.manifest["arena"]["parts"]) == 2
    assert package.verify(samples=2).passed
    with pytest.raises(
        DoesNotFitError, match=r"cannot be laid into the RAM of .*: 'ssram23' 8\.0 KiB, 'psram' 1\.0 KiB"
    ):
        edgetvm.compile(digits, smaller("qemu-mps2-an386", 8, 1, tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_changes_where_the_fastest_region_has_room(
    compiled: Callable[..., edgetvm.Package], int8_digits: Path, session_dir: Path
) -> None:
    plain = compiled(int8_digits, "cortex-m4", integer_io=True)
    roomy = compiled(int8_digits, smaller("qemu-mps2-an386", 10, 2, session_dir), integer_io=True)
    assert roomy.manifest["arena"] == plain.manifest["arena"]
    for file in ("lib/libint8_digits.a", "include/int8_digits.h", "src/int8_digits.c", "main.c"):
        assert (roomy.path / file).read_bytes() == (plain.path / file).read_bytes()


def test_what_it_prints(
    int8_digits: Path, session_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_tool("qemu-system-arm")
    board = smaller("qemu-mps2-an386", 9, 4, session_dir)
    assert main(["compile", str(int8_digits), "--target", board, "--integer-io", "-o", str(tmp_path / "out")]) == 0
    parts = json.loads((tmp_path / "out" / "manifest.json").read_text())["arena"]["parts"]
    near, far = (f"{part['bytes']:,}" for part in parts)
    printed = capsys.readouterr().out
    assert f"arena of {near} bytes in ssram23, arena of {far} bytes in psram" in printed
    assert re.search(rf"ssram23 .* of 9,216 .*: .stack 4,096, .arena {near}\b", printed)
    assert re.search(rf"psram .* of 4,096 .*: .arena.1 {far}\b", printed)


MAIN = """
#include <stdint.h>
#include <string.h>
#include "first.h"
#include "second.h"

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
__attribute__((section(".arena.0"))) static uint64_t near[(LARGER(FIRST_ARENA_0_BYTES, SECOND_ARENA_BYTES) + 7) / 8];
__attribute__((section(".arena.1"))) static uint64_t far[(FIRST_ARENA_1_BYTES + 7) / 8];
static const edgetvm_arena good[] = {{near, sizeof near}, {far, sizeof far}};
static const int8_t input[] = {%(input)s};
static const int8_t output[] = {%(output)s};

static edgetvm_status run(const edgetvm_model *model, const edgetvm_arena *arenas, int32_t count, int8_t *result)
{
    const void *inputs[] = {input};
    void *outputs[] = {result};
    return edgetvm_run_in(model, arenas, count, inputs, outputs);
}

static int answers(const edgetvm_model *model)
{
    int8_t result[sizeof output];
    return run(model, good, 2, result) == EDGETVM_OK && memcmp(result, output, sizeof output) == 0;
}

/* Refusals of the model with two arenas, the second one first: 9. */
static int refusals(void)
{
    int8_t result[sizeof output];
    edgetvm_model other = first_model;
    int right = run(&first_model, NULL, 2, result) == EDGETVM_BAD_ARGUMENT;
    right += run(&first_model, good, 1, result) == EDGETVM_BAD_ARGUMENT;
    other.abi++;
    right += run(&other, good, 2, result) == EDGETVM_OTHER_ABI;
    for (int i = 1; i >= 0; --i) {
        edgetvm_arena arenas[2] = {good[0], good[1]};
        arenas[i].memory = NULL;
        right += run(&first_model, arenas, 2, result) == EDGETVM_BAD_ARGUMENT;
        arenas[i].memory = (uint8_t *)good[i].memory + 4;
        right += run(&first_model, arenas, 2, result) == EDGETVM_ARENA_MISALIGNED;
        arenas[i] = good[i];
        arenas[i].bytes = first_model.arena_bytes[i] - 1;
        right += run(&first_model, arenas, 2, result) == EDGETVM_ARENA_TOO_SMALL;
    }
    return right;
}

int main(void)
{
    int right = refusals();
    for (int turn = 0; turn < 3; ++turn) {
        right += answers(&first_model) + answers(&second_model);
    }
    return right;
}
"""


def test_two_models_share_the_arenas_and_refuse_others(
    compiled: Callable[..., edgetvm.Package], int8_digits: Path, session_dir: Path, tmp_path: Path
) -> None:
    """One model with two arenas and one with one, in one image, take turns; each wrong argument has its status."""
    board = smaller("qemu-mps2-an386", 9, 4, session_dir)
    plain = compiled(int8_digits, "host", integer_io=True)
    packages = {
        "first": compiled(int8_digits, board, integer_io=True, name="first"),
        "second": compiled(int8_digits, "cortex-m4", integer_io=True, name="second", optimize="size"),
    }
    (entry,) = plain.manifest["inputs"]
    codes = np.random.default_rng(1).integers(-128, 128, entry["shape"]).astype(np.int8)
    (wanted,) = plain.run({entry["name"]: codes}).values()
    for name, package in packages.items():
        shutil.copy(package.path / "include" / f"{name}.h", tmp_path)
    program = tmp_path / "main.c"
    arrays = {"input": codes, "output": wanted}
    program.write_text(MAIN % {name: ", ".join(map(str, array.ravel())) for name, array in arrays.items()})
    libraries = [package.path / "lib" / f"lib{name}.a" for name, package in packages.items()]
    image = link_program(program, load_target("qemu-mps2-an386"), "qemu-mps2-an386", libraries)
    assert run_image(image, "qemu-mps2-an386") == (9 + 6, "")


def test_boards_are_judged_as_compile_would_lay_it_out(
    int8_digits: Path, session_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [smaller("qemu-mps2-an386", *sizes, session_dir) for sizes in ((9, 4), (5, 1), (10, 2))]
    monkeypatch.setattr(sys.modules["edgetvm.api.fit"], "list_targets", lambda: boards)
    both, neither, first = edgetvm.fit(int8_digits, integer_io=True)
    assert [board.fits for board in (both, neither, first)] == [True, False, True]
    used = [{use.region.name: set(use.sections) for use in board.regions} for board in (both, first)]
    assert used[0]["ssram23"] == {".stack", ".arena"}
    assert used[0]["psram"] == {".arena.1"}
    assert used[1]["psram"] == set()
