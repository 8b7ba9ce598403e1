"""A fused Relax module -> the flat list of kernel calls that the entry function makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tvm
from tvm import relax

from edgetvm.codegen.lower import dtype_bytes
from edgetvm.cost.row_stages import STAGES
from edgetvm.errors import UnsupportedError
from edgetvm.passes.joined_function import is_kernel


@dataclass(frozen=True)
class Value:
    """A tensor: an input, a constant (with its data) or the result of a call. Row-major and dense.

    `base` is the index of the value whose memory this one is a view of; its own index otherwise.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    base: int
    data: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * dtype_bytes(self.dtype)


COPY = "memcpy"  # the kernel name of a plain copy, which needs no kernel


@dataclass(frozen=True)
class Call:
    """One kernel call; tensors by index into `Program.values`. `nodes` are the ONNX nodes it computes, in `stages`
    kernels that were joined to one. `step` is its place in the order of the graph.
    """

    kernel: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[str, ...]
    stages: int = 1
    step: int = 0


@dataclass(frozen=True)
class Program:
    """What the entry function does: the calls in order, on these values."""

    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def constants(self) -> list[Value]:
        """The constants that calls or outputs read."""
        used = {self.root(v) for call in self.calls for v in call.inputs} | {self.root(v) for v in self.outputs}
        return [value for i, value in enumerate(self.values) if value.data is not None and i in used]

    def root(self, index: int) -> int:
        """The value that owns the memory of value `index`."""
        while self.values[index].base != index:
            index = self.values[index].base
        return index


def extract_program(module: tvm.IRModule, nodes: Mapping[relax.Var, tuple[str, ...]]) -> Program:
    """Read `main` of a module in which only `call_tir` and reshapes are left.

    `nodes` maps the variable of a binding to the ONNX nodes behind it. Raises UnsupportedError when an
    operator was left without a kernel.
    """
    main = module["main"]
    values: list[Value] = []
    calls: list[Call] = []
    index: dict[relax.Var, tuple[int, ...]] = {}
    constants: dict[tuple[bytes, str, tuple[int, ...]], int] = {}

    def add(name: str, ty: relax.TensorType, base: int | None = None, data: np.ndarray | None = None) -> int:
        shape = tuple(int(extent) for extent in ty.shape)
        values.append(Value(name, shape, str(ty.dtype), len(values) if base is None else base, data))
        return len(values) - 1

    def constant(expr: tvm.ir.GenericConst) -> int:
        data = expr.value.numpy()
        key = (data.tobytes(), str(expr.ty.dtype), data.shape)
        if key not in constants:
            constants[key] = add(f"w{len(constants)}", expr.ty, data=data)
        return constants[key]

    def operand(expr: tvm.ir.Expr) -> tuple[int, ...]:
        if isinstance(expr, relax.Var):
            return index[expr]
        if isinstance(expr, tvm.ir.GenericConst):
            return (constant(expr),)
        if isinstance(expr, tvm.ir.Tuple):
            return tuple(i for field in expr.fields for i in operand(field))
        raise UnsupportedError(f"cannot compile the operand {expr}")

    for param in main.params:
        index[param] = (add(param.name, param.ty),)
    for block in main.body.blocks:
        for binding in block.bindings:
            var, expr = binding.var, binding.value
            names = nodes.get(var, ())
            if isinstance(expr, tvm.ir.TupleGetItem):
                index[var] = (operand(expr.tuple_value)[expr.index],)
            elif is_kernel(expr):
                types = var.ty.fields if isinstance(var.ty, relax.TupleType) else [var.ty]
                results = tuple(add(var.name, ty) for ty in types)
                stages = len(module[expr.args[0]].attrs.get(STAGES, [0]))
                calls.append(Call(expr.args[0].name_hint, operand(expr.args[1]), results, names, stages, len(calls)))
                index[var] = results
            elif isinstance(expr, tvm.ir.Call) and expr.op == tvm.ir.Op.get("relax.reshape"):
                index[var] = (add(var.name, var.ty, base=operand(expr.args[0])[0]),)
            elif isinstance(expr, tvm.ir.Call):
                place = f"node {names[0]!r}" if names else f"binding {var.name!r}"
                raise UnsupportedError(f"{place}: operator {getattr(expr.op, 'name', expr.op)} has no kernel")
            else:
                index[var] = operand(expr)
    inputs = tuple(index[param][0] for param in main.params)
    program = Program(tuple(values), tuple(calls), inputs, operand(main.body.body))
    return _give_outputs_memory(program)


def _give_outputs_memory(program: Program) -> Program:
    """Copy outputs that are an input, a constant or another output, so that each has bytes of its own."""
    values, calls, outputs = list(program.values), list(program.calls), []
    taken = {program.root(value) for value in program.inputs}
    for output in program.outputs:
        root = program.root(output)
        if root in taken or values[root].data is not None:
            calls.append(Call(COPY, (output,), (len(values),), (), step=len(calls)))
            outputs.append(len(values))
            values.append(replace(values[output], base=len(values), data=None))
        else:
            taken.add(root)
            outputs.append(output)
    return replace(program, values=tuple(values), calls=tuple(calls), outputs=tuple(outputs))
