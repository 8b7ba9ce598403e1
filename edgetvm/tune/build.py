"""Candidates -> C functions in object files, as they would ship, several processes at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tvm
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from edgetvm.codegen.kernel_objects import prune_kept, write_object
from edgetvm.codegen.lower import buffer_bytes, lower
from edgetvm.codegen.processes import share_out
from edgetvm.errors import OutputError
from edgetvm.oracle.loops import written_params
from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.decision import apply_decision, decision_text
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import Decision
from edgetvm.target.tvm_target import with_level
from edgetvm.tune.room import check_room
from edgetvm.tune.types import Candidate, Trial


@dataclass(frozen=True)
class Builder:
    """Builds for one machine and compiler."""

    machine: Machine
    compiler: tvm.target.Target

    def build(
        self, candidates: Sequence[Candidate], inputs: Sequence[dict[int, np.ndarray]], work: Path
    ) -> list[Trial | str]:
        """A trial for each candidate with the `inputs` of its task by position, or why it cannot be built."""
        work.mkdir(parents=True, exist_ok=True)

        def make(number: int) -> None:
            try:
                told = self._make(candidates[number], inputs[number], work, number)
            except OutputError:
                raise
            except OSError as error:
                raise OutputError(f"{work} cannot be written: {error.strerror}") from error
            except Exception as error:  # a rule that fails for one decision is a finding, not the end
                told = {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
            (work / f"{number}.json").write_text(json.dumps(told), encoding="utf-8")

        share_out(len(candidates), make)
        prune_kept()
        return [self._read(candidates[n], inputs[n], work, n) for n in range(len(candidates))]

    def _make(self, candidate: Candidate, inputs: dict[int, np.ndarray], work: Path, number: int) -> dict[str, object]:
        task = candidate.task
        scheduled = schedule_kernel(task.func, apply_decision(self.machine, candidate.decision), task.constants)
        compiler = with_level(self.compiler, scheduled.llvm_level)
        kernel = lower(symbol_of(candidate), scheduled.func, compiler, place=task.kernel)
        folder = work / str(number)
        folder.mkdir()
        check_room(folder)  # LLVM would end the process
        write_object(kernel, folder / f"{kernel.name}.o")
        for position, packing in scheduled.packing.items():
            np.save(folder / f"{position}.npy", packing.pack(inputs[position]))
        return {"scratch": kernel.workspaces, "status": kernel.returns_status, "packed": list(scheduled.packing)}

    def _read(self, candidate: Candidate, inputs: dict[int, np.ndarray], work: Path, number: int) -> Trial | str:
        told = json.loads((work / f"{number}.json").read_text(encoding="utf-8"))
        if "failed" in told:
            return str(told["failed"])
        symbol, func = symbol_of(candidate), candidate.task.func
        own = inputs | {position: np.load(work / str(number) / f"{position}.npy") for position in told["packed"]}
        object_file = work / str(number) / f"{symbol}.o"
        outputs = [func.params[position] for position in written_params(func)]
        return Trial(
            symbol,
            object_file,
            tuple(own[position] for position in sorted(own)),
            tuple(map(buffer_bytes, outputs)),
            tuple(told["scratch"]),
            told["status"],
            loaded_bytes(object_file) + sum(own[position].nbytes for position in candidate.task.constants),
            tuple(place for place, position in enumerate(sorted(own)) if position in candidate.task.constants),
            all(np.dtype(str(param.dtype)).kind != "f" for param in outputs),
        )


def symbol_of(candidate: Candidate) -> str:
    """The C name of a candidate's function, the same whenever it is built."""
    return symbol_name(candidate.task.key, candidate.decision)


def symbol_name(kernel: str, decision: Decision) -> str:
    """The same by the kernel's key."""
    return f"trial_{hashlib.sha256(f'{kernel} {decision_text(decision)}'.encode()).hexdigest()[:16]}"


def loaded_bytes(object_file: Path) -> int:
    """Bytes of code and constants in an object file."""
    with object_file.open("rb") as file:
        sections = ELFFile(file).iter_sections()
        return sum(int(s["sh_size"]) for s in sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC)
