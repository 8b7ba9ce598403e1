"""Runs one operator of ours as the compiler schedules it, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax, tirx

from edgetvm.operators.legalize import LEGALIZE


def run_operator(build: Callable[..., tvm.ir.Call], arguments: Sequence[np.ndarray], constants: int = 0) -> Any:
    """The result of ``build(*arguments)``: the last `constants` arguments are constants of the module."""
    machine = relax.VirtualMachine(tvm.compile(_module(build, arguments, constants), "llvm"), tvm.cpu())
    given = arguments[: len(arguments) - constants]
    return machine["main"](*[tvm.runtime.tensor(argument) for argument in given]).numpy()


def loops_of(build: Callable[..., tvm.ir.Call], arguments: Sequence[np.ndarray]) -> tirx.PrimFunc:
    """The kernel of ``build(*arguments)`` as no rule has touched it; all arguments are parameters."""
    return next(f for f in _module(build, arguments, 0).functions.values() if isinstance(f, tirx.PrimFunc))


def _module(build: Callable[..., tvm.ir.Call], arguments: Sequence[np.ndarray], constants: int) -> tvm.IRModule:
    last = len(arguments) - constants
    params = [
        relax.Var(f"x{i}", relax.TensorType(argument.shape, str(argument.dtype)))
        for i, argument in enumerate(arguments[:last])
    ]
    fixed = [relax.const(argument, str(argument.dtype)) for argument in arguments[last:]]
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        builder.emit_func_output(builder.emit(build(*params, *fixed)))
    return relax.transform.LegalizeOps(LEGALIZE)(builder.get())


def attributes_of(build: Callable[..., tvm.ir.Call], arguments: Sequence[np.ndarray]) -> dict[str, Any]:
    """The attributes of the call that `build` makes."""
    call = build(*[relax.const(argument, str(argument.dtype)) for argument in arguments])
    return {str(key): value for key, value in call.attrs.items()}
