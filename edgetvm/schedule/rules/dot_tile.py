"""int8 convolution and matrix product with an instruction that sums four products of 8 bits.

Weights are packed ``[O / NR][taps][K / 4][NR][4]`` at compile time. A tile of sums stays in registers until the
epilogue has used it. Activations are read where they lie, or from a band of rows that was copied before: with
its border, as unsigned numbers, or with room behind an odd depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.dot_copy import copy_bytes, copy_image_rows
from edgetvm.schedule.rules.dot_epilogue import Lift, can_lift, find_start
from edgetvm.schedule.rules.dot_instruction import DotInstruction, dot_instruction
from edgetvm.schedule.rules.dot_kernel import Access, DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_shape import DotTile, choose_dot_tile
from edgetvm.schedule.rules.dot_window import GROUP, Window, loads_of, over_runs, window_of
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, piece, store
from edgetvm.schedule.types import Constants, Loops

THREAD_STACK_BYTES = 262144


def dot_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such kernel; None where the machine or the kernel is another."""
    instruction = dot_instruction(machine)
    kernel = None if instruction is None else dot_kernel(sch, tuple(constants))
    if instruction is None or kernel is None or not can_lift(kernel.value):
        return None
    window = window_of(kernel, instruction.unit)
    copied = kernel.border is not None or instruction.offset != 0 or window.length % GROUP != 0
    tile = choose_dot_tile(kernel, window, instruction, machine)
    if not copied or (kernel.border is None and kernel.taps == (1, 1)):
        kernel = _fold_rows(kernel, tile.pixels)
    writer = _Writer(kernel, window, instruction, tile, machine, copied)
    params = [_shaped(param, kernel.w, writer.packed) for param in sch.mod["main"].params]
    func = tirx.PrimFunc(params, writer.write())
    position = next(i for i, param in enumerate(sch.mod["main"].params) if param.same_as(kernel.w))
    func = func.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)
    return Loops(func, {position: writer.packing})


def _shaped(param: tirx.Buffer, weights: tirx.Buffer, packed: tirx.Buffer) -> tirx.Buffer:
    return packed if param.same_as(weights) else param


def _fold_rows(kernel: DotKernel, pixels: int) -> DotKernel:
    """Make rows of one tile, where one row of the kernel is several whole tiles: no loop is left within a row."""
    b, y, z = kernel.extents
    if b * y != 1 or z % pixels:
        return kernel

    def fold(access: Access) -> Access:
        step = access.rows[-1]
        return replace(access, rows=(0, step * pixels, step))

    operands = tuple((load_, fold(access)) for load_, access in kernel.operands)
    return replace(kernel, extents=(1, z // pixels, pixels), x=fold(kernel.x), out=fold(kernel.out), operands=operands)


@dataclass(frozen=True)
class _Place:
    """Where a tile lies: offsets of its first pixel's row axes and its first channel."""

    rows: tuple[Offset, Offset, Offset]
    channel: Offset

    def of(self, access: Access) -> Offset:
        offset: Offset = access.base
        for index, step in zip(self.rows, access.rows, strict=True):
            offset = offset + index * step
        return offset + self.channel * access.channel


class _Writer:
    """Writes one kernel: bands of rows, panels of channels, rows, tiles."""

    def __init__(
        self,
        kernel: DotKernel,
        window: Window,
        instruction: DotInstruction,
        tile: DotTile,
        machine: Machine,
        copied: bool,
    ) -> None:
        self.kernel, self.window, self.instruction, self.tile = kernel, window, instruction, tile
        self.machine, self.copied = machine, copied
        self.packing = Panels(tile.columns, GROUP, window.joined, instruction.offset)
        header = GROUP * tile.columns if instruction.offset else 0
        self.header = header
        self.panel_bytes = header + window.panel_groups * tile.columns * GROUP
        panels = -(-kernel.channels // tile.columns)
        self.panels = panels
        self.packed = tirx.decl_buffer(self._packed_shape(panels), "int8", name=kernel.w.name)
        self.start = find_start(kernel.value, kernel.acc)
        self.code = Code()

    def _packed_shape(self, panels: int) -> tuple[int, ...]:
        if self.instruction.offset:
            return (panels, self.panel_bytes)
        kept = [int(size) for size in self.kernel.w.shape[: -1 - self.window.joined]]
        return (panels, *kept, self.window.groups, self.tile.columns, GROUP)

    def write(self) -> tirx.Stmt:
        """The body of the function."""
        code, kernel = self.code, self.kernel
        images, rows, _ = kernel.extents
        self.flat = {}
        for access in {id(a.buffer): a for a in (kernel.x, kernel.out, *(a for _, a in kernel.operands))}.values():
            size = math.prod(int(extent) for extent in access.buffer.shape)
            self.flat[access.buffer] = code.view(f"{access.buffer.name}_row", access.buffer, 0, size)
        self.weights = code.view("panels", self.packed, 0, self.panels * self.panel_bytes)
        band = self._band()
        shared = self._is_shared()
        by_band = shared and rows > band
        by_image = shared and not by_band and images > 1
        with code.loop("b", images, by_image) as b, code.loop("band", rows // band, by_band) as at:
            first = at * band
            scratch = self._copy(b, first, band) if self.copied else None
            self._panels(b, first, band, scratch, parallel=shared and not by_band and images == 1)
        return code.statement()

    def _band(self) -> int:
        """Rows that are copied at a time, or that one thread computes at a time."""
        rows = self.kernel.extents[1]
        if not self.copied:
            return _divisor(rows, max(1, rows // 8))
        fitting = [d for d in range(1, rows + 1) if rows % d == 0 and self._band_bytes(d) <= self._budget()]
        return max(fitting, default=1)

    def _budget(self) -> int:
        return self.machine.recipe.dot_band_bytes

    def _band_rows(self, band: int) -> int:
        """Rows of the image that `band` rows of the output read."""
        pitch = self._pitch()
        step = self.kernel.x.rows[1] // pitch if self.kernel.extents[1] > 1 else 1
        dilation = self.kernel.steps[0] // pitch
        return (band - 1) * step + (self.kernel.taps[0] - 1) * dilation + 1

    def _image_rows(self) -> bool:
        return self.kernel.border is not None or self.kernel.taps != (1, 1)

    def _pitch(self) -> int:
        """Bytes from one row of the copied image to the next."""
        border = self._border()
        return int(border.padded.shape[2]) * int(border.padded.shape[3])

    def _border(self) -> Border:
        x = self.kernel.x.buffer
        return self.kernel.border or Border(x, x, 0, 0, 0)

    def _pixel_bytes(self) -> int:
        return self.window.groups * GROUP

    def _band_bytes(self, band: int) -> int:
        if self._image_rows():
            return self._band_rows(band) * self._pitch() + 4 * GROUP
        return band * self.kernel.extents[2] * self._pixel_bytes()

    def _copy(self, b: Offset, first: Offset, band: int) -> tirx.Buffer:
        """The rows that one band reads, as this kernel wants them."""
        code, kernel = self.code, self.kernel
        source, lanes = self.flat[kernel.x.buffer], self.machine.vector_bytes
        flip = self.instruction.offset != 0
        scratch = code.array("rows", self._band_bytes(band), "int8", "global")
        if self._image_rows():
            border = self._border()
            height = int(border.image.shape[1])
            pitch = self._pitch()
            step = kernel.x.rows[1] // pitch if kernel.extents[1] > 1 else 1
            copy_image_rows(code, scratch, source, border, b * height, first * step, self._band_rows(band), lanes, flip)
            return scratch
        pixels, depth, pitch = kernel.extents[2], kernel.depth, self._pixel_bytes()
        place = _Place((b, first, 0), 0).of(kernel.x)
        if depth == pitch == kernel.x.rows[2] and (band == 1 or kernel.x.rows[1] == pixels * pitch):
            copy_bytes(code, scratch, 0, source, place, band * pixels * pitch, lanes, flip)
            return scratch
        with code.loop("y", band) as y, code.loop("z", pixels) as z:
            start = place + y * kernel.x.rows[1] + z * kernel.x.rows[2]
            copy_bytes(code, scratch, (y * pixels + z) * pitch, source, start, depth, lanes, flip)
        return scratch

    def _panels(self, b: Offset, first: Offset, band: int, scratch: tirx.Buffer | None, parallel: bool) -> None:
        code, tile = self.code, self.tile
        whole = self.kernel.channels // tile.columns
        if whole:
            with code.loop("o", whole, parallel=parallel) as o:
                self._rows(b, first, band, scratch, o, tile.columns)
        rest = self.kernel.channels - whole * tile.columns
        if rest:
            self._rows(b, first, band, scratch, whole, rest)

    def _rows(
        self, b: Offset, first: Offset, band: int, scratch: tirx.Buffer | None, panel: Offset, channels: int
    ) -> None:
        code, tile, kernel = self.code, self.tile, self.kernel
        pixels = kernel.extents[2]
        weights = code.view("w", self.weights, panel * self.panel_bytes, self.panel_bytes)
        with code.loop("y", band) as y:
            if scratch is None:
                source, start = self.flat[kernel.x.buffer], _Place((b, first + y, 0), 0).of(kernel.x)
                step = kernel.x.rows[2]
            elif self._image_rows():
                source, start, step = scratch, y * kernel.x.rows[1], kernel.x.rows[2]
            else:
                step = self._pixel_bytes()
                source, start = scratch, y * (pixels * step)
            if pixels // tile.pixels:
                with code.loop("z", pixels // tile.pixels) as z:
                    at = z * tile.pixels
                    place = _Place((b, first + y, at), panel * tile.columns)
                    self._tile(source, start + at * step, step, weights, place, tile.pixels, channels)
            rest = pixels % tile.pixels
            if rest:
                at = pixels - rest
                place = _Place((b, first + y, at), panel * tile.columns)
                self._tile(source, start + at * step, step, weights, place, rest, channels)

    def _tile(
        self,
        source: tirx.Buffer,
        start: Offset,
        step: int,
        weights: tirx.Buffer,
        place: _Place,
        pixels: int,
        channels: int,
    ) -> None:
        code, lanes = self.code, self.instruction.lanes
        vectors = -(-channels // lanes)
        reach = (pixels - 1) * step + sum((n - 1) * s for n, s in self.window.loops) + self.window.groups * GROUP + 16
        x = code.view("x", source, start, reach)
        acc = code.array("acc", pixels * vectors, f"int32x{lanes}", "local")
        bias = None
        if self.start is not None:
            access = next(access for load_, access in self.kernel.operands if load_.same_as(self.start))
            if access.channel == 1 and not any(access.rows):
                bias = access
        for c in range(vectors):
            value = constant(0, "int32", lanes)
            if self.header:
                sums = code.view("sums", weights, 0, self.tile.columns, "int32")
                value = load(sums, c * lanes, lanes)
            if bias is not None and (c + 1) * lanes <= channels:
                more = load(self.flat[bias.buffer], place.of(bias) + c * lanes, lanes)
                value = value + more if self.header else more
            value = code.let("s", value)
            for p in range(pixels):
                code.add(tirx.BufferStore(acc, value, [number(p * vectors + c)]))
        self._products(x, step, weights, acc, pixels, vectors)
        self._finish(acc, place, pixels, channels, vectors, bias is not None)

    def _products(
        self, x: tirx.Buffer, step: int, weights: tirx.Buffer, acc: tirx.Buffer, pixels: int, vectors: int
    ) -> None:
        code, window, instruction = self.code, self.window, self.instruction
        lanes, group_bytes = instruction.lanes, self.tile.columns * GROUP
        most = max(self.machine.recipe.dot_unrolled // (pixels * vectors), 1)
        with over_runs(code, window) as (offset, run):
            for trips, move, loads in loads_of(window, instruction.unit, self.copied, most):
                with code.loop("k", trips) as k:
                    x_at = offset + k * (move * GROUP) if move else offset
                    w_at = self.header + (run * window.groups + k * move) * group_bytes
                    known: dict[int, tirx.Expr] = {}
                    for one in loads:
                        for p in range(pixels):
                            byte = p * step + one.x
                            if byte not in known:
                                value = instruction.activations(x, x_at + byte, one.groups)
                                known[byte] = code.let("a", value)
                        for g in range(one.groups):
                            w = [
                                code.let(
                                    "w", load(weights, w_at + (one.w + g) * group_bytes + c * 4 * lanes, 4 * lanes)
                                )
                                for c in range(vectors)
                            ]
                            for p in range(pixels):
                                for c in range(vectors):
                                    at = [number(p * vectors + c)]
                                    total = instruction.add(tirx.BufferLoad(acc, at), w[c], known[p * step + one.x], g)
                                    code.add(tirx.BufferStore(acc, total, at))

    def _finish(
        self, acc: tirx.Buffer, place: _Place, pixels: int, channels: int, vectors: int, has_bias: bool
    ) -> None:
        code, kernel, lanes = self.code, self.kernel, self.instruction.lanes
        neon = self.instruction.unit > 1
        byte_out = str(kernel.out.buffer.dtype) == "int8"
        widths = [16, 8, 4, 1] if neon and byte_out else [lanes, *(w for w in (8, 4) if w < lanes), 1]
        for p in range(pixels):
            own = _Place((*place.rows[:2], place.rows[2] + p), place.channel)
            sums = [tirx.BufferLoad(acc, [number(p * vectors + c)]) for c in range(vectors)]
            at = 0
            while at < channels:
                width = next(w for w in widths if w <= channels - at)
                started = has_bias and (at // lanes + 1) * lanes <= channels
                result = Lift(code, width, self._finder(sums, own, at, width, started), neon)(kernel.value)
                code.add(store(self.flat[kernel.out.buffer], own.of(kernel.out) + at, result))
                at += width

    def _finder(
        self, sums: list[tirx.Expr], own: _Place, at: int, width: int, started: bool
    ) -> Callable[[tirx.Expr], tirx.Expr | None]:
        """What the epilogue reads, `width` channels from `at` on. `started` tells that the bias is in the sums."""
        kernel = self.kernel

        def find(value: tirx.Expr) -> tirx.Expr | None:
            if started and isinstance(value, tirx.Add) and value.b.same_as(self.start):
                return piece(sums, at, width)
            if not isinstance(value, TensorLoad):
                return None
            if value.source.same_as(kernel.acc):
                return piece(sums, at, width)
            access = next(access for load_, access in kernel.operands if load_.same_as(value))
            offset = own.of(access) + at * access.channel
            read = load(self.flat[access.buffer], offset, width if access.channel else 1)
            return read if access.channel or width == 1 else tirx.Broadcast(read, width)

        return find

    def _is_shared(self) -> bool:
        least = self.machine.recipe.parallel_operations
        fits = not self.copied or self._band_bytes(self._band()) <= THREAD_STACK_BYTES
        return bool(least) and fits and self.kernel.products // GROUP >= least


def _divisor(number_: int, limit: int) -> int:
    return max(d for d in range(1, limit + 1) if number_ % d == 0)
