"""Which boards a model fits on, and by what margin."""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.codegen.fit import largest_region
from edgetvm.codegen.sizes import Sizes
from edgetvm.errors import EdgeTVMError
from edgetvm.report.region_use import RegionUse, region_use
from edgetvm.target.types import Target


@dataclass(frozen=True)
class BoardFit:
    """A model on one board. `reason` says why it cannot be compiled for its core; then nothing else is known."""

    board: str
    processor: str
    regions: tuple[RegionUse, ...] = ()
    reason: str | None = None

    @property
    def fits(self) -> bool:
        """Whether every region has room."""
        return self.reason is None and all(use.margin >= 0 for use in self.regions)

    def margin(self, kind: str) -> int | None:
        """Bytes left in the tightest region in use of kind "flash" or "ram"; less than 0 is what lacks."""
        margins = [use.margin for use in self.regions if use.region.kind == kind and use.bytes]
        return min(margins, default=None)

    def to_json(self) -> dict[str, object]:
        """One board of what ``edgetvm fit --json`` prints."""
        return {
            "board": self.board,
            "processor": self.processor,
            "fits": self.fits,
            "flash_margin": self.margin("flash"),
            "ram_margin": self.margin("ram"),
            "regions": [
                {"name": use.region.name, "kind": use.region.kind, "bytes": use.region.bytes, "used": use.bytes}
                for use in self.regions
            ],
            "reason": self.reason,
        }


def fit_board(target: Target, sizes: Sizes | EdgeTVMError) -> BoardFit:
    """Judge on its board what was compiled for it or for its core alone, or say why there is nothing.

    A system with Linux has code and data in its RAM.
    """
    assert target.board is not None, "a processor has no memory"
    board = target.board
    if isinstance(sizes, EdgeTVMError):
        return BoardFit(board.name, board.processor, reason=sizes.message)
    regions = region_use(sizes.sections, target, sizes.arena_regions) if not target.is_linux else ()
    memory = largest_region(board, "ram")
    if target.is_linux and memory is not None:
        regions = (RegionUse(memory, {"code": sizes.flash_bytes or 0, "data": sizes.ram_bytes}),)
    return BoardFit(board.name, board.processor, regions)
