"""Loops that move or fill elements, whole registers at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tvm import tirx

from edgetvm.schedule.analysis import element_bytes
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store

WORD = 4  # bytes of a register where there are no vectors
GROUP = 4  # registers that are loaded before they are stored: cores without vectors do so by one instruction each


def move_elements(code: Code, buffer: tirx.Buffer, source: int, elements: int, machine: Machine) -> None:
    """Move `elements` elements of a row from `source` on to its beginning."""
    if elements == 0:
        return
    view, size, lanes = _registers(code, buffer, (source, elements), machine)
    source, elements = source // size, elements // size
    for at, registers, width in _pieces(code, 0, elements, lanes):
        places = [at + register * width for register in range(registers)]
        values = [code.let("moved", load(view, place + source, width)) for place in places]
        for place, value in zip(places, values, strict=True):
            code.add(store(view, place, value))


def fill_elements(code: Code, buffer: tirx.Buffer, first: int, elements: int, value: float, machine: Machine) -> None:
    """Set `elements` elements of a row from `first` on to `value`."""
    if elements == 0:
        return
    dtype = str(buffer.dtype)
    view, size, lanes = _registers(code, buffer, (first, elements), machine)
    first, elements = first // size, elements // size
    filled = np.full(size, value, dtype).view(str(view.dtype))[0].item()
    for at, registers, width in _pieces(code, first, elements, lanes):
        for register in range(registers):
            code.add(store(view, at + register * width, constant(filled, str(view.dtype), width)))


def _registers(
    code: Code, buffer: tirx.Buffer, places: tuple[int, ...], machine: Machine
) -> tuple[tirx.Buffer, int, int]:
    """(the row seen as what a register holds, elements of one of these, how many of them fill a register)."""
    bytes_ = element_bytes(buffer)
    if machine.vector_bytes:
        return buffer, 1, machine.lanes(bytes_)
    words = int(buffer.shape[0]) * bytes_ // WORD
    size = WORD // bytes_ if bytes_ < WORD and all(place * bytes_ % WORD == 0 for place in places) else 1
    return (buffer if size == 1 else code.view("words", buffer, 0, words, "int32")), size, 1


def _pieces(code: Code, first: int, elements: int, lanes: int) -> Iterator[tuple[Offset, int, int]]:
    """Loops over `elements` elements: (where, registers, elements of each)."""
    end = first + elements
    for registers, width in ((GROUP, lanes), (1, lanes), (1, 1)):
        count = (end - first) // (registers * width)
        if count:
            with code.loop("piece", count) as piece:
                yield piece * (registers * width) + first, registers, width
        first += count * registers * width
