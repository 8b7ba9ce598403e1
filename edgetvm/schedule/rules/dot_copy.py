"""Copies of rows for kernels that cannot read activations where they lie: borders, unsigned operands, odd depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import tirx

from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, store


def copy_bytes(
    code: Code,
    target: tirx.Buffer,
    at: Offset,
    source: tirx.Buffer,
    start: Offset,
    count: int,
    lanes: int,
    flip: bool,
    together: int = 1,
) -> None:
    """`count` bytes, with `flip` as unsigned: 128 added. Loops over vectors of `lanes` bytes, then smaller pieces.

    Up to `together` vectors are moved in an iteration: LLVM makes a call of memcpy of a loop that moves one.
    """

    def move(place: Offset, width: int) -> None:
        value = load(source, start + place, width)
        if flip:
            value = tirx.bitwise_xor(value, constant(-128, "int8", width))
        code.add(store(target, at + place, value))

    _pieces(code, count, lanes, move, together)


def fill_bytes(
    code: Code, target: tirx.Buffer, at: Offset, value: int, count: int, lanes: int, together: int = 1
) -> None:
    """`count` equal bytes."""

    def put(place: Offset, width: int) -> None:
        code.add(store(target, at + place, constant(value, "int8", width)))

    _pieces(code, count, lanes, put, together)


def _pieces(code: Code, count: int, lanes: int, move: Callable[[Offset, int], None], together: int) -> None:
    whole = count // lanes
    if whole:
        group = max(n for n in range(1, together + 1) if whole % n == 0)
        with code.loop("at", whole // group) as at:
            for n in range(group):
                move((at * group + n) * lanes, lanes)
    done = whole * lanes
    while done < count:
        lanes = min(lanes, 1 << ((count - done).bit_length() - 1))
        move(done, lanes)
        done += lanes


def copy_image_rows(
    code: Code,
    target: tirx.Buffer,
    image: tirx.Buffer,
    border: Border,
    image_row: Offset,
    first: Offset,
    rows: int,
    lanes: int,
    flip: bool,
    together: int = 1,
) -> None:
    """Rows `first` to `first + rows` of the image with its border. `image_row` is the image's row 0 in `image`."""
    _, height, width, depth = (int(extent) for extent in border.image.shape)
    padded_height, padded_width = (int(extent) for extent in border.padded.shape[1:3])
    pitch = padded_width * depth
    fill = border.fill ^ -128 if flip else border.fill
    left, middle = border.left * depth, width * depth
    right = pitch - left - middle
    with code.loop("row", rows) as row:
        place, own = row * pitch, first + row - border.top

        def copy() -> None:
            fill_bytes(code, target, place, fill, left, lanes, together)
            copy_bytes(code, target, place + left, image, (image_row + own) * middle, middle, lanes, flip, together)
            fill_bytes(code, target, place + left + middle, fill, right, lanes, together)

        if padded_height == height:
            copy()
            return
        row_there = number(own)
        inside = tirx.And(row_there >= number(0), row_there < number(height))
        with code.when(inside):
            copy()
        with code.when(tirx.Not(inside)):
            fill_bytes(code, target, place, fill, pitch, lanes, together)


def copy_pixels(
    code: Code,
    target: tirx.Buffer,
    source: tirx.Buffer,
    start: Offset,
    counts: tuple[int, int],
    steps: Sequence[int],
    depth: int,
    pitch: int,
    lanes: int,
    flip: bool,
) -> None:
    """`counts` rows and columns of pixels of `depth` bytes, `steps` bytes apart, to one behind the other.

    In the copy a pixel takes `pitch` bytes.
    """
    rows, columns = counts
    dense = depth == pitch
    if dense and (columns == 1 or steps[1] == depth) and (rows == 1 or steps[0] == columns * depth):
        copy_bytes(code, target, 0, source, start, rows * columns * depth, lanes, flip)
        return
    with code.loop("y", rows) as y, code.loop("z", columns) as z:
        place, origin = (y * columns + z) * pitch, start + y * steps[0] + z * steps[1]
        copy_bytes(code, target, place, source, origin, depth, lanes, flip)
