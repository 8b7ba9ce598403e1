"""Scheduled kernels and the program around them -> everything the files of a package are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import tvm

from edgetvm.codegen.lower import LoweredKernel, lower
from edgetvm.codegen.memory import kernel_memory, plan_memory
from edgetvm.codegen.model_code import Border, ModelCode, VariantCode, check_types
from edgetvm.codegen.order import order_calls
from edgetvm.codegen.program import COPY, Call, Program, Value
from edgetvm.codegen.spread import Room
from edgetvm.cost.operations import count_operations
from edgetvm.importers.types import ImportedModel, TensorInfo
from edgetvm.schedule.types import Constants, Packing, ScheduledKernel
from edgetvm.target.tvm_target import with_level
from edgetvm.target.types import Variant


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


@dataclass(frozen=True)
class VariantSchedule:
    """The kernels of cores that have `variant`; those that differ from the base's are compiled for `target`."""

    variant: Variant
    scheduled: Mapping[str, ScheduledKernel]
    target: tvm.target.Target


def assemble(
    model: ImportedModel,
    program: Program,
    scheduled: Mapping[str, ScheduledKernel],
    target: tvm.target.Target,
    align: int,
    variants: Sequence[VariantSchedule] = (),
    rooms: Sequence[Room] = (),
) -> tuple[ModelCode, dict[str, ScheduledKernel]]:
    """Lower every kernel, plan the arena and name all that gets a C symbol.

    Also gives the schedule of each kernel by its C name. Variants read the same constants as the base.
    `align` is the alignment in bytes of the arena and of every tensor in it; `rooms` are the memories that may have
    an arena each if the first cannot hold all.
    """
    program = _pack_constants(program, scheduled)
    check_types(program.values)
    order = list(dict.fromkeys(call.kernel for call in program.calls if call.kernel != COPY))
    symbols = {kernel: f"{model.name}_k{i}_{_short(kernel)}" for i, kernel in enumerate(order)}

    def lower_one(kernel: str, symbol: str, schedule: ScheduledKernel, target: tvm.target.Target) -> LoweredKernel:
        nodes = next((call.nodes for call in program.calls if call.kernel == kernel), ())
        place = f"node '{nodes[0]}'" if nodes else f"kernel {kernel}"
        return lower(symbol, schedule.func, with_level(target, schedule.llvm_level), place=place)

    own, names = _own_kernels(order, symbols, scheduled, variants)
    with ThreadPoolExecutor() as pool:
        base = [pool.submit(lower_one, kernel, symbols[kernel], scheduled[kernel], target) for kernel in order]
        more = [
            [pool.submit(lower_one, kernel, symbol, entry.scheduled[kernel], entry.target) for kernel, symbol in mine]
            for entry, mine in zip(variants, own, strict=True)
        ]
        kernels = [future.result() for future in base]
        alternatives = [[future.result() for future in futures] for futures in more]
    symbols[COPY] = COPY
    program = replace(program, calls=tuple(replace(call, kernel=symbols[call.kernel]) for call in program.calls))
    workspaces = {kernel.name: kernel.workspaces for kernel in kernels}
    replaced = {symbol: symbols[kernel] for mine in own for kernel, symbol in mine}
    for alternative in (kernel for group in alternatives for kernel in group):
        name = replaced[alternative.name]
        workspaces[name] = tuple(map(max, zip_longest(workspaces[name], alternative.workspaces, fillvalue=0)))
    memory = {symbols[kernel]: kernel_memory(scheduled[kernel], workspaces[symbols[kernel]]) for kernel in order}
    plan = plan_memory(program, memory, align)
    ordered = order_calls(program, memory)
    if ordered is not program:
        other = plan_memory(ordered, memory, align)
        program, plan = (ordered, other) if other.arena_bytes < plan.arena_bytes else (program, plan)
    if rooms and plan.arena_bytes > rooms[0].bytes:
        accesses = {kernel.name: count_operations(kernel.func, 0, accumulates=True).accesses for kernel in kernels}
        memory = {name: replace(need, accesses=accesses[name]) for name, need in memory.items()}
        plan = plan_memory(program, memory, align, rooms)
    overlapping = {program.calls[step].kernel for step in plan.in_place}

    def settle(group: list[LoweredKernel]) -> tuple[LoweredKernel, ...]:
        return tuple(_may_overlap(k) if replaced.get(k.name, k.name) in overlapping else k for k in group)

    def border(info: TensorInfo, value: int) -> Border:
        place = plan.values[program.root(value)]
        bytes_ = program.values[value].bytes
        return Border(info.name, info.shape, info.dtype, bytes_, place, info.scale, info.zero_point)

    code = ModelCode(
        name=model.name,
        program=program,
        plan=plan,
        kernels=settle(kernels),
        inputs=tuple(map(border, model.inputs, program.inputs)),
        outputs=tuple(map(border, model.outputs, program.outputs)),
        arena_align=align,
        variants=tuple(
            VariantCode(entry.variant, settle(group), named)
            for entry, group, named in zip(variants, alternatives, names, strict=True)
        ),
    )
    rules = {symbols[kernel]: scheduled[kernel] for kernel in order}
    for entry, mine in zip(variants, own, strict=True):
        rules |= {symbol: entry.scheduled[kernel] for kernel, symbol in mine}
    return code, rules


def _own_kernels(
    order: Sequence[str],
    symbols: Mapping[str, str],
    scheduled: Mapping[str, ScheduledKernel],
    variants: Sequence[VariantSchedule],
) -> tuple[list[list[tuple[str, str]]], list[dict[str, str]]]:
    """For each variant the kernels that it alone brings, with their C names, and by which names it replaces which."""
    own: list[list[tuple[str, str]]] = []
    names: list[dict[str, str]] = []
    known = {(kernel, id(scheduled[kernel])): symbols[kernel] for kernel in order}
    for entry in variants:
        mine = []
        for kernel in order:
            key = (kernel, id(entry.scheduled[kernel]))
            if key not in known:
                known[key] = f"{symbols[kernel]}_{entry.variant.name}"
                mine.append((kernel, known[key]))
        own.append(mine)
        used = {symbols[kernel]: known[kernel, id(entry.scheduled[kernel])] for kernel in order}
        names.append({name: symbol for name, symbol in used.items() if name != symbol})
    return own, names


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
                dtype = str(data.dtype)
                values.append(Value(f"{origin.name}_{packing.label}", data.shape, dtype, len(values), data))
            inputs[position] = packed[key]
        calls.append(replace(call, inputs=tuple(inputs)))
    return replace(program, values=tuple(values), calls=tuple(calls))


def _short(kernel: str) -> str:
    return re.sub(r"\W", "_", kernel.removeprefix("fused_"))[:40].strip("_")
