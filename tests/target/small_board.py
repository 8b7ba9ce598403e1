"""Emulated boards with less RAM than they have, so that small models do not fit into their first region."""

from __future__ import annotations

from pathlib import Path

from edgetvm.resources import targets_dir

# The RAM of each board: its two regions, in KiB.
BOARDS = {"qemu-mps2-an385": (4096, 16384), "qemu-mps2-an386": (4096, 16384), "qemu-mps3-an547": (512, 4096)}


def smaller(board: str, first: int, second: int, folder: Path) -> str:
    """The file of a board with this much RAM, in KiB, of which 8 stay free in the first region."""
    text = (targets_dir() / "boards" / f"{board}.toml").read_text()
    for old, new in zip(BOARDS[board], (first, second), strict=True):
        head, _, tail = text.rpartition(f'kind    = "ram"\nkib     = {old}\n')
        assert head, f"{board} has no RAM of {old} KiB"
        text = f'{head}kind    = "ram"\nkib     = {new}\n{tail}'
    path = folder / f"{board}-{first}-{second}.toml"
    path.write_text(text)
    return str(path)
