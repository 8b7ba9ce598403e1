"""How often variables are read."""

from __future__ import annotations

from collections import Counter

import tvm_ffi
from tvm import relax


def uses_of(func: relax.Function) -> Counter[relax.Var]:
    """How often each variable is read: by operators and as a result."""
    found: list[relax.Var] = []
    for block in func.body.blocks:
        for binding in block.bindings:
            tvm_ffi.structural_walk(binding.value, (relax.Var, found.append))
    tvm_ffi.structural_walk(func.body.body, (relax.Var, found.append))
    return Counter(found)
