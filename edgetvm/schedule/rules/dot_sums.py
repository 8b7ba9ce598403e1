"""One tile of sums: where it starts from, its products, its epilogue."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows
from edgetvm.schedule.rules.dot_instruction import DotInstruction
from edgetvm.schedule.rules.dot_plan import DotPlan
from edgetvm.schedule.rules.dot_window import GROUP, Load, loads_of, over_runs
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, piece

LARGEST_LOAD = 16


@dataclass(frozen=True)
class TilePlace:
    """A tile's activations from `start` of `source` on, `step` bytes a pixel; its weights; its first output."""

    source: tirx.Buffer
    start: Offset
    step: int
    weights: tirx.Buffer
    pixel: tuple[Offset, Offset, Offset]
    channel: Offset


@dataclass(frozen=True)
class TileWriter:
    """Writes one tile of `pixels` by `channels`."""

    code: Code
    plan: DotPlan
    rows: Rows
    pixels: int
    channels: int

    @property
    def instruction(self) -> DotInstruction:
        """The one for as many channels as there are."""
        return self.plan.instruction.of(self.channels)

    @property
    def vectors(self) -> int:
        return -(-self.channels // self.instruction.lanes)

    def write(self, place: TilePlace) -> None:
        """All of it."""
        code, plan, lanes = self.code, self.plan, self.instruction.lanes
        neon = Neon("aarch64") if plan.instruction.unit > 1 else None
        by_bytes = neon is not None and str(plan.kernel.out.buffer.dtype) == "int8"
        widths = tuple(width for width in (16, 8, 4, 1) if by_bytes or width <= lanes)
        epilogue = ChannelEpilogue(code, plan.kernel, self.rows, widths, neon, {})
        acc = code.array("acc", self.pixels * self.vectors, f"int32x{lanes}", "local")
        # A vector with channels that do not exist takes the bias later: none may be read for them.
        biased = epilogue.bias is not None and self.channels % lanes == 0
        self._start(acc, place, epilogue if biased else None)
        self._products(acc, place)
        for p in range(self.pixels):
            sums = [tirx.BufferLoad(acc, self._at(p, c)) for c in range(self.vectors)]

            def some(first: int, count: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return piece(sums, first, count)

            b, y, z = place.pixel
            epilogue.write(some, (b, y, z + p), place.channel, self.channels, biased)

    def _at(self, pixel: int, vector: int) -> list[tirx.Expr]:
        return [number(pixel * self.vectors + vector)]

    def _start(self, acc: tirx.Buffer, place: TilePlace, epilogue: ChannelEpilogue | None) -> None:
        code, plan, lanes = self.code, self.plan, self.instruction.lanes
        values: list[tirx.Expr] = [constant(0, "int32", lanes)] * self.vectors
        if plan.header:
            header = code.view("start", place.weights, 0, plan.tile.columns, "int32")
            values = [load(header, c * lanes, lanes) for c in range(self.vectors)]
        if epilogue is not None:
            biases = epilogue.load_bias(place.channel, self.vectors, lanes)
            values = [a + b for a, b in zip(values, biases, strict=True)] if plan.header else biases
        for c, value in enumerate(values):
            start = code.let("s", value)
            for p in range(self.pixels):
                code.add(tirx.BufferStore(acc, start, self._at(p, c)))

    def _products(self, acc: tirx.Buffer, place: TilePlace) -> None:
        code, plan, window = self.code, self.plan, self.plan.window
        reach = (self.pixels - 1) * place.step + sum((n - 1) * step for n, step in window.loops)
        x = code.view("x", place.source, place.start, reach + plan.pixel_bytes + LARGEST_LOAD)
        most = max(plan.machine.recipe.dot_unrolled // (self.pixels * self.vectors), 1)
        with over_runs(code, window) as (offset, run):
            for trips, move, loads in loads_of(window, plan.instruction.unit, plan.copied, most):
                with code.loop("k", trips) as k:
                    x_at = offset + k * (move * GROUP)
                    w_at = plan.header + (run * window.groups + k * move) * plan.group_bytes
                    self._unrolled(acc, place, x, x_at, w_at, loads)

    def _unrolled(
        self, acc: tirx.Buffer, place: TilePlace, x: tirx.Buffer, x_at: Offset, w_at: Offset, loads: list[Load]
    ) -> None:
        code, instruction, group_bytes = self.code, self.instruction, self.plan.group_bytes
        known: dict[int, list[list[tirx.Expr]]] = {}  # what one pixel reads as one tap, another reads as the next
        for one in loads:
            for byte in (p * place.step + one.x for p in range(self.pixels)):
                if byte not in known:
                    known[byte] = instruction.activations(code, x, x_at + byte, one.groups, self.plan.flips)
            for group in range(one.groups):
                at = w_at + (one.w + group) * group_bytes
                operands = [known[p * place.step + one.x][group] for p in range(self.pixels)]
                weights: dict[int, list[tirx.Expr]] = {}
                for p, c in self._order:
                    if c not in weights:
                        weights[c] = instruction.weights(code, place.weights, at + c * instruction.bytes)
                    old = tirx.BufferLoad(acc, self._at(p, c))
                    code.add(tirx.BufferStore(acc, instruction.add(old, weights[c], operands[p]), self._at(p, c)))

    @property
    def _order(self) -> list[tuple[int, int]]:
        """Pixels and vectors of a tile: of whichever there are fewer, all stay in registers for each of the other."""
        order = [(p, c) for p in range(self.pixels) for c in range(self.vectors)]
        return order if self.pixels > self.vectors else sorted(order, key=lambda place: place[::-1])
