"""Where a tile of sums finds its activations: words of two widened ones, or of four as they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_panels import GROUP

PAIR = 2  # widened activations of one word
BYTE = 8  # bits


@dataclass(frozen=True)
class Image:
    """The image under a window, which moves by `step` pixels with the output, `dilation` with the tap: down, across."""

    border: Border
    step: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def width(self) -> int:
        return int(self.border.padded.shape[2])


@dataclass(frozen=True)
class Words:
    """Words of activations.

    quads   whether a group is of four channels: bytes 0 and 2 of them are widened together, then 1 and 3;
            otherwise activations follow one another as they do in memory
    copied  whether they are widened in a copy, two words a group; otherwise a word is a group
    image   where the copy is of rows of an image; None where it is of the pixels of one tile
    rows    of the copy
    pixels  of one of its rows
    depth   activations of a pixel, filled up to where the next may begin
    axes    (extent, step in words) of the groups of one output, the innermost last
    pairs   of activations that a tile reads while it holds the weights for all of them: those of one group, or of all
            of the last axis, where pixels see the same words by different taps
    step    words from a pixel of the output to the next
    down    words from a row of the output to the next
    apart   whether a copy has the first word of a group of all pixels of a row, then the second, so that neighbouring
            pixels are neighbours; a word is then a group
    """

    quads: bool
    copied: bool
    image: Image | None
    rows: int
    pixels: int
    depth: int
    axes: tuple[tuple[int, int], ...]
    step: int
    down: int
    pairs: int = PAIR
    apart: bool = False

    @property
    def pixel(self) -> int:
        """Words from a pixel of a copy of groups to the next."""
        return 1 if self.apart else PAIR

    @property
    def half(self) -> int:
        """Words from the first word of a group to the second."""
        return self.pixels if self.apart else 1

    @property
    def shared(self) -> int:
        """Groups whose weights are held together."""
        return -(-self.pairs // PAIR)

    @property
    def row_words(self) -> int:
        """Of one row of the copy."""
        return -(-self.pixels * self.depth // PAIR)

    @property
    def words(self) -> int:
        """Of the copy, with what the last group may read behind it."""
        return self.rows * self.row_words + (0 if self.quads else GROUP // PAIR)

    @property
    def groups(self) -> int:
        return math.prod(extent for extent, _ in self.axes)


def in_place(kernel: DotKernel) -> Words | None:
    """Four channels at a time where they lie; None where they do not lie so."""
    x = kernel.x
    if kernel.border is not None or not has_quads(kernel):
        return None
    (i, j), (down, across) = kernel.taps, kernel.steps
    axes = ((i, down // GROUP), (j, across // GROUP), (kernel.depth // GROUP, 1))
    return Words(True, False, None, 0, 0, kernel.depth, merged(axes), x.rows[2] // GROUP, x.rows[1] // GROUP)


def in_pixels(kernel: DotKernel, pixels: int, apart: bool = False) -> Words:
    """A copy of the pixels of a tile, for a kernel without a window."""
    if apart:
        axes = ((kernel.depth // PAIR, pixels),)
        return Words(True, True, None, 1, pixels, kernel.depth, axes, 1, 0, 1, apart)
    if has_quads(kernel):
        axes = ((kernel.depth // GROUP, pixels * PAIR),)
        return Words(True, True, None, 1, pixels, kernel.depth, axes, PAIR, 0)
    depth = _up(kernel.depth, PAIR)
    axes = ((-(-kernel.depth // GROUP), PAIR),)
    return Words(False, True, None, 1, pixels, depth, axes, depth // PAIR, 0)


def in_rows(kernel: DotKernel, image: Image, band: int, shared: bool, apart: bool = False) -> Words:
    """A copy of the rows that `band` rows of outputs see. With `shared` weights of a row of taps are held together."""
    (i, j), (down, across), (step_y, step_z) = kernel.taps, image.dilation, image.step
    rows = (band - 1) * step_y + (i - 1) * down + 1
    pixels = (kernel.extents[2] - 1) * step_z + (j - 1) * across + 1
    depth = kernel.depth
    words = Words(has_quads(kernel), True, image, rows, pixels, depth, (), 0, 0)
    if apart:
        row = words.row_words
        axes = merged(((i, down * row), (j, across), (depth // PAIR, pixels)))
        return replace(words, axes=axes, step=step_z, down=step_y * row, pairs=1, apart=apart)
    if words.quads:
        row = words.row_words
        window, taps, quads = (i, down * row), (j, across * PAIR), (depth // GROUP, pixels * PAIR)
        axes = (*merged((window, quads)), taps) if shared else merged((window, taps, quads))
        pairs = PAIR * j if shared else PAIR
        return replace(words, axes=axes, step=step_z * PAIR, down=step_y * row, pairs=pairs)
    if step_z * depth % PAIR or (j > 1 and across > 1):
        depth = _up(depth, PAIR)
    words = replace(words, depth=depth)
    row, pixel = words.row_words, depth // PAIR
    words = replace(words, step=step_z * depth // PAIR, down=step_y * row)
    if not runs_on(kernel, image):
        axes = ((i, down * row), (j, across * pixel), (-(-kernel.depth // GROUP), PAIR))
        return replace(words, axes=axes)
    run = (j - 1) * depth + kernel.depth
    pairs = -(-run // PAIR) if shared else PAIR
    return replace(words, axes=((i, down * row), (-(-run // GROUP), PAIR)), pairs=pairs)


def runs_on(kernel: DotKernel, image: Image) -> bool:
    """Whether the taps of a row are neighbours."""
    return kernel.taps[1] == 1 or image.dilation[1] == 1


def has_quads(kernel: DotKernel) -> bool:
    """Whether every pixel begins at a multiple of four and is of whole groups."""
    places = (kernel.x.base, *kernel.x.rows, *kernel.steps, kernel.depth)
    return all(place % GROUP == 0 for place in places)


def image_of(kernel: DotKernel) -> Image | None:
    """The image of a kernel with a window; None where its steps are not of whole pixels and rows."""
    x = kernel.x
    if len(x.buffer.shape) != 4 or x.base:
        return None
    border = kernel.border or Border(x.buffer, x.buffer, 0, 0, 0)
    depth = int(border.padded.shape[3])
    pitch = int(border.padded.shape[2]) * depth
    downs, acrosses = (x.rows[1], kernel.steps[0]), (x.rows[2], kernel.steps[1])
    if depth != kernel.depth or any(s % pitch for s in downs) or any(s % depth for s in acrosses):
        return None
    (step_y, apart_y), (step_z, apart_z) = [s // pitch for s in downs], [s // depth for s in acrosses]
    return Image(border, (step_y, step_z), (apart_y, apart_z))


def merged(axes: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The same places by fewer axes."""
    result: list[tuple[int, int]] = []
    for extent, step in axes:
        if result and (extent == 1 or result[-1][1] == step * extent or result[-1][0] == 1):
            outer = result.pop()
            step = outer[1] if extent == 1 else step
            extent *= outer[0]
        result.append((extent, step))
    return tuple(result)


def loads_of(words: Words, pixels: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """What a tile of `pixels` reads for the groups that it holds weights of, in order.

    Each word with the (pixel, pair of weights) that it is multiplied for.
    """
    uses: dict[int, list[tuple[int, int]]] = {}
    step = words.axes[-1][1] if words.shared > 1 else 0
    for p in range(pixels):
        for pair in range(words.pairs):
            word = p * words.step + pair // PAIR * step + pair % PAIR
            uses.setdefault(word, []).append((p, pair))
    return sorted(uses.items())


def _up(amount: int, unit: int) -> int:
    return -(-amount // unit) * unit
