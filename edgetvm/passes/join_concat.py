"""Convolutions and products whose results are only concatenated become one kernel with the concatenation.

Each then writes its slice of the result (`schedule/concat_kernel.py`), as the two expansions of a fire module do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import tvm
import tvm_ffi
from tvm import relax, s_tir, tirx

from edgetvm.cost.row_windows import block_in, nests
from edgetvm.passes.concat_parts import concat_parts, loaded_in
from edgetvm.passes.joined_function import is_kernel, joined_function
from edgetvm.passes.uses import uses_of


def join_concat(module: tvm.IRModule) -> tuple[tvm.IRModule, tvm.IRModule]:
    """(with a call of a primitive function for each group, with the kernels that these become).

    `module` has kernels. ``concat(conv(x, v), conv(x, w), y)`` becomes one of x, v, w and y.
    """
    main = module["main"]
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    builder = relax.BlockBuilder(module)
    gone: set[relax.Var] = set()
    calls: dict[relax.Var, relax.Call] = {}
    for group in _groups(module, bindings):
        *producers, concat = group
        function, outside = joined_function(group)
        joined = builder.add_func(function, "_".join(["joined", *map(_name, group)]))
        calls[concat.var] = relax.Call(joined, outside, ret_ty=concat.var.ty)
        gone |= {binding.var for binding in producers}
    kept = [each for each in bindings if each.var not in gone]
    kept = [relax.VarBinding(each.var, calls.get(each.var, each.value)) for each in kept]
    body = relax.BlockBuilder().normalize(relax.SeqExpr([relax.DataflowBlock(kept)], main.body.body))
    function = relax.Function(main.params, body, main.ret_ty, attrs=main.attrs)
    builder.update_func(module.get_global_var("main"), function)
    grouped = builder.get()
    return grouped, relax.transform.FuseTIR()(grouped)


def _groups(module: tvm.IRModule, bindings: Sequence[relax.Binding]) -> list[list[relax.Binding]]:
    """Producers, in order, and the concatenation of each group."""
    bound = {binding.var: binding for binding in bindings}
    uses = uses_of(module["main"])
    groups = []
    for binding in bindings:
        if not is_kernel(binding.value):
            continue
        func = module[binding.value.args[0]]
        operands = dict(zip(func.params, binding.value.args[1].fields, strict=False))
        loads = Counter(loaded_in(func.body))
        read = [operands.get(part.source) for part in concat_parts(func) if loads[part.source] == 1]
        producers = {
            operand: bound[operand]
            for operand in read
            if operand in bound and uses[operand] == 1 and _sums_products(bound[operand].value, module)
        }
        group = [each for each in bindings if each.var in producers]
        if group and _saves_memory(group):
            groups.append([*group, binding])
    return groups


def _saves_memory(producers: Sequence[relax.Binding]) -> bool:
    """Whether results that are no longer kept are as large as what is kept for longer instead."""
    read = {field for each in producers for field in each.value.args[1].fields if isinstance(field, relax.Var)}
    return sum(map(_bytes, read)) <= sum(_bytes(each.var) for each in producers)


def _bytes(value: relax.Var) -> int:
    bits = int(tvm.DataType(str(value.ty.dtype)).bits)
    return math.prod(int(extent) for extent in value.ty.shape) * ((bits + 7) // 8)


def _sums_products(value: tvm.ir.Expr, module: tvm.IRModule) -> bool:
    """Whether a value is the call of a kernel with one sum, of products: rules write its result where it belongs."""
    if not is_kernel(value) or isinstance(value.ty, relax.TupleType):
        return False
    blocks = [block_in(nest) for nest in nests(module[value.args[0]])]
    sums = [block for block in blocks if block is not None and block.init is not None]
    return len(sums) == 1 and _has_product(sums[0])


def _has_product(block: s_tir.SBlock) -> bool:
    found: list[tirx.Mul] = []
    tvm_ffi.structural_walk(block.body.value, (tirx.Mul, found.append))
    return bool(found)


def _name(binding: relax.Binding) -> str:
    return str(binding.value.args[0].name_hint).removeprefix("fused_")
