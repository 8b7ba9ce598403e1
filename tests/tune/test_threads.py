"""Tuning for several threads: how a kernel is cut is searched, timed on these, and used by who asks for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.errors import DataError, TargetError
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import alternatives, machine_for, recipe_files
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import place_of
from edgetvm.tune.run_program import program_runner
from edgetvm.tune.space import Space
from edgetvm.tune.types import OK, Ran, Trial, TuningTask
from edgetvm.tune.use import tuned_for
from tests.tools import require_tool
from tests.tune.layers import conv_layer
from tests.tune.records import record

# Writes of how many tasks a loop that threads share is made.
ASKS = """
typedef struct { void *handle; int tasks; } environment;
extern int (*__TVMBackendParallelLaunch)(int (*)(int, environment *, void *), void *, int);
static int task(int number, environment *of, void *closure) {
    if (number == 0) { *(signed char *)closure = (signed char)of->tasks; }
    return 0;
}
void asks(const signed char *x, signed char *y) { (void)x; (void)__TVMBackendParallelLaunch(task, y, 0); }
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_trials_run_on_so_many(threads: int, tmp_path: Path) -> None:
    runner = program_runner(load_target("host"), tmp_path, threads=threads)
    (tmp_path / "asks.c").write_text(ASKS)
    (kernel,) = compile_sources([tmp_path / "asks.c"], tmp_path, runner.linker.target, libc=runner.platform.libc)
    ran: dict[int, Ran] = {}
    runner.run([Trial("asks", kernel, (np.zeros(8, "int8"),), (1,), (), False, 0)], 1, ran.__setitem__)
    assert ran[0].status == OK
    assert ran[0].output == bytes([1 if threads == 1 else 8 * threads])


def test_how_a_kernel_is_cut_is_searched_for_several() -> None:
    target = load_target("host")
    machine, paths = machine_for(target, "library"), recipe_files(target, "library")
    func, constants = conv_layer(16, 32, 64)
    task = TuningTask(kernel_key(func), "layer", func, constants, "", 1)
    alone, together = (Space(task, machine, alternatives(paths, threads)).moves for threads in (1, 2))
    assert "parallel_operations" not in alone
    assert together.items() > alone.items()
    uncut = Space(task, machine, {}).scheduled({"parallel_operations": 0}).func
    assert "T.parallel" not in uncut.script()
    assert "T.parallel" in Space(task, machine, {}).scheduled({}).func.script()


def test_records_of_several_come_before_those_of_one(tmp_path: Path) -> None:
    machine = machine_for(load_target("cortex-a53"), "library")
    file = RecordFile(tmp_path / "r.sqlite")
    for threads, kernel, number in ((1, "a" * 16, 32), (1, "b" * 16, 32), (4, "a" * 16, 64)):
        place = place_of("cortex-a53", replace(machine, threads=threads), "balanced")
        decision = {"unrolled_operations": number}
        file.append([record(kernel, place=place), record(kernel, decision, 50.0, place=place)])

    def used(threads: int) -> tuple[dict[str, int], list[str]]:
        tuned = tuned_for("cortex-a53", [replace(machine, threads=threads)], "balanced", file.path)
        decisions = tuned.machines[0].decisions
        return {key[0]: decisions[key]["unrolled_operations"] for key in ("a" * 16, "b" * 16)}, list(tuned.notes)

    others = f"r.sqlite: 2 records are of {place.features}, and not used"
    assert "threads=4" in others
    assert used(1) == ({"a": 32, "b": 32}, [others])
    assert used(4) == ({"a": 64, "b": 32}, [])
    assert used(2) == ({"a": 32, "b": 32}, [others])


def test_refusals(int8_digits: Path, tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    file = tmp_path / "r.sqlite"
    with pytest.raises(TargetError, match="cycles of cortex-m4 are those of one thread"):
        edgetvm.tune(int8_digits, "cortex-m4", threads=2, records=file)
    for threads in (0, 65):
        with pytest.raises(DataError, match=f"--threads {threads}: a kernel has 1 to 64 threads"):
            edgetvm.tune(int8_digits, "host", threads=threads, records=file)
        with pytest.raises(DataError, match="1 to 64"):
            edgetvm.compile(int8_digits, "host", tmp_path / "out", threads=threads)
