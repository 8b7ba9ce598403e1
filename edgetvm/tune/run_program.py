"""Runs trials in a program: on this machine, under user-mode emulation, or in an image for an emulated board."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from edgetvm.codegen.image import link_image
from edgetvm.codegen.linker_script import arena_macro
from edgetvm.codegen.objects import runtime_sources
from edgetvm.codegen.processes import cores
from edgetvm.deploy.counts import COUNTS, Figure, cycle_model, instructions, read_segments
from edgetvm.deploy.emulator import emulated_board, find_emulator
from edgetvm.deploy.exchange import OUTPUTS, Report, read_report
from edgetvm.deploy.host import runs_here
from edgetvm.deploy.qemu_system import RUNNER, board_command
from edgetvm.deploy.qemu_user import user_command
from edgetvm.errors import DoesNotFitError, TargetError
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_program
from edgetvm.target.types import Target
from edgetvm.tune.program import memory_bytes, program_text, write_request
from edgetvm.tune.types import CRASHED, HUNG, OK, WRONG, Ran, Trial

_LIMIT_S, _LIMIT_S_A_TRIAL = 10.0, 2.0
_PS = 1e6  # in a microsecond


@dataclass(frozen=True)
class Platform:
    """Where programs run. `figure` counts what a program's code takes; without it, times are measured.

    `ports` are those of the harness; `fixed_memory` tells that the program has to bring its memory.
    """

    unit: str
    ports: tuple[str, ...]
    libc: str | None
    link: Callable[[Sequence[Path], Path], Path]
    command: Callable[[Path], list[str]]
    figure: Callable[[Path], Figure] | None
    fixed_memory: bool = False


def platform_for(target: Target) -> Platform:
    """This machine if it executes the target's instructions, else an emulator of the target.

    Raises TargetError where there is none, ToolError where it is not installed.
    """
    processor = target.processor

    def figure(program: Path) -> Figure:
        return cycle_model(program, processor) if processor.cycles else instructions

    unit = "cycles" if processor.cycles else "instructions"
    if not target.is_linux:
        name = emulated_board(target)
        board = load_target(name).board if name else None
        if board is None:
            raise TargetError(f"{target.name} has no emulator", "tune for a core that a board with an emulator has")
        emulator = find_emulator(RUNNER)
        return Platform(
            unit,
            ("cortex_m", "semihosting"),
            None,
            lambda objects, out: link_image(objects, out, target, board),
            lambda program: board_command(emulator, board, program, count=True),
            figure,
            fixed_memory=True,
        )
    if runs_here(processor):
        return Platform("us", ("posix",), "gnu", _linker(target, "gnu"), lambda program: [str(program)], None)
    if processor.qemu_cpu is None:
        raise TargetError(f"processor {processor.name} has no emulator", "tune for it on such a machine")
    emulator = find_emulator(f"qemu-{processor.arch}")
    return Platform(
        unit,
        ("posix",),
        "musl",
        _linker(target, "musl"),
        lambda program: user_command(emulator, processor, program, count=True),
        figure,
    )


def _linker(target: Target, libc: str) -> Callable[[Sequence[Path], Path], Path]:
    return lambda objects, out: link_program(objects, out, target, libc=libc)


@dataclass(frozen=True)
class ProgramRunner:
    """A runner on one platform. `harness` are the objects that all programs share."""

    target: Target
    platform: Platform
    harness: tuple[Path, ...]

    @property
    def unit(self) -> str:
        return self.platform.unit

    def run(self, trials: Sequence[Trial], rounds: int) -> list[Ran]:
        """Emulators run side by side, one a core; on this machine one program has a core for itself."""
        parts = cores() if self.platform.figure else 1
        shares = [list(range(first, len(trials), parts)) for first in range(min(parts, len(trials)))]
        with ThreadPoolExecutor(parts) as pool:
            results = list(pool.map(lambda share: self._run([trials[n] for n in share], rounds), shares))
        found = dict(zip(chain(*shares), chain(*results), strict=True))
        return [found[n] for n in range(len(trials))]

    def _run(self, trials: list[Trial], rounds: int) -> list[Ran]:
        """The program without the trial that failed, until all others have run to the end."""
        failed: dict[int, Ran] = {}
        left = list(range(len(trials)))
        while left:
            with tempfile.TemporaryDirectory(prefix="edgetvm-trials-") as name:
                result = self._run_together([trials[n] for n in left], rounds, Path(name))
            if isinstance(result, list):
                return [failed.pop(n) if n in failed else result.pop(0) for n in range(len(trials))]
            place, ran = result
            failed[left.pop(place)] = ran
        return [failed[n] for n in range(len(trials))]

    def _run_together(self, trials: list[Trial], rounds: int, work: Path) -> list[Ran] | tuple[int, Ran]:
        """What each gave, or which one failed, and how."""
        try:
            program = self._link(trials, work)
        except DoesNotFitError as error:
            most = max(range(len(trials)), key=lambda n: memory_bytes(trials[n : n + 1]))
            return most, Ran(CRASHED, note=error.message)
        timed = self.platform.figure is None
        write_request(work, trials, rounds * timed, bound=timed)
        limit = _LIMIT_S + _LIMIT_S_A_TRIAL * len(trials)
        try:
            done = subprocess.run(
                self.platform.command(program),
                cwd=work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
            status, said = done.returncode, (done.stdout + done.stderr).strip()
        except subprocess.TimeoutExpired:
            status, said = None, f"no end in {limit:g} s"
        report, output = read_report(work), work / OUTPUTS
        written = output.read_bytes() if output.is_file() else b""
        if status != 0:
            return _last(trials, len(written), report), Ran(HUNG if status is None else CRASHED, note=said[-200:])
        return self._read(trials, written, report, program, work)

    def _link(self, trials: list[Trial], work: Path) -> Path:
        table = work / "table.c"
        table.write_text(program_text(trials))
        runtime, macros = runtime_dir(), []
        if self.platform.fixed_memory:
            macros = [arena_macro([memory_bytes(trials)])]
        port = [path for name in self.platform.ports for path in sorted((runtime / "ports" / name).glob("*.c"))]
        fixed = self.platform.fixed_memory
        objects = compile_sources(
            [table, *(port if fixed else ())],
            work,
            self.target,
            include_dirs=include_dirs(),
            flags=[*_FLAGS, *macros],
            libc=self.platform.libc,
        )
        objects += [*self.harness, *dict.fromkeys(trial.object for trial in trials)]
        return self.platform.link(objects, work / "program.elf")

    def _read(self, trials: list[Trial], written: bytes, report: Report, program: Path, work: Path) -> list[Ran]:
        samples: list[tuple[float, ...]]
        if self.platform.figure is None:
            times = [value / _PS for value in report.values.get("trial_ps", ())]
            samples = [tuple(times[n :: len(trials)]) for n in range(len(trials))]
        else:
            figure = self.platform.figure(program)
            own, *segments = read_segments(work / COUNTS)
            samples = [(figure(segment) - figure(own),) for segment in segments]
        found, at = [], 0
        for trial, sample, right in zip(trials, samples, report.values["trial_ok"], strict=True):
            size = sum(trial.outputs)
            output, at = written[at : at + size], at + size
            found.append(Ran(OK, output, sample) if right else Ran(WRONG, note="it failed or wrote beside its output"))
        return found


def program_runner(target: Target, work: Path) -> ProgramRunner:
    """A runner for a target whose shared objects lie in `work`."""
    platform, runtime = platform_for(target), runtime_dir()
    harness = [runtime / "harness" / f"{name}.c" for name in ("mark", "guard", "report")]
    sources = [*harness, runtime / "trials" / "trials.c", *runtime_sources(target)]
    threads = ["-DEDGETVM_THREADS"] * target.is_linux
    if not platform.fixed_memory:
        sources += [path for name in platform.ports for path in sorted((runtime / "ports" / name).glob("*.c"))]
    objects = compile_sources(
        sources, work, target, include_dirs=include_dirs(), flags=[*_FLAGS, *threads], libc=platform.libc
    )
    return ProgramRunner(target, platform, tuple(objects))


_FLAGS = ("-std=c99", "-O2")


def include_dirs() -> list[Path]:
    """Where the sources of the harness find their headers."""
    runtime = runtime_dir()
    return [runtime / name for name in ("include", "harness", "trials", "ports", "ports/cortex_m")]


def _last(trials: Sequence[Trial], written: int, report: Report) -> int:
    """The trial in which a program ended that wrote so many bytes of outputs and reported so many times."""
    for number, trial in enumerate(trials):
        written -= sum(trial.outputs)
        if written < 0:
            return number
    return len(report.values.get("trial_ps", ())) % len(trials)
