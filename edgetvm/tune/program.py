"""Many trials -> what the harness of `runtime/trials/` is linked with and reads: a C table, data, the request."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from edgetvm.codegen.weights import NO_STACK, included
from edgetvm.tune.types import Trial

MAGIC = 0x4C495254
_ALIGN, _DIGEST_BYTES = 64, 4
_LEAST_NS = 200_000  # of calls that are timed together


def entries_of(trials: Sequence[Trial]) -> list[Trial]:
    """The entries of the table: the trials, then what they are timed beside, each once."""
    return [*trials, *{trial.beside.symbol: trial.beside for trial in trials if trial.beside}.values()]


def program_text(trials: Sequence[Trial]) -> str:
    """The C source of the table."""
    symbols, entries = data_symbols(trials), entries_of(trials)
    place = {trial.symbol: number for number, trial in enumerate(entries) if number >= len(trials)}
    lines = ['#include "trials.h"', *(f"extern const uint8_t {symbol}[];" for symbol in symbols.values())]
    rows = []
    for number, trial in enumerate(entries):
        sizes = sizes_of(trial)
        result = "int32_t" if trial.returns_status else "void"
        arguments = ", ".join(f"a[{i}]" for i in range(len(sizes)))
        call = f"{trial.symbol}({arguments})"
        data = [symbols[array.tobytes()] for array in trial.inputs]
        lines += [
            f"{result} {trial.symbol}({', '.join(['void *'] * len(sizes))});",
            f"static int32_t run{number}(void *const *a) {{",
            f"    return {call};" if trial.returns_status else f"    {call};\n    return 0;",
            "}",
            f"static const size_t bytes{number}[] = {{{', '.join(map(str, sizes))}}};",
            f"static const void *const data{number}[] = {{{', '.join([*data, '0'])}}};",
        ]
        beside = place[trial.beside.symbol] if trial.beside else number
        rows.append(
            f"    {{run{number}, bytes{number}, data{number}, {len(trial.inputs)}, {len(trial.outputs)}, "
            f"{len(trial.scratch)}, {beside}, {sum(1 << at for at in trial.constants)}u, {int(trial.exact)}}},"
        )
    lines += ["const trial trials[] = {", *rows, "};", f"const size_t trial_count = {len(trials)};"]
    return "\n".join([*lines, f"const size_t trial_memory = {memory_bytes(trials)};", ""])


def sizes_of(trial: Trial) -> list[int]:
    """Bytes of each argument."""
    return [*(array.nbytes for array in trial.inputs), *trial.outputs, *trial.scratch]


def memory_bytes(trials: Sequence[Trial]) -> int:
    """Bytes of the arguments of the largest trial and what is beside it, without constants, with gaps and guards."""
    return max(_in_memory(trial) + (_in_memory(trial.beside) if trial.beside else 0) for trial in trials)


def _in_memory(trial: Trial) -> int:
    sizes = [size for number, size in enumerate(sizes_of(trial)) if number not in trial.constants]
    return sum(-(-size // _ALIGN) * _ALIGN for size in sizes) + 4 * _ALIGN


def data_symbols(trials: Sequence[Trial]) -> dict[bytes, str]:
    """What the inputs hold, each once, and the C name of it."""
    contents = dict.fromkeys(array.tobytes() for trial in entries_of(trials) for array in trial.inputs)
    return {content: f"trial_data{number}" for number, content in enumerate(contents)}


def write_data(folder: Path, trials: Sequence[Trial]) -> Path:
    """The data as an assembler file, and the file `data.bin` that it includes."""
    lines: list[str] = []
    with (folder / "data.bin").open("wb") as file:
        for content, symbol in data_symbols(trials).items():
            lines += included(symbol, "data.bin", file.tell(), len(content), _ALIGN)
            file.write(content)
    source = folder / "data.S"
    source.write_text("\n".join([*lines, NO_STACK, ""]), encoding="utf-8")
    return source


def write_request(folder: Path, rounds: int, *, warm_up: int, threads: int, bound: bool, digests: bool) -> None:
    """What the harness reads: in how many `rounds` it times each trial, after how many calls of `warm_up`, on how many
    `threads`, whether each is `bound` to a core, and whether it writes `digests` instead of outputs where these are
    integers.
    """
    numbers = (MAGIC, rounds, warm_up, threads, bound, digests)
    (folder / "request.bin").write_bytes(struct.pack("<6IQ", *numbers, _LEAST_NS))


def written_bytes(trial: Trial, digests: bool) -> int:
    """How many bytes the harness writes of a trial's outputs."""
    return _DIGEST_BYTES if digests and trial.exact else sum(trial.outputs)
