"""Which inputs a kernel may overwrite with its output.

An output may take the place of an input when the block that writes the output reads that input at
exactly the element it writes, and no other block reads the input at all: each element is then
loaded before it is replaced, in whatever order the loops run.
"""

from __future__ import annotations

import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import TensorLoad
from tvm_ffi import structural_equal


def reusable_inputs(func: tirx.PrimFunc) -> tuple[tuple[int, int], ...]:
    """(input, output) parameter positions of a scheduled `func` that may share memory.

    Positions count inputs and outputs apart; outputs are the parameters that are written.
    """
    loads: dict[tirx.Buffer, list[tuple[s_tir.SBlock, list[tirx.Expr]]]] = {}
    stores: dict[tirx.Buffer, list[tuple[s_tir.SBlock, list[tirx.Expr]]]] = {}
    opaque: list[s_tir.SBlock] = []

    def on_block(block: s_tir.SBlock) -> None:
        if block.name_hint == "root":
            return
        reduces = any(axis.iter_type != tirx.IterVar.DataPar for axis in block.iter_vars)
        if reduces or block.init is not None:
            opaque.append(block)

        def on_load(load: TensorLoad) -> None:
            loads.setdefault(load.source, []).append((block, list(load.indices)))

        def on_store(store: tirx.BufferStore) -> None:
            stores.setdefault(store.buffer, []).append((block, list(store.indices)))

        tvm_ffi.structural_walk(block.body, ((TensorLoad, on_load), (tirx.BufferStore, on_store)))

    tvm_ffi.structural_walk(func.body, (s_tir.SBlock, on_block))
    outputs = [param for param in func.params if param in stores]
    inputs = [param for param in func.params if param not in stores]
    return tuple(
        (i, o)
        for o, result in enumerate(outputs)
        for i, source in enumerate(inputs)
        if str(source.dtype) == str(result.dtype)
        and structural_equal(source.shape, result.shape)
        and _same_element(loads.get(source, []), stores[result], opaque, [int(extent) for extent in result.shape])
    )


def _same_element(
    loads: list[tuple[s_tir.SBlock, list[tirx.Expr]]],
    stores: list[tuple[s_tir.SBlock, list[tirx.Expr]]],
    opaque: list[s_tir.SBlock],
    shape: list[int],
) -> bool:
    if not loads or len(stores) != 1 or any(stores[0][0].same_as(block) for block in opaque):
        return False
    block, indices = stores[0]
    return all(reader.same_as(block) and _equal_indices(where, indices, shape) for reader, where in loads)


def _equal_indices(a: list[tirx.Expr], b: list[tirx.Expr], shape: list[int]) -> bool:
    """Whether both name the same element; along an axis of length 1 there is but one index."""
    return all(extent == 1 or structural_equal(x, y) for x, y, extent in zip(a, b, shape, strict=True))
