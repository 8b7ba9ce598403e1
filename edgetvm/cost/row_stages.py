"""A kernel of several stages: what its parts are, and what a plan of their rows has to know of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import TensorLoad

from edgetvm.cost.row_plan import Image, RowPlan, Source, Stage, plan_rows
from edgetvm.cost.row_windows import AXIS, nests, windows

# Attributes of such a kernel: how many blocks each stage has, and the rows of the result that it computes at a step.
STAGES = "edgetvm.stages"
TILE = "edgetvm.tile_rows"


def plan_stages(kernels: Sequence[tuple[tirx.PrimFunc, Sequence[Source]]], tile: int) -> RowPlan | None:
    """The plan of kernels that follow one another, `tile` rows of the last one's result a step.

    With each come its operands: kernels before it by their number, other tensors by name. None if the kernels
    cannot go by rows.
    """
    stages: list[Stage] = []
    images: dict[str, Image] = {}
    whole: set[Source] = set()
    for func, sources in kernels:
        found = windows(func)
        if found is None:
            return None
        reads = {sources[position]: window for position, window in found.items()}
        if len(reads) < len(found):
            return None
        whole |= {source for source in sources if source not in reads}
        images |= {
            source: image_of(func.params[position])
            for position in found
            if isinstance(source := sources[position], str)
        }
        stages.append(Stage(image_of(func.params[-1]), reads))
    if any(source in images or isinstance(source, int) for source in whole):
        return None
    return plan_rows(stages, images, tile)


def plan_of(func: tirx.PrimFunc, stages: Sequence[tirx.PrimFunc], tile: int) -> RowPlan | None:
    """The plan of a kernel and its `stages_of`, `tile` rows a step. Images are named by their position."""
    names: dict[tirx.Buffer, Source] = {param: str(position) for position, param in enumerate(func.params[:-1])}
    names |= {stage.params[-1]: number for number, stage in enumerate(stages)}
    return plan_stages([(stage, [names[param] for param in stage.params[:-1]]) for stage in stages], tile)


def image_of(buffer: tirx.Buffer) -> Image:
    """Rows and bytes of a tensor [1, H, W, C]."""
    bits = int(tvm.DataType(str(buffer.dtype)).bits)
    return Image(int(buffer.shape[AXIS]), row_elements(buffer) * ((bits + 7) // 8))


def row_elements(buffer: tirx.Buffer) -> int:
    """Elements of a row of a tensor [1, H, W, C]."""
    return math.prod(int(extent) for extent in buffer.shape[AXIS + 1 :])


def stages_of(func: tirx.PrimFunc) -> list[tirx.PrimFunc]:
    """The stages of a kernel with the attribute STAGES, each with what it reads and what it writes as parameters."""
    parts = nests(func)
    found = []
    for count in map(int, func.attrs[STAGES]):
        own, parts = parts[:count], parts[count:]
        body = own[0] if count == 1 else tirx.SeqStmt(own)
        read = list(dict.fromkeys(load.source for load in _all(body, TensorLoad)))
        *inner, result = dict.fromkeys(store.buffer for store in _all(body, tirx.BufferStore))
        params = [buffer for buffer in read if buffer not in (*inner, result)]
        found.append(kernel_of([*params, result], body, inner))
    return found


def _all(body: tirx.Stmt, kind: type) -> list[Any]:
    found: list[Any] = []
    tvm_ffi.structural_walk(body, (kind, found.append))
    return found


def kernel_of(params: Sequence[tirx.Buffer], body: tirx.Stmt, arrays: Sequence[tirx.Buffer]) -> tirx.PrimFunc:
    """A kernel of blocks, which has `arrays` for itself."""
    block = s_tir.SBlock([], [], [], "root", body, None, list(arrays))
    return tirx.PrimFunc(list(params), s_tir.SBlockRealize([], True, block)).with_attr("tirx.noalias", True)
