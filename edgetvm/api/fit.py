"""The boards that a model fits on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetvm.api.compile import compile as compile_model
from edgetvm.api.progress import Progress
from edgetvm.codegen.fit import arena_rooms
from edgetvm.codegen.sizes import Sizes
from edgetvm.errors import EdgeTVMError
from edgetvm.importers.read import import_model
from edgetvm.report.fit import BoardFit, fit_board
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.types import Processor, Target


def fit(
    model: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    optimize: str = "balanced",
    integer_io: bool = False,
    progress: Progress | None = None,
) -> tuple[BoardFit, ...]:
    """Compile a model for the core of every board that ships, and tell for each board whether it fits.

    For a board whose fastest memory has no room for all tensors it is compiled as it would be spread over several.
    The options are those of `compile`. A model that cannot be read or holds what no core can compute raises its
    error; what one core cannot have is told with its boards.
    """
    import_model(Path(model), shapes or {})
    targets = [target for target in map(load_target, list_targets()) if target.board is not None]
    sizes: dict[Processor, Sizes | EdgeTVMError] = {}
    with tempfile.TemporaryDirectory(prefix="edgetvm-fit-") as work:

        def measure(target: Target) -> Sizes | EdgeTVMError:
            try:
                output = Path(tempfile.mkdtemp(dir=work))
                package = compile_model(
                    model, target, output, shapes=shapes, optimize=optimize, integer_io=integer_io, reference=False
                )
            except EdgeTVMError as error:
                return error
            manifest = package.manifest
            regions = tuple(part["region"] for part in manifest["arena"]["parts"])
            return Sizes(manifest["sections"], manifest["flash_bytes"], manifest["ram_bytes"], arena_regions=regions)

        boards = []
        for i, target in enumerate(targets):
            core = target.processor
            if progress is not None:
                progress(core.name, i, len(targets))
            if core not in sizes:
                sizes[core] = measure(Target(core.name, core))
            found = measure(target) if _is_spread(sizes[core], target, optimize) else sizes[core]
            boards.append(fit_board(target, found if isinstance(found, Sizes) else sizes[core]))
    return tuple(boards)


def _is_spread(alone: Sizes | EdgeTVMError, target: Target, optimize: str) -> bool:
    """Whether `compile` looks for room in several memories of the board for what was compiled for its core alone."""
    if isinstance(alone, EdgeTVMError) or target.is_linux:
        return False
    rooms = arena_rooms(target, machine_for(target, "library", optimize).recipe.reserved_ram)
    return bool(rooms) and alone.sections[".arena"] > rooms[0].bytes
