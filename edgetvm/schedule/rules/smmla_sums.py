"""One tile of sums by smmla: pairs of pixels by pairs of channels.

    d[0..3] = d + (p . o, p . o', q . o, q . o')        for the rows p, q of one operand and o, o' of the other

Four channels of a pair of pixels take two registers; a row of them is the lower or the upper half of each. In a tile
of an odd number of pixels the last is its own partner.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue
from edgetvm.schedule.rules.dot_sums import TilePlace, TileWriter
from edgetvm.schedule.rules.dot_window import GROUP, Load
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.write_code import Offset, constant, lanes_of, load, number, piece, shuffle

LANES = 4
VECTOR = 16
SMMLA = "llvm.aarch64.neon.smmla.v4i32.v16i8"


@dataclass(frozen=True)
class SmmlaWriter(TileWriter):
    """Writes one tile. `paired` tells that weights lie as smmla wants them, else as sdot does."""

    paired: bool = True

    @property
    def pairs(self) -> int:
        return -(-self.pixels // 2)

    def write(self, place: TilePlace) -> None:
        """All of it."""
        code, plan = self.code, self.plan
        widths = (16, 8, 4, 1) if str(plan.kernel.out.buffer.dtype) == "int8" else (4, 1)
        epilogue = ChannelEpilogue(code, plan.kernel, self.rows, widths, Neon("aarch64"), {})
        acc = code.array("acc", 2 * self.pairs * self.vectors, f"int32x{LANES}", "local")
        # A vector with channels that do not exist takes the bias later: none may be read for them.
        biased = epilogue.bias is not None and self.channels % LANES == 0
        self._start(acc, place, epilogue if biased else None)
        self._products(acc, place)
        for p in range(self.pixels):
            sums = self._row(acc, p)

            def some(first: int, count: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return piece(sums, first, count)

            b, y, z = place.pixel
            epilogue.write(some, (b, y, z + p), place.channel, self.channels, biased)

    def _start(self, acc: tirx.Buffer, place: TilePlace, epilogue: ChannelEpilogue | None) -> None:
        code = self.code
        zero = constant(0, "int32", LANES)
        biases = [] if epilogue is None else epilogue.load_bias(place.channel, self.vectors, LANES)
        for c in range(self.vectors):
            for half in range(2):
                value = shuffle([biases[c]], [2 * half, 2 * half + 1] * 2) if biases else zero
                start = code.let("s", value)
                for pair in range(self.pairs):
                    code.add(tirx.BufferStore(acc, start, self._sum(pair, c, half)))

    def _row(self, acc: tirx.Buffer, pixel: int) -> list[tirx.Expr]:
        """The sums of one pixel, in vectors of four channels."""
        lanes = [0, 1, 4, 5] if pixel % 2 == 0 else [2, 3, 6, 7]
        halves = [[tirx.BufferLoad(acc, self._sum(pixel // 2, c, h)) for h in range(2)] for c in range(self.vectors)]
        return [self.code.let("s", shuffle(pair, lanes)) for pair in halves]

    def _unrolled(
        self, acc: tirx.Buffer, place: TilePlace, x: tirx.Buffer, x_at: Offset, w_at: Offset, loads: list[Load]
    ) -> None:
        code = self.code
        raw: dict[int, tirx.Expr] = {}  # what one pixel reads as one tap, another reads as the next
        joined: dict[tuple[int, int, int], tirx.Expr] = {}
        for one in loads:
            places = [p * place.step + one.x for p in range(self.pixels)]
            for byte in places:
                if byte not in raw:
                    raw[byte] = code.let("a", load(x, x_at + byte, _load_bytes(one.groups)))
            for step in range(-(-one.groups // 2)):
                whole = 2 * step + 1 < one.groups
                weights = self._weights(place, w_at + (one.w + 2 * step) * self.plan.group_bytes, whole)
                for pair in range(self.pairs):
                    ends = places[2 * pair], places[min(2 * pair + 1, self.pixels - 1)]
                    key = (*ends, step)
                    if key not in joined:
                        joined[key] = code.let("p", _join(raw[ends[0]], raw[ends[1]], step))
                    for c in range(self.vectors):
                        for half in range(2):
                            at = self._sum(pair, c, half)
                            factors = joined[key], weights[c][half]
                            old = tirx.BufferLoad(acc, at)
                            new = tirx.call_llvm_pure_intrin(f"int32x{LANES}", SMMLA, old, *factors)
                            code.add(tirx.BufferStore(acc, new, at))

    def _weights(self, place: TilePlace, at: Offset, whole: bool) -> list[tuple[tirx.Expr, tirx.Expr]]:
        """Of each four channels the first pair and the second; of half a step the second group is zero."""
        code, vectors = self.code, self.vectors
        if whole and self.paired:
            row = [code.let("w", load(place.weights, at + v * VECTOR, VECTOR)) for v in range(2 * vectors)]
            return list(zip(row[::2], row[1::2], strict=True))
        halves = []
        for v in range(vectors):
            words = []
            for group in range(2):
                if group and not whole:
                    words.append(constant(0, "int32", LANES))
                    continue
                raw = load(place.weights, at + group * self.plan.group_bytes + v * VECTOR, VECTOR)
                words.append(code.let("w", tirx.reinterpret(f"int32x{LANES}", raw)))
            pairs = [shuffle(words, lanes) for lanes in ([0, 4, 1, 5], [2, 6, 3, 7])]
            first, second = (code.let("w", tirx.reinterpret(f"int8x{VECTOR}", pair)) for pair in pairs)
            halves.append((first, second))
        return halves

    def _sum(self, pair: int, vector: int, half: int) -> list[tirx.Expr]:
        return [number((pair * self.vectors + vector) * 2 + half)]


def _load_bytes(groups: int) -> int:
    return GROUP << (groups - 1).bit_length()  # three groups are read as four


def _join(p: tirx.Expr, q: tirx.Expr, step: int) -> tirx.Expr:
    """Eight bytes of each pixel from byte ``8 * step`` on; of four, the other four are anything."""
    size = lanes_of(p)
    if size == GROUP:
        words = [tirx.Broadcast(tirx.reinterpret("int32", side), 2) for side in (p, q)]
        joined = shuffle(words, [0, 1, 2, 3])
    else:
        kind = "int64" if size == 2 * GROUP else "int64x2"
        words = [tirx.reinterpret(kind, side) for side in (p, q)]
        joined = shuffle(words, [0, 1] if size == 2 * GROUP else [step, 2 + step])
    return tirx.reinterpret(f"int8x{VECTOR}", joined)
