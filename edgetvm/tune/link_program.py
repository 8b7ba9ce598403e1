"""Trials and the harness -> one program for a platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.codegen.linker_script import arena_macro
from edgetvm.codegen.objects import runtime_sources
from edgetvm.resources import runtime_dir
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.types import Target
from edgetvm.tune.platform import Platform
from edgetvm.tune.program import entries_of, memory_bytes, program_text, write_data
from edgetvm.tune.types import Trial

_FLAGS = ("-std=c99", "-O2")
_MEMORY = "cortex_m/machine.c"  # of the ports: holds the memory of a program that has to bring it


@dataclass(frozen=True)
class Linker:
    """Links programs of one platform. `harness` are the objects that all of them share."""

    target: Target
    platform: Platform
    harness: tuple[Path, ...]

    def link(self, trials: Sequence[Trial], work: Path) -> Path:
        """The program of these trials, in the folder `work`. Raises DoesNotFitError."""
        table = work / "table.c"
        table.write_text(program_text(trials))
        fixed = self.platform.fixed_memory
        objects = compile_sources(
            [table, write_data(work, trials), *[runtime_dir() / "ports" / _MEMORY] * fixed],
            work,
            self.target,
            include_dirs=_include_dirs(),
            flags=[*_FLAGS, *([arena_macro([memory_bytes(trials)])] if fixed else ())],
            libc=self.platform.libc,
        )
        objects += [*self.harness, *dict.fromkeys(trial.object for trial in entries_of(trials))]
        return self.platform.link(objects, work / "program.elf")


def linker_for(target: Target, platform: Platform, work: Path) -> Linker:
    """A linker whose shared objects lie in `work`."""
    runtime = runtime_dir()
    sources = [runtime / "harness" / f"{name}.c" for name in ("mark", "guard", "report")]
    sources += [runtime / "trials" / "trials.c", *runtime_sources(target)]
    port = [path for name in platform.ports for path in sorted((runtime / "ports" / name).glob("*.c"))]
    sources += [path for path in port if path != runtime / "ports" / _MEMORY]
    flags = [*_FLAGS, *platform.macros, *["-DEDGETVM_THREADS"] * target.is_linux]
    objects = compile_sources(sources, work, target, include_dirs=_include_dirs(), flags=flags, libc=platform.libc)
    return Linker(target, platform, tuple(objects))


def _include_dirs() -> list[Path]:
    """Where the sources of the harness find their headers."""
    return [runtime_dir() / name for name in ("include", "harness", "trials", "ports", "ports/cortex_m")]
