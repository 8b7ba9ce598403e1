"""Scheduled kernels and the program around them -> everything the files of a package are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import tvm

from edgetvm.codegen.entry import Border, ModelCode, check_types
from edgetvm.codegen.in_place import reusable_inputs
from edgetvm.codegen.lower import LoweredKernel, lower
from edgetvm.codegen.memory import plan_memory
from edgetvm.codegen.program import COPY, Call, Program, Value
from edgetvm.importers.types import ImportedModel, TensorInfo
from edgetvm.schedule.types import Constants, Packing, ScheduledKernel


def constant_operands(program: Program) -> dict[str, Constants]:
    """For each kernel the inputs that are constants in every call of it, with their data in each."""
    operands: dict[str, Constants] = {}
    for call in program.calls:
        if call.kernel == COPY:
            continue
        data = {i: program.values[value].data for i, value in enumerate(call.inputs)}
        constant = {i: np.asarray(array) for i, array in data.items() if array is not None}
        earlier = operands.get(call.kernel, dict.fromkeys(constant, ()))
        operands[call.kernel] = {i: (*earlier[i], array) for i, array in constant.items() if i in earlier}
    return operands


def assemble(
    model: ImportedModel,
    program: Program,
    scheduled: Mapping[str, ScheduledKernel],
    target: tvm.target.Target,
    align: int,
) -> tuple[ModelCode, dict[str, ScheduledKernel]]:
    """Lower every kernel, plan the arena and name all that gets a C symbol.

    Also gives the schedule of each kernel by its C name.
    `align` is the alignment in bytes of the arena and of every tensor in it.
    """
    program = _pack_constants(program, scheduled)
    check_types(program.values)
    order = list(dict.fromkeys(call.kernel for call in program.calls if call.kernel != COPY))
    symbols = {kernel: f"{model.name}_k{i}_{_short(kernel)}" for i, kernel in enumerate(order)}
    reusable = {symbols[kernel]: reusable_inputs(scheduled[kernel].blocks) for kernel in order}

    def lower_one(kernel: str) -> LoweredKernel:
        nodes = next((call.nodes for call in program.calls if call.kernel == kernel), ())
        place = f"node '{nodes[0]}'" if nodes else f"kernel {kernel}"
        return lower(symbols[kernel], scheduled[kernel].func, target, place=place)

    with ThreadPoolExecutor() as pool:
        kernels = list(pool.map(lower_one, order))
    symbols[COPY] = COPY
    program = replace(program, calls=tuple(replace(call, kernel=symbols[call.kernel]) for call in program.calls))
    plan = plan_memory(program, {kernel.name: kernel.workspaces for kernel in kernels}, reusable, align)
    overlapping = {program.calls[step].kernel for step in plan.in_place}
    kernels = [_may_overlap(kernel) if kernel.name in overlapping else kernel for kernel in kernels]

    def border(info: TensorInfo, value: int) -> Border:
        offset = plan.values[program.root(value)]
        bytes_ = program.values[value].bytes
        return Border(info.name, info.shape, info.dtype, bytes_, offset, info.scale, info.zero_point)

    code = ModelCode(
        name=model.name,
        program=program,
        plan=plan,
        kernels=tuple(kernels),
        inputs=tuple(map(border, model.inputs, program.inputs)),
        outputs=tuple(map(border, model.outputs, program.outputs)),
        arena_align=align,
    )
    return code, {symbols[kernel]: scheduled[kernel] for kernel in order}


def _may_overlap(kernel: LoweredKernel) -> LoweredKernel:
    return replace(kernel, func=kernel.func.with_attr("tirx.noalias", False))


def _pack_constants(program: Program, scheduled: Mapping[str, ScheduledKernel]) -> Program:
    """Lay constants out as their kernels read them."""
    values = list(program.values)
    packed: dict[tuple[int, Packing], int] = {}
    calls: list[Call] = []
    for call in program.calls:
        inputs = list(call.inputs)
        for position, packing in scheduled[call.kernel].packing.items() if call.kernel != COPY else ():
            key = (program.root(inputs[position]), packing)
            if key not in packed:
                origin = program.values[key[0]]
                # A view of the constant gives the shape that the kernel sees.
                data = packing.pack(np.asarray(origin.data).reshape(program.values[inputs[position]].shape))
                packed[key] = len(values)
                values.append(Value(f"{origin.name}_{packing.label}", data.shape, origin.dtype, len(values), data))
            inputs[position] = packed[key]
        calls.append(replace(call, inputs=tuple(inputs)))
    return replace(program, values=tuple(values), calls=tuple(calls))


def _short(kernel: str) -> str:
    return re.sub(r"\W", "_", kernel.removeprefix("fused_"))[:40].strip("_")
