"""What kernels are expected to execute, and which of them take least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import tvm

from edgetvm.codegen.lower import LoweredKernel, lower
from edgetvm.codegen.program import COPY, Program
from edgetvm.cost.operations import count_operations
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.target.types import Processor

ACCUMULATING = ("aarch64", "arm", "thumb")  # architectures whose products of integers are added as they are made


def predicted_instructions(kernel: LoweredKernel, processor: Processor) -> float:
    """Instructions of one call, by the cost model; C text is counted without vectors, but for Helium's."""
    vector_bytes = 0 if kernel.target.kind.name == "c" and processor.arch != "thumb" else processor.vector_bytes
    return count_operations(kernel.func, vector_bytes, processor.arch in ACCUMULATING).instructions


def least_kernels(
    program: Program,
    scheduled: Mapping[str, ScheduledKernel],
    target: tvm.target.Target,
    processor: Processor,
    percent: int,
) -> frozenset[str]:
    """As many kernels of `program` as take together at most `percent` of a hundred of its instructions, least first."""
    calls = Counter(call.kernel for call in program.calls if call.kernel != COPY)

    def instructions(name: str) -> float:
        return calls[name] * predicted_instructions(lower(name, scheduled[name].func, target), processor)

    with ThreadPoolExecutor() as pool:
        counts = dict(zip(calls, pool.map(instructions, calls), strict=True))
    room, least = sum(counts.values()) * percent / 100, []
    for name in sorted(counts, key=counts.__getitem__):
        room -= counts[name]
        if room < 0:
            break
        least.append(name)
    return frozenset(least)
