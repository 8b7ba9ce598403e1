"""Rewrite a graph for the channels that are kept: weights and constants sliced, removed constants added to biases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators import convolve
from edgetvm.passes.dead_channels.links import ELEMENTWISE, mixing
from edgetvm.passes.dead_channels.needed import Channels, constant_channels
from edgetvm.passes.dead_channels.ranges import Ranges
from edgetvm.passes.integer.calls import name_of, tensors
from edgetvm.passes.integer.context import constant, dtype_of, shape_of

Ints = npt.NDArray[np.int64]
Sources = Mapping[str, tuple[str, ...]]


def slice_channels(
    module: tvm.IRModule, sources: Sources, channels: Channels, ranges: Ranges
) -> tuple[tvm.IRModule, Sources]:
    """`module` without the channels that are not kept. Bindings keep their names.

    Where what was removed adds a constant to a sum, the sum of the others is bound to a new name, of the same nodes.
    """
    main = module["main"]
    kernels = {name: func for name, func in module.functions.items() if name.name_hint != "main"}
    builder = relax.BlockBuilder(tvm.IRModule(kernels))
    slicing = _Slicing(channels, ranges, {param: param for param in main.params})
    bindings = [(binding.var, binding.value) for block in main.body.blocks for binding in block.bindings]
    read = Counter([x for _, value in bindings for x in _operands(value)] + tensors(main.body.body))
    biases = {value.args[0]: var for var, value in bindings if _is_bias(value) and read[value.args[0]] == 1}
    later: dict[relax.Var, Ints] = {}  # what additions of a bias add too
    named = dict(sources)
    with builder.function("main", list(main.params)):
        with builder.dataflow():
            for var, value in bindings:
                call = slicing.rebuilt(var, value, later.get(var))
                removed = slicing.removed(value)
                name = var.name
                if removed is not None:
                    name = f"{var.name}_needed"
                    named[name] = named.get(var.name, ())
                if removed is not None and var in biases:
                    later[biases[var]] = removed
                elif removed is not None:
                    bias = removed[channels.kept[var]].reshape([1] * (len(shape_of(var)) - 1) + [-1])
                    call = relax.op.add(builder.emit(call, name), constant(bias, dtype_of(var)))
                    name = var.name
                slicing.values[var] = call if isinstance(call, relax.Var) else builder.emit(call, name)
            result = builder.emit_output(slicing.mapped(main.body.body))
        builder.emit_func_output(result)
    return builder.get(), named


class _Slicing:
    """Makes calls of the new graph; `values` has what stands there for every variable of the old one."""

    def __init__(self, channels: Channels, ranges: Ranges, values: dict[relax.Var, Expr]) -> None:
        self.channels, self.ranges, self.values = channels, ranges, values

    def rebuilt(self, var: relax.Var, value: Expr, bias: Ints | None) -> Expr:
        """`value` on operands that have lost channels, for the channels of `var` that are kept; `bias` is added."""
        if var not in self.channels.axes:
            return self.mapped(value)
        kept, axis, shape = np.flatnonzero(self.channels.kept[var]), self.channels.axes[var], list(shape_of(var))
        name, mixed = name_of(value), mixing(value)
        if mixed is not None:
            w = value.args[1].value.numpy()[..., kept]
            if mixed.x in self.channels.axes:
                read = self.channels.needed[mixed.x][:, None]
                w = np.where(read, w, 0)[..., self.channels.kept[mixed.x], :]
            return relax.Call(value.op, [self.values[mixed.x], constant(w, dtype_of(value.args[1]))], value.attrs)
        arguments = [self.mapped(argument) for argument in value.args]
        if name == convolve.NAME:
            attributes = {str(key): each for key, each in value.attrs.items()} | {"groups": len(kept)}
            return convolve.convolve(arguments[0], _sliced(arguments[1], -1, kept), **attributes)
        if name == "relax.reshape":
            shape[axis] = len(kept)
            return relax.op.reshape(arguments[0], shape)
        if bias is not None:
            arguments[1] = constant(arguments[1].value.numpy().astype(np.int64) + bias, dtype_of(var))
        if name in ELEMENTWISE:
            arguments = [_sliced(x, axis - len(shape), kept) for x in arguments]
        return relax.Call(value.op, arguments, value.attrs)

    def removed(self, value: Expr) -> Ints | None:
        """What channels that are not needed add to each sum: where they are read they are constant. None: nothing."""
        mixed = mixing(value)
        if mixed is None or mixed.x not in self.channels.axes:
            return None
        constants, values = constant_channels(mixed.x, self.channels.axes[mixed.x], self.ranges, mixed.pad_value)
        gone = constants & ~self.channels.needed[mixed.x]
        total = np.einsum("c,tco->o", values[gone], mixed.weights[:, gone])
        return total if total.any() else None

    def mapped(self, expr: Expr) -> Expr:
        """The same expression on the new variables."""
        if isinstance(expr, relax.Var):
            return self.values[expr]
        if isinstance(expr, tvm.ir.Tuple):
            return relax.Tuple([self.mapped(field) for field in expr.fields])
        if isinstance(expr, tvm.ir.TupleGetItem):
            return relax.TupleGetItem(self.mapped(expr.tuple_value), expr.index)
        if isinstance(expr, tvm.ir.Call):
            return relax.Call(expr.op, [self.mapped(x) for x in expr.args], expr.attrs, expr.ty_args)
        return expr


def _sliced(x: Expr, axis: int, kept: Ints) -> Expr:
    """A constant with the channels of `axis`, counted from the back, that are kept; others as they are."""
    if not isinstance(x, tvm.ir.GenericConst) or len(shape_of(x)) < -axis or shape_of(x)[axis] == 1:
        return x
    return constant(x.value.numpy().take(kept, axis), dtype_of(x))


def _is_bias(value: Expr) -> bool:
    """Whether a constant is added to a tensor of the same rank."""
    if name_of(value) != "relax.add" or not isinstance(value.args[1], tvm.ir.GenericConst):
        return False
    return isinstance(value.args[0], relax.Var) and len(shape_of(value.args[0])) == len(shape_of(value.args[1]))


def _operands(value: Expr) -> list[Expr]:
    """The variables that a binding reads, each as often as it does."""
    arguments = value.args if isinstance(value, tvm.ir.Call) else [value]
    return [x for argument in arguments for x in tensors(argument) if isinstance(x, relax.Var)]
