"""What lies where in the arenas, and when: the memory plan as a list, for people."""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.program import COPY


@dataclass(frozen=True)
class ArenaBlock:
    """Bytes from `offset` on that are in use from call `first` to call `last`, both included, in one of the arenas.

    Calls count from 0. An input is in use from -1 on, an output until after the last call. A tensor has the name of
    the model's input, or of the first ONNX node behind it; the scratch of a kernel that of the kernel's output.
    """

    name: str
    offset: int
    bytes: int
    first: int
    last: int
    scratch: bool
    arena: int = 0


def arena_blocks(code: ModelCode) -> tuple[ArenaBlock, ...]:
    """Every tensor and workspace of a model, in the order in which they come into use."""
    program, plan = code.program, code.plan
    names = {program.root(index): program.values[index].name for index in program.inputs}
    lives = {program.root(index): [-1, -1] for index in program.inputs}
    scratch = []
    for step, call in enumerate(program.calls):
        maker = call.nodes[0] if call.nodes else call.kernel
        for index in (*call.inputs, *call.outputs):
            root = program.root(index)
            names.setdefault(root, maker)
            lives.setdefault(root, [step, step])[1] = step
        sizes = () if call.kernel == COPY else code.kernel(call.kernel).workspaces
        scratch += [
            ArenaBlock(maker, place.offset, size, step, step, True, place.arena)
            for place, size in zip(plan.workspaces[step], sizes, strict=False)
        ]
    for index in program.outputs:
        lives.setdefault(program.root(index), [len(program.calls)] * 2)[1] = len(program.calls)
    tensors = [
        ArenaBlock(names[root], place.offset, program.values[root].bytes, first, last, False, place.arena)
        for root, (first, last) in lives.items()
        if (place := plan.values.get(root)) is not None
    ]
    return tuple(
        sorted([*tensors, *scratch], key=lambda block: (block.first, block.scratch, block.arena, block.offset))
    )
