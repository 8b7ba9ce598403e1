"""What passes between the parts of tuning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from tvm import tirx

from edgetvm.schedule.types import Constants, Decision

# Right and within the bytes that the mode allows; right but larger; and what is not right.
OK, LARGE, WRONG, CRASHED, HUNG = STATUSES = ("ok", "large", "wrong", "crashed", "hung")


@dataclass(frozen=True)
class TuningTask:
    """A function that is scheduled by itself, once for all kernels that are equal.

    `key` is its `kernel_key`, `kernel` the name of a kernel that has it, `calls` how often an inference calls it.
    A kernel over rows calls its `parts`, which are tasks too, by their keys so often.
    """

    key: str
    kernel: str
    func: tirx.PrimFunc
    constants: Constants
    rule: str
    calls: int
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What a call takes, between `low` and `high` with 95 % confidence. `unit` is us, cycles, instructions or bytes."""

    value: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate: its cost if its output is right, else what was wrong in `note`."""

    status: str
    cost: Cost | None = None
    note: str = ""


@dataclass(frozen=True)
class Candidate:
    """One way to schedule a task."""

    task: TuningTask
    decision: Decision


@dataclass(frozen=True)
class Trial:
    """A candidate as a C function `symbol` in `object`, called with pointers to arrays.

    `inputs` come first, then the `outputs`, of so many bytes, then those of `scratch`. `returns_status` tells that
    it gives an int32. `code_bytes` are those of its code and of its packed constants. The inputs of the numbers
    `constants` are weights and the like, which are read where a model has them. `exact`: its outputs are integers.
    Where times are measured, it is timed in turn with the trial `beside`.
    """

    symbol: str
    object: Path
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[int, ...]
    scratch: tuple[int, ...]
    returns_status: bool
    code_bytes: int
    constants: tuple[int, ...] = ()
    exact: bool = False
    beside: Trial | None = None


@dataclass(frozen=True)
class Ran:
    """What a runner saw: the bytes of the outputs in order if all went well, or their CRC-32 in `digest` if they are
    integers and the way is slow; and what a call took each time, as did one of the trial beside it.
    """

    status: str
    output: bytes = b""
    samples: tuple[float, ...] = ()
    beside: tuple[float, ...] = ()
    note: str = ""
    digest: int | None = None


Tell = Callable[[int, Ran], None]  # which of the trials, and what was seen of it


class Runner(Protocol):
    """All that tuning asks of a machine, here or elsewhere: it runs many trials in one program, each by itself if one
    of them crashes or hangs.
    """

    @property
    def unit(self) -> str:
        """What `Ran.samples` count: us, measured cycles, cycles (modelled) or instructions."""

    def run(self, trials: Sequence[Trial], rounds: int, tell: Tell) -> None:
        """Run each once, and time it in so many `rounds`, where times are what is measured. What became of a trial
        is told as soon as it ends, to one caller at a time. Raises what `tell` raises, and an EdgeTVMError for what
        no trial is to blame for.
        """
