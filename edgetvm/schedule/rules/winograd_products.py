"""Blocks of products of transformed tiles [T, C] with transformed weights [C, O], their sums in registers."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, shuffle, store

LANE_GROUP = 4  # activations that NEON loads at once and multiplies by lane


@dataclass(frozen=True)
class ProductWriter:
    """Writes one block for one position: `plan.rows` tiles by `plan.columns` channels."""

    code: Code
    plan: WinogradPlan

    def write(self, tiles: tirx.Buffer, at: Offset, weights: tirx.Buffer, sums: tirx.Buffer, to: Offset) -> None:
        """Products of the tiles from element `at` on with a panel of `weights`, to `sums` from `to` on."""
        code, plan, lanes = self.code, self.plan, self.plan.lanes
        depth = plan.kernel.depth
        x = code.view("x", tiles, at, plan.rows * depth)
        acc = code.array("acc", plan.rows * plan.vectors, f"float32x{lanes}", "local")
        for i in range(plan.rows * plan.vectors):
            code.add(tirx.BufferStore(acc, constant(0.0, "float32", lanes), [number(i)]))
        group = LANE_GROUP if plan.machine.neon else 1
        whole = depth // group
        most = max(plan.machine.recipe.unrolled_operations // (plan.rows * plan.vectors * group), 1)
        unrolled = max((n for n in range(1, most + 1) if whole % n == 0), default=1)
        if whole:
            with code.loop("k", whole // unrolled) as k:
                for n in range(unrolled):
                    self._steps(acc, x, weights, k * (unrolled * group) + n * group, group)
        for k in range(whole * group, depth):
            self._steps(acc, x, weights, k, 1)
        for t in range(plan.rows):
            for v in range(plan.vectors):
                value = tirx.BufferLoad(acc, [number(t * plan.vectors + v)])
                code.add(store(sums, to + t * plan.columns + v * lanes, value))

    def _steps(self, acc: tirx.Buffer, x: tirx.Buffer, weights: tirx.Buffer, k: Offset, count: int) -> None:
        """`count` steps of the sums from `k` on."""
        code, plan, lanes = self.code, self.plan, self.plan.lanes
        loaded = [code.let("a", load(x, k + t * plan.kernel.depth, count)) for t in range(plan.rows)]
        for step in range(count):
            row = (k + step) * plan.columns
            w = [code.let("w", load(weights, row + v * lanes, lanes)) for v in range(plan.vectors)]
            for t, a in enumerate(loaded):
                same = tirx.Broadcast(a, lanes) if count == 1 else shuffle([a], [step] * lanes)
                for v in range(plan.vectors):
                    place = [number(t * plan.vectors + v)]
                    code.add(tirx.BufferStore(acc, tirx.BufferLoad(acc, place) + w[v] * same, place))
