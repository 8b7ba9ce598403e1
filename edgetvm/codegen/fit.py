"""Whether a model fits its board, and the message when it does not."""

from __future__ import annotations

from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.spread import Room
from edgetvm.errors import DoesNotFitError
from edgetvm.target.types import Board, Memory, Target

_SHOWN = 3


def check_ram(code: ModelCode, model: str, target: Target) -> None:
    """Raise DoesNotFitError when the arena of a model that could not be spread is larger than the largest RAM region
    of the target's board.
    """
    region = largest_region(target.board, "ram") if target.board else None
    if target.board is None or region is None or code.plan.arenas[0].bytes <= region.bytes:
        return
    regions = [memory for memory in target.board.memory if memory.kind == "ram"]
    has = f"the largest RAM region of {target.board.name}, '{region.name}', has {_kib(region.bytes)}"
    if len(regions) > 1:
        listed = ", ".join(f"'{memory.name}' {_kib(memory.bytes)}" for memory in regions)
        has = f"its tensors cannot be laid into the RAM of {target.board.name}: {listed}"
    raise DoesNotFitError(
        f"{model} needs {_kib(code.plan.arena_bytes)} of activations; {has}",
        f"largest tensors: {', '.join(_largest_tensors(code))}",
    )


def arena_rooms(target: Target, reserved: int) -> tuple[Room, ...]:
    """What arenas may take of the board's RAM regions, of which there are several; none where one arena must do.

    `reserved` bytes of the first stay free for the stack and variables.
    """
    regions = [memory for memory in target.board.memory if memory.kind == "ram"] if target.board else []
    if target.is_linux or len(regions) < 2:
        return ()
    free = [max(0, regions[0].bytes - reserved), *(memory.bytes for memory in regions[1:])]
    return tuple(Room(memory.name, size, memory.wait_states) for memory, size in zip(regions, free, strict=True))


def enough_ram(target: Target, optimize: str, reserved: int) -> int | None:
    """Bytes of activations below which nothing is done to need less; None where memory is no matter.

    For speed it is what the board has in one region; of several `reserved` bytes of the first stay free.
    """
    if target.is_linux:
        return None
    if optimize != "speed":
        return 0
    region = largest_region(target.board, "ram") if target.board else None
    rooms = [room.bytes for room in arena_rooms(target, reserved)]
    return max(rooms, default=None if region is None else region.bytes)


def largest_region(board: Board, kind: str) -> Memory | None:
    """The largest memory region of one kind ("ram" or "flash")."""
    regions = [memory for memory in board.memory if memory.kind == kind]
    return max(regions, key=lambda memory: memory.bytes, default=None)


def _largest_tensors(code: ModelCode) -> list[str]:
    """The largest values with the ONNX node that makes each, e.g. `conv_3 144 KiB`."""
    program = code.program
    sizes = {
        call.nodes[0] if call.nodes else call.kernel: max(program.values[value].bytes for value in call.outputs)
        for call in program.calls
    }
    sizes |= {border.name: border.bytes for border in code.inputs}
    top = sorted(sizes.items(), key=lambda item: -item[1])[:_SHOWN]
    return [f"{name} {_kib(amount)}" for name, amount in top]


def _kib(amount: int) -> str:
    return f"{amount / 1024:.0f} KiB" if amount >= 10240 else f"{amount / 1024:.1f} KiB"
