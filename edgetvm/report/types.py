"""The reports: what `verify`, `bench` and `evaluate` found, and the JSON that they print."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class OutputError:
    """How far one output is from the reference, over all samples.

    max_abs     largest absolute difference; infinite where a NaN or an infinity has no equal partner
    max_rel     the same, divided by the range of the reference output
    tolerance   what `max_rel` may be; 0 for integers and booleans, which must be equal
    mismatches  elements that differ, of an output that must be equal; None of any other
    """

    name: str
    max_abs: float
    max_rel: float
    tolerance: float
    mismatches: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the output is as close as it must be."""
        return self.max_rel <= self.tolerance


@dataclass(frozen=True)
class KernelError:
    """How many elements of one kernel's output differ from the integer interpreter's, over all samples.

    `nodes` are the ONNX nodes that it computes; `wrong` is None for a kernel that computes in float.
    """

    kernel: str
    nodes: tuple[str, ...]
    wrong: int | None


@dataclass(frozen=True)
class VerifyReport:
    """A package compared with its reference: the errors are those of the worst output.

    `integer_mismatches` counts wrong values over every kernel of an integer package; None for a float one.
    `outputs` has the error of each output, `kernels` that of each kernel of an integer package.
    """

    max_abs_error: float
    max_rel_error: float
    tolerance: float
    samples: int
    runner: str
    target: str
    passed: bool
    integer_mismatches: int | None = None
    outputs: tuple[OutputError, ...] = ()
    kernels: tuple[KernelError, ...] = ()

    def to_json(self) -> dict[str, object]:
        """What ``edgetvm verify --json`` prints."""
        return {
            "max_abs_error": _finite(self.max_abs_error),
            "max_rel_error": _finite(self.max_rel_error),
            "tolerance": self.tolerance if self.integer_mismatches is None else None,
            "samples": self.samples,
            "runner": self.runner,
            "target": self.target,
            "integer_mismatches": self.integer_mismatches,
        }


@dataclass(frozen=True)
class BenchReport:
    """One inference: its time on a real machine, its instructions under an emulator, and what it occupies.

    A figure that the runner cannot give is None.
    """

    runner: str
    target: str
    threads: int
    latency_us_median: float | None
    latency_us_min: float | None
    instructions: int | None
    modelled_cycles: int | None
    flash_bytes: int | None
    ram_bytes: int | None
    arena_bytes: int
    stack_bytes: int | None

    def to_json(self) -> dict[str, object]:
        """What ``edgetvm bench --json`` prints."""
        return {
            "runner": self.runner,
            "target": self.target,
            "threads": self.threads,
            "latency_us": {"median": self.latency_us_median, "min": self.latency_us_min},
            "instructions": self.instructions,
            "modelled_cycles": self.modelled_cycles,
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "arena_bytes": self.arena_bytes,
            "stack_bytes": self.stack_bytes,
        }


@dataclass(frozen=True)
class EvaluateReport:
    """The accuracy of a package on labelled data. `samples` are those with a label of their own."""

    metric: str
    value: float
    samples: int

    def to_json(self) -> dict[str, object]:
        """What ``edgetvm evaluate --json`` prints."""
        return {"metric": self.metric, "value": _finite(self.value), "samples": self.samples}


def _finite(value: float) -> float | None:
    """JSON has no infinity and no NaN."""
    return value if math.isfinite(value) else None
