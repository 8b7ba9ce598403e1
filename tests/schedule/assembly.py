"""The instructions of scheduled kernels, as LLVM writes them for a target."""

from __future__ import annotations

import re
from collections import Counter

from edgetvm.codegen.lower import build, lower
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.kernels import Scheduled


def instructions(scheduled: Scheduled, target_name: str) -> Counter[str]:
    """How often each mnemonic stands in the code of all kernels."""
    target = tvm_target(load_target(target_name))
    kernels = [lower(name, kernel.func, target) for name, kernel in scheduled.kernels.items()]
    text = build(kernels, target).inspect_source("asm")
    return Counter(re.findall(r"^\t([a-z][a-z0-9]*)", text, re.MULTILINE))
