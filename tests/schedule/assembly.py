"""The instructions of scheduled kernels, as LLVM writes them for a target."""

from __future__ import annotations

import re
from collections import Counter

from tvm import tirx

from edgetvm.codegen.lower import build, lower
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.kernels import Scheduled


def instructions(scheduled: Scheduled, target_name: str) -> Counter[str]:
    """How often each mnemonic stands in the code of all kernels."""
    return instructions_of(*(kernel.func for kernel in scheduled.kernels.values()), target_name=target_name)


def instructions_of(*funcs: tirx.PrimFunc, target_name: str) -> Counter[str]:
    """The same of functions."""
    target = tvm_target(load_target(target_name))
    kernels = [lower(f"kernel_{i}", func, target) for i, func in enumerate(funcs)]
    text = build(kernels, target).inspect_source("asm")
    return Counter(re.findall(r"^\t([a-z][a-z0-9]*)", text, re.MULTILINE))
