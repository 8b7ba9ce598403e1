"""Programs of trials: each candidate by itself, whatever the others do."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.tune import run_program
from edgetvm.tune.judge import cost_of, judge
from edgetvm.tune.run_program import ProgramRunner, program_runner
from edgetvm.tune.types import CRASHED, HUNG, OK, WRONG, Ran, Trial
from tests.deploy.board_at_port import appearing_board, own_board
from tests.tools import require_tool

BODIES = {
    "right": "for (int i = 0; i < 8; i++) y[i] = (signed char)(x[i] + 1);",
    "slow": "for (volatile int n = 0; n < 3000; n++) { } for (int i = 0; i < 8; i++) y[i] = (signed char)(x[i] + 1);",
    "wrong": "for (int i = 0; i < 8; i++) y[i] = x[i];",
    "beside": "for (int i = 0; i < 9; i++) y[i] = (signed char)(x[i & 7] + 1);",
    "crash": "__builtin_trap();",
    "hang": 'for (;;) { __asm__ volatile(""); }',
}
X = np.arange(8, dtype="int8")
WANTED = [np.arange(1, 9, dtype="int8")]
TARGETS = {"host": None, "cortex-a53": "qemu-aarch64", "cortex-m4": "qemu-system-arm"}
UNITS = {"host": "us", "cortex-a53": "instructions", "cortex-m4": "cycles", "own": "measured cycles"}


@pytest.fixture(scope="module", params=[*TARGETS, "at a port"])
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProgramRunner]:
    folder = tmp_path_factory.mktemp("harness")
    if request.param in TARGETS:
        if (tool := TARGETS[request.param]) is not None:
            require_tool(tool)
        yield program_runner(load_target(request.param), folder)
    else:
        with pytest.MonkeyPatch.context() as monkeypatch, appearing_board(monkeypatch) as port:
            yield program_runner(load_target(own_board(folder, "cortex-m0plus", "mps2-an386")), folder, f"@{port}")


@pytest.fixture(scope="module")
def trials(runner: ProgramRunner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    work = tmp_path_factory.mktemp("kernels")
    made = {}
    for name, body in BODIES.items():
        (work / f"{name}.c").write_text(f"void {name}(const signed char *x, signed char *y) {{ {body} }}\n")
        (kernel,) = compile_sources([work / f"{name}.c"], work, runner.linker.target, libc=runner.platform.libc)
        made[name] = Trial(name, kernel, (X,), (8,), (), False, 0, exact=True)
    return made


def test_each_is_judged_by_itself(
    runner: ProgramRunner, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_program, "_LIMIT_S", 2.0)
    names = ["crash", "right", "beside", "wrong", "slow", "hang", "right"]
    ran: dict[int, Ran] = {}
    runner.run([trials[name] for name in names], 5, ran.__setitem__)
    outcomes = [judge(ran[number], WANTED, runner.unit) for number in range(len(names))]
    assert [outcome.status for outcome in outcomes] == [CRASHED, OK, WRONG, WRONG, OK, HUNG, OK]
    right, slow, again = (outcomes[place].cost for place in (1, 4, 6))
    assert right and slow and again
    assert slow.value > 20 * right.value
    assert slow.unit == UNITS[runner.linker.target.name]
    if runner.platform.figure:
        assert right == again
        assert right.value < 200


def test_as_many_are_linked_as_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five trials, each with a constant of 40 KiB, two fit; and one that is larger than the flash fits nowhere."""
    require_tool("qemu-system-arm")
    file = Path(own_board(tmp_path, "cortex-m4", "mps2-an386"))
    file.write_text(file.read_text().replace("kib     = 4096", "kib     = 100", 1))
    runner = program_runner(load_target(str(file)), tmp_path)
    (tmp_path / "first.c").write_text("void first(const signed char *x, signed char *y) { *y = *x; }\n")
    (kernel,) = compile_sources([tmp_path / "first.c"], tmp_path, runner.linker.target)

    def trial(value: int, kib: int) -> Trial:
        return Trial("first", kernel, (np.full(kib << 10, value, "int8"),), (1,), (), False, 0, (0,), True)

    linked: list[int] = []
    write_request = run_program.Results
    monkeypatch.setattr(
        run_program, "Results", lambda trials, *rest: linked.append(len(trials)) or write_request(trials, *rest)
    )
    monkeypatch.setattr(run_program, "cores", lambda: 1)
    trials = [trial(1, 40), trial(2, 40), trial(3, 200), trial(4, 40), trial(5, 40), trial(6, 40)]
    ran: dict[int, Ran] = {}
    runner.run(trials, 0, ran.__setitem__)
    assert [ran[n].output for n in range(6)] == [b"\1", b"\2", b"", b"\4", b"\5", b"\6"]
    assert (ran[2].status, linked) == (CRASHED, [1, 1, 1, 2])
    assert "needs 2" in ran[2].note and "flash" in ran[2].note


def test_cycles_do_not_depend_on_the_place(tmp_path: Path) -> None:
    """A loop of wide instructions, one of which crosses a page if a narrow one lies before the loop."""
    require_tool("qemu-system-arm")
    runner = program_runner(load_target("cortex-m4"), tmp_path)
    loop = r"movs r3, #50 \n 1: .rept 400 \n add.w r2, r2, r2 \n .endr \n subs r3, #1 \n bne.w 1b"
    trials = []
    for name, before in (("even", ""), ("odd", r"nop \n ")):
        code = f'__asm__ volatile("{before}{loop}" ::: "r2", "r3", "cc"); *y = *x;'
        place = '__attribute__((aligned(1024), section(".text.loop")))'
        (tmp_path / f"{name}.c").write_text(f"{place} void {name}(const signed char *x, signed char *y) {{ {code} }}\n")
        (kernel,) = compile_sources([tmp_path / f"{name}.c"], tmp_path, runner.linker.target)
        trials.append(Trial(name, kernel, (X[:1],), (1,), (), False, 0, exact=True))
    ran: dict[int, Ran] = {}
    runner.run(trials, 0, ran.__setitem__)
    (even,), (odd,) = ran[0].samples, ran[1].samples
    assert even > 50 * 400
    assert odd == even + 1


class Enough(Exception):
    """No more is wanted."""


def test_each_is_told_as_it_ends(runner: ProgramRunner, trials: dict[str, Trial]) -> None:
    """What hangs behind it is not waited for."""

    def tell(_number: int, _ran: Ran) -> None:
        raise Enough

    began = time.monotonic()
    with pytest.raises(Enough):
        runner.run([trials[name] for name in ("right", "right", "hang", "hang")], 2, tell)
    assert time.monotonic() - began < run_program._LIMIT_S


def test_times_are_multiples_of_what_is_beside(runner: ProgramRunner, trials: dict[str, Trial]) -> None:
    ran: dict[int, Ran] = {}
    names = ("slow", "right", "slow")
    runner.run([replace(trials[name], beside=trials["right"]) for name in names], 3, ran.__setitem__)
    times = 0 if runner.platform.figure else 3  # an emulator counts, once
    assert [len(ran[number].beside) for number in range(3)] == [times] * 3
    slow, same, again = (judge(ran[number], WANTED, "us", 3.0).cost for number in range(3))
    assert slow and same and again
    assert slow.value > 60
    assert times == 0 or same.value == pytest.approx(3.0, rel=0.5)


def test_floats_may_differ_a_little() -> None:
    wanted = np.linspace(0, 1, 8, dtype="float32")

    def status(off: float) -> str:
        return judge(Ran(OK, (wanted + np.float32(off)).tobytes(), (1.0,)), [wanted], "us").status

    assert status(0.0) == status(5e-5) == OK
    assert status(2e-4) == status(float("nan")) == WRONG


def test_integers_may_be_told_by_their_crc() -> None:
    def status(digest: int) -> str:
        return judge(Ran(OK, samples=(1.0,), digest=digest), WANTED, "cycles").status

    assert status(zlib.crc32(bytes(range(1, 9)))) == OK
    assert status(zlib.crc32(bytes(range(8)))) == WRONG


def test_outliers_do_not_count() -> None:
    cost = cost_of([10.0, 10.1, 9.9, 10.0, 10.05, 40.0, 9.95], "us")
    assert cost.value == pytest.approx(10.0)
    assert 9.8 < cost.low <= cost.value <= cost.high < 10.2
    assert cost_of([7.0], "cycles").low == cost_of([7.0], "cycles").high == 7.0
