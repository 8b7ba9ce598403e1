"""Many trials -> one C table that the harness of `runtime/trials/` goes through, and the files that it reads."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from edgetvm.tune.types import Trial

MAGIC = 0x4C495254
_ALIGN = 64
_LEAST_NS = 200_000  # of calls that are timed together


def program_text(trials: Sequence[Trial]) -> str:
    """The C source of the table."""
    lines = ['#include "trials.h"']
    for number, trial in enumerate(trials):
        sizes = sizes_of(trial)
        result = "int32_t" if trial.returns_status else "void"
        arguments = ", ".join(f"a[{i}]" for i in range(len(sizes)))
        call = f"{trial.symbol}({arguments})"
        lines += [
            f"{result} {trial.symbol}({', '.join(['void *'] * len(sizes))});",
            f"static int32_t run{number}(void *const *a) {{",
            f"    return {call};" if trial.returns_status else f"    {call};\n    return 0;",
            "}",
            f"static const size_t bytes{number}[] = {{{', '.join(map(str, sizes))}}};",
        ]
    entries = [
        f"    {{run{number}, bytes{number}, {len(trial.inputs)}, {len(trial.outputs)}, {len(trial.scratch)}}},"
        for number, trial in enumerate(trials)
    ]
    lines += ["const trial trials[] = {", *entries, "};", f"const size_t trial_count = {len(trials)};"]
    return "\n".join([*lines, f"const size_t trial_memory = {memory_bytes(trials)};", ""])


def sizes_of(trial: Trial) -> list[int]:
    """Bytes of each argument."""
    return [*(array.nbytes for array in trial.inputs), *trial.outputs, *trial.scratch]


def memory_bytes(trials: Sequence[Trial]) -> int:
    """Bytes of the arguments of the largest trial, with gaps and a guard on both sides of what it writes."""
    return max(sum(-(-size // _ALIGN) * _ALIGN for size in sizes_of(trial)) for trial in trials) + 4 * _ALIGN


def write_request(folder: Path, trials: Sequence[Trial], rounds: int, bound: bool) -> None:
    """What the harness reads: in how many `rounds` it times all, `bound` to a core, and the inputs of each."""
    (folder / "request.bin").write_bytes(struct.pack("<4IQ", MAGIC, rounds, bound, 0, _LEAST_NS))
    with (folder / "inputs.bin").open("wb") as file:
        for trial in trials:
            for array in trial.inputs:
                file.write(array.tobytes())
