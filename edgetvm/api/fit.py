"""The boards that a model fits on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetvm.api.compile import compile as compile_model
from edgetvm.api.progress import Progress
from edgetvm.codegen.sizes import Sizes
from edgetvm.errors import EdgeTVMError
from edgetvm.importers.read import import_model
from edgetvm.report.fit import BoardFit, fit_board
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

    The options are those of `compile`. A model that cannot be read or holds what no core can compute raises its
    error; what one core cannot have is told with its boards.
    """
    import_model(Path(model), shapes or {})
    targets = [target for target in map(load_target, list_targets()) if target.board is not None]
    sizes: dict[Processor, Sizes | EdgeTVMError] = {}
    with tempfile.TemporaryDirectory(prefix="edgetvm-fit-") as work:
        for i, target in enumerate(targets):
            core = target.processor
            if progress is not None:
                progress(core.name, i, len(targets))
            if core in sizes:
                continue
            try:
                package = compile_model(
                    model,
                    Target(core.name, core),
                    Path(work) / str(i),
                    shapes=shapes,
                    optimize=optimize,
                    integer_io=integer_io,
                    reference=False,
                )
                manifest = package.manifest
                sizes[core] = Sizes(manifest["sections"], manifest["flash_bytes"], manifest["ram_bytes"])
            except EdgeTVMError as error:
                sizes[core] = error
    return tuple(fit_board(target, sizes[target.processor]) for target in targets)
