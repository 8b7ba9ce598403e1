"""Products of two tensors read their operands, and write their result, in whatever axis order these have in memory.

Attention splits heads off the last axis and moves them in front, for every operand of a product and back for its
result. A product in Einstein's notation names axes, so that no tensor is transposed before or after it.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, replace

import tvm
import tvm_ffi
from tvm import relax

from edgetvm.passes.uses import uses_of

_PERMUTE = tvm.ir.Op.get("relax.permute_dims")
_MATMUL = tvm.ir.Op.get("relax.matmul")


@dataclass(frozen=True)
class Product:
    """Two operands and the result of a product, with a letter for each of their axes."""

    name: str
    a: relax.Var
    b: relax.Var
    a_axes: str
    b_axes: str
    axes: str

    @property
    def call(self) -> tvm.ir.Call:
        """The product in Einstein's notation."""
        return relax.op.einsum((self.a, self.b), f"{self.a_axes},{self.b_axes}->{self.axes}")


@tvm.transform.module_pass(opt_level=0, name="AbsorbTransposes")
class AbsorbTransposes:
    """``permute_dims(matmul(permute_dims(a, p), permute_dims(b, q)), r)`` becomes ``einsum(a, b)``.

    Only where memory is still read along it: `a` along the summed axis, `b` along that or its columns, and the result
    is written along its columns. Values and dtypes are unchanged; transposes that nothing reads any more are left dead.
    """

    def transform_module(self, module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        """Give products of `main` whose operands are known at run time, and transposes of them, other values."""
        func = module["main"]
        products = _products(func)
        if not products:
            return module
        renamed: dict[relax.Var, relax.Var] = {}

        def current(variable: relax.Var) -> relax.Var:
            return renamed.get(variable, variable)

        blocks = []
        for block in func.body.blocks:
            bindings = []
            for binding in block.bindings:
                var, product = binding.var, products.get(binding.var)
                value = binding.value if product is None else relax.BlockBuilder().normalize(product.call)
                if product is not None:  # it keeps its name, by which its node is known
                    renamed[var] = type(var)(product.name, value.ty)
                value = tvm_ffi.structural_map(value, (relax.Var, current))
                bindings.append(relax.VarBinding(renamed.get(var, var), value))
            blocks.append(relax.DataflowBlock(bindings))
        result = tvm_ffi.structural_map(func.body.body, (relax.Var, current))
        body = relax.BlockBuilder().normalize(relax.SeqExpr(blocks, result))
        main = relax.Function(func.params, body, func.ret_ty, attrs=func.attrs)
        return tvm.IRModule({**dict(module.functions), module.get_global_var("main"): main})


def _products(func: relax.Function) -> dict[relax.Var, Product]:
    """The bindings that become products in Einstein's notation."""
    bound = {binding.var: binding.value for block in func.body.blocks for binding in block.bindings}
    uses = uses_of(func)
    plain: dict[relax.Var, Product] = {}
    found: dict[relax.Var, Product] = {}
    for var, value in bound.items():
        if _is(value, _MATMUL):
            product = _product(var.name, value)
            if product is not None:
                plain[var] = _with_operands(product, bound)
                if plain[var] != product:
                    found[var] = plain[var]
        elif _is(value, _PERMUTE) and value.args[0] in plain and uses[value.args[0]] == 1:
            product = plain[value.args[0]]
            axes = "".join(product.axes[axis] for axis in _order(value))
            if axes[-1] == product.axes[-1]:
                found[var] = replace(product, axes=axes)
    return found


def _product(name: str, call: tvm.ir.Call) -> Product | None:
    """A matmul as a product with named axes; None for constants, vectors, integers and operands that are repeated."""
    a, b = call.args
    if not all(isinstance(side, relax.Var) and len(side.ty.shape) >= 2 for side in (a, b)):
        return None
    if str(call.ty.dtype) not in ("float32", "float16") or a.ty.dtype != call.ty.dtype or b.ty.dtype != call.ty.dtype:
        return None
    shape = [int(extent) for extent in call.ty.shape]
    *batch, row, column, summed = list(string.ascii_lowercase[: len(shape) + 1])
    for side in (a, b):
        own = [int(extent) for extent in side.ty.shape][:-2]
        if own != shape[len(shape) - 2 - len(own) : -2]:
            return None
    a_axes, b_axes = ("".join(batch[len(shape) - len(side.ty.shape) :]) for side in (a, b))
    return Product(name, a, b, a_axes + row + summed, b_axes + summed + column, "".join(batch) + row + column)


def _with_operands(product: Product, bound: dict[relax.Var, tvm.ir.Expr]) -> Product:
    """The product of what its operands are transposes of."""
    summed, column = product.a_axes[-1], product.axes[-1]
    a, a_axes = _before(product.a, product.a_axes, bound)
    b, b_axes = _before(product.b, product.b_axes, bound)
    if a_axes[-1] == summed:
        product = replace(product, a=a, a_axes=a_axes)
    return replace(product, b=b, b_axes=b_axes) if b_axes[-1] in (summed, column) else product


def _before(operand: relax.Var, axes: str, bound: dict[relax.Var, tvm.ir.Expr]) -> tuple[relax.Var, str]:
    """The tensor of which an operand is a transpose, and the letters of its axes."""
    value = bound.get(operand, operand)
    if not _is(value, _PERMUTE) or not isinstance(value.args[0], relax.Var):
        return operand, axes
    order = _order(value)
    return value.args[0], "".join(axes[order.index(axis)] for axis in range(len(order)))


def _order(permute: tvm.ir.Call) -> list[int]:
    rank = len(permute.ty.shape)
    axes = permute.attrs.axes
    return list(reversed(range(rank))) if axes is None else [int(axis) % rank for axis in axes]


def _is(value: tvm.ir.Expr, op: tvm.ir.Op) -> bool:
    return isinstance(value, tvm.ir.Call) and value.op == op
