"""What an image takes of each memory region of its board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetvm.codegen.linker_script import image_layout
from edgetvm.target.types import Memory, Target


@dataclass(frozen=True)
class RegionUse:
    """A region and the bytes that each section takes of it, by the section's name."""

    region: Memory
    sections: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """All that is in use."""
        return sum(self.sections.values())

    @property
    def margin(self) -> int:
        """What is left; less than nothing if it does not fit."""
        return self.region.bytes - self.bytes


def region_use(
    sections: Mapping[str, int], target: Target, arena_regions: Sequence[str | None] = (None,)
) -> tuple[RegionUse, ...]:
    """Where the sections of a linked image lie on the target's board, arenas where `image_layout` puts them.

    Initial values of `.data` lie with the code, too. Raises TargetError for a board without flash and RAM.
    """
    layout = image_layout(target, None, 0, sections, arena_regions)
    taken: dict[str, dict[str, int]] = {region.name: {} for region in layout.regions}
    for name, size in sections.items():
        taken[layout.region_of(name).name][name] = size
    if sections.get(".data"):
        taken[layout.code.name][".data"] = sections[".data"]
    return tuple(RegionUse(region, taken[region.name]) for region in layout.regions)
