"""RNN, GRU and LSTM, unrolled over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call
from .graph import RefusedError
from .te_kernel import kernel

MOST_STEPS = 512


@dataclass(frozen=True)
class Cell:
    """One direction of a layer: ``gates = x @ w + h @ r + bias`` split into `hidden` columns each."""

    call: Call
    direction: int
    hidden: int
    functions: list[Callable[[Any], Any]]

    def w(self) -> Expr:
        """[input, gates * hidden]."""
        return part(self.call, 1, self.direction, None, transpose=True)

    def r(self, first: int = 0, last: int | None = None) -> Expr:
        """[hidden, gates * hidden], or the columns of some gates only."""
        count = self.call.type(2).shape[1] // self.hidden if last is None else last
        return part(self.call, 2, self.direction, (first * self.hidden, count * self.hidden), transpose=True)

    def bias(self, first: int, last: int) -> Expr:
        """Bias of some gates: those of the input first, then those of the recurrence."""
        if not self.call.has(3):
            return self.call.constant(np.zeros((last - first) * self.hidden), "float32")
        return part(self.call, 3, self.direction, (first * self.hidden, last * self.hidden))

    def gate(self, projected: Any, index: int, batch: Any, unit: Any) -> Any:
        """Element of a gate before its function."""
        return projected(batch, index * self.hidden + unit)

    def clipped(self, value: Any) -> Any:
        """`value` within the clip bounds."""
        if self.call.attr("clip") is None:
            return value
        bound = tirx.const(self.call.attr("clip"), "float32")
        return tirx.max(tirx.min(value, bound), -bound)


def recurrent(kind: str) -> Callable[[Call], list[Expr | None]]:
    """A converter of ``"RNN"``, ``"GRU"`` or ``"LSTM"``."""
    step = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}[kind]

    def convert(call: Call) -> list[Expr | None]:
        if call.attr("layout", 0) != 0:
            return _batch_first(call, lambda x, h, c: _layer(call, step, x, h, c))
        h = call.x(5) if call.has(5) else None
        c = call.x(6) if call.has(6) and kind == "LSTM" else None
        return _layer(call, step, call.x(), h, c)

    return convert


def _batch_first(call: Call, run: Callable[..., list[Expr | None]]) -> list[Expr | None]:
    """layout 1 has the batch first everywhere."""
    swap = [1, 0, 2]
    x = call.emit(relax.op.permute_dims(call.x(), swap))
    states = [call.emit(relax.op.permute_dims(call.x(i), swap)) if call.has(i) else None for i in (5, 6)]
    y, h, c = (*run(x, *states), None)[:3]
    results: list[Expr | None] = [call.emit(relax.op.permute_dims(y, [2, 0, 1, 3])) if y is not None else None]
    results += [call.emit(relax.op.permute_dims(s, swap)) if s is not None else None for s in (h, c)]
    return results


def _layer(call: Call, step: Callable[..., Any], x: Expr, h0: Expr | None, c0: Expr | None) -> list[Expr | None]:
    steps, batch, _ = (int(d) for d in x.ty.shape.values)
    if call.type().dtype != "float32":
        raise RefusedError(f"element type {call.type().dtype} is not supported")
    if steps > MOST_STEPS:
        raise RefusedError(f"a sequence of {steps} steps is not supported; the most is {MOST_STEPS}")
    lengths = call.value(4)
    padded = call.has(4) and (lengths is None or bool(np.any(lengths != steps)))
    direction = call.attr("direction", "forward")
    backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    outputs, finals, cells = [], [], []
    for index, back in enumerate(backwards):
        cell = Cell(call, index, call.type(2).shape[2], _functions(call, index, len(backwards)))
        w = cell.w()
        h, c = (_initial(call, state, index, batch, cell.hidden) for state in (h0, c0))
        rows: list[Any] = [None] * steps
        for t in reversed(range(steps)) if back else range(steps):
            now = call.emit(relax.op.reshape(call.emit(relax.op.strided_slice(x, [0], [t], [t + 1])), (batch, -1)))
            before = (h, c)
            h, c = step(cell, call.emit(relax.op.matmul(now, w)), h, c)
            row = h
            if padded:
                row = _while_in(cell, t, h, None)
                h, c = _while_in(cell, t, h, before[0]), _while_in(cell, t, c, before[1])
            rows[t] = call.emit(relax.op.reshape(row, (1, 1, batch, cell.hidden)))
        outputs.append(call.emit(relax.op.concat(rows, 0)) if len(rows) > 1 else rows[0])
        finals.append(call.emit(relax.op.expand_dims(h, 0)))
        cells.append(call.emit(relax.op.expand_dims(c, 0)))

    def joined(parts: list[Expr], axis: int) -> Expr:
        return call.emit(relax.op.concat(parts, axis)) if len(parts) > 1 else parts[0]

    return [
        joined(outputs, 1) if call.wants(0) else None,
        joined(finals, 0) if call.wants(1) else None,
        joined(cells, 0) if call.wants(2) else None,
    ]


def _initial(call: Call, state: Expr | None, index: int, batch: int, hidden: int) -> Expr:
    if state is None:
        return call.constant(np.zeros((batch, hidden)), "float32")
    row = call.emit(relax.op.strided_slice(state, [0], [index], [index + 1]))
    return call.emit(relax.op.reshape(row, (batch, hidden)))


def part(call: Call, index: int, direction: int, rows: tuple[int, int] | None, transpose: bool = False) -> Expr:
    """Rows of one direction's parameters; cut out at import if they are constant."""
    shape = call.type(index).shape
    first, last = rows or (0, shape[1])
    value = call.value(index)
    if value is not None:
        cut = value[direction, first:last]
        return call.constant(cut.T if transpose else cut)
    begin, end = [direction, first], [direction + 1, last]
    piece = call.emit(relax.op.strided_slice(call.x(index), [0, 1], begin, end))
    piece = call.emit(relax.op.reshape(piece, (last - first, *shape[2:])))
    return call.emit(relax.op.permute_dims(piece)) if transpose else piece


def _while_in(cell: Cell, t: int, new: Expr, old: Expr | None) -> Expr:
    """`new` for the samples whose sequence reaches step `t`, otherwise `old`, or zero."""

    def element(b: Any, u: Any, lengths: te.Tensor, new: te.Tensor, *old: te.Tensor) -> Any:
        return tirx.Select(lengths(b) > t, new(b, u), old[0](b, u) if old else tirx.const(0, "float32"))

    operands = [cell.call.x(4), new, *([] if old is None else [old])]
    return _kernels(cell, element, operands, int(new.ty.shape.values[0]), "masked")


def _functions(call: Call, index: int, directions: int) -> list[Callable[[Any], Any]]:
    """The activation functions of one direction, by name."""
    default = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[call.node.op]
    names = call.attr("activations", default * directions)
    if call.attr("activation_alpha") or call.attr("activation_beta"):
        raise RefusedError("activation_alpha and activation_beta are not supported")
    known: dict[str, Callable[[Any], Any]] = {
        "tanh": te.tanh,
        "sigmoid": te.sigmoid,
        "relu": lambda v: tirx.max(v, tirx.const(0, "float32")),
    }
    count = len(default)
    chosen = names[index * count : (index + 1) * count]
    for name in chosen:
        if name.lower() not in known:
            raise RefusedError(f"activation {name} is not supported")
    return [known[name.lower()] for name in chosen]


def _kernels(cell: Cell, function: Callable[..., Any], operands: Sequence[Expr], batch: int, name: str) -> Expr:
    def compute(*tensors: te.Tensor) -> te.Tensor:
        return kernel((batch, cell.hidden), lambda b, u: function(b, u, *tensors), name=name)

    return cell.call.te(compute, *operands, name=name)


def _total(call: Call, first: Expr, *others: Expr) -> Expr:
    for other in others:
        first = call.emit(relax.op.add(first, other))
    return first


def _rnn_step(cell: Cell, projected: Expr, h: Expr, c: Expr) -> tuple[Expr, Expr]:
    call, batch = cell.call, int(h.ty.shape.values[0])
    total = _total(call, projected, call.emit(relax.op.matmul(h, cell.r())), cell.bias(0, 1), cell.bias(1, 2))

    def element(b: Any, u: Any, total: te.Tensor) -> Any:
        return cell.functions[0](cell.clipped(total(b, u)))

    return _kernels(cell, element, [total], batch, "rnn"), c


def _gru_step(cell: Cell, projected: Expr, h: Expr, c: Expr) -> tuple[Expr, Expr]:
    """Gates in the order update, reset, hidden."""
    call, batch = cell.call, int(h.ty.shape.values[0])
    f, g = cell.functions
    before = bool(call.attr("linear_before_reset", 0))
    x = _total(call, projected, cell.bias(0, 3))
    recurrence = _total(call, call.emit(relax.op.matmul(h, cell.r(0, 2))), cell.bias(3, 5))

    def gate(index: int, b: Any, u: Any, x: te.Tensor, r: te.Tensor) -> Any:
        return f(cell.clipped(cell.gate(x, index, b, u) + cell.gate(r, index, b, u)))

    state = h
    if not before:
        operands = [x, recurrence, h]
        state = _kernels(cell, lambda b, u, x, r, h: gate(1, b, u, x, r) * h(b, u), operands, batch, "gru_reset")
    inner = _total(call, call.emit(relax.op.matmul(state, cell.r(2, 3))), cell.bias(5, 6))

    def element(b: Any, u: Any, x: te.Tensor, r: te.Tensor, inner: te.Tensor, h: te.Tensor) -> Any:
        update = gate(0, b, u, x, r)
        term = gate(1, b, u, x, r) * inner(b, u) if before else inner(b, u)
        candidate = g(cell.clipped(cell.gate(x, 2, b, u) + term))
        return (tirx.const(1, "float32") - update) * candidate + update * h(b, u)

    return _kernels(cell, element, [x, recurrence, inner, h], batch, "gru"), c


def _lstm_step(cell: Cell, projected: Expr, h: Expr, c: Expr) -> tuple[Expr, Expr]:
    """Gates in the order input, output, forget, cell; peepholes input, output, forget."""
    call, batch, n = cell.call, int(h.ty.shape.values[0]), cell.hidden
    f, g, last = cell.functions
    recurrence = call.emit(relax.op.matmul(h, cell.r()))
    gates = _total(call, projected, recurrence, cell.bias(0, 4), cell.bias(4, 8))
    peep = [part(call, 7, cell.direction, None)] if call.has(7) else []
    coupled = bool(call.attr("input_forget", 0))

    def gate(index: int, b: Any, u: Any, z: te.Tensor, c: te.Tensor, p: tuple[te.Tensor, ...]) -> Any:
        value = cell.gate(z, index, b, u)
        return f(cell.clipped(value + p[0](index * n + u) * c(b, u) if p else value))

    def new_cell(b: Any, u: Any, z: te.Tensor, c: te.Tensor, *p: te.Tensor) -> Any:
        entry = gate(0, b, u, z, c, p)
        forget = tirx.const(1, "float32") - entry if coupled else gate(2, b, u, z, c, p)
        return forget * c(b, u) + entry * g(cell.clipped(cell.gate(z, 3, b, u)))

    def new_hidden(b: Any, u: Any, z: te.Tensor, c: te.Tensor, *p: te.Tensor) -> Any:
        return gate(1, b, u, z, c, p) * last(c(b, u))

    state = _kernels(cell, new_cell, [gates, c, *peep], batch, "lstm_cell")
    return _kernels(cell, new_hidden, [gates, state, *peep], batch, "lstm_hidden"), state
