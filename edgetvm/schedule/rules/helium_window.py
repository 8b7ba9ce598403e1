"""What a sum of products reads, as vectors of Helium: 16, 8 or 4 codes that follow one another, and single ones.

Taps of a row whose channels follow one another are one run of memory. Windows of short runs are copied to be one run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.nibbles import NIBBLE

LANES = (16, 8, 4, 1)
WHOLE = LANES[0]
WORD_BYTES = 4


@dataclass(frozen=True)
class Chunk:
    """`lanes` codes from `start` of a run on, of which the first `known` are part of other chunks."""

    start: int
    lanes: int
    known: int = 0


@dataclass(frozen=True)
class Runs:
    """`rows` x `columns` runs of `length` codes; from one row or column to the next so many elements of x.

    `gathered` are runs that were copied one behind the other: one run, behind which anything may be read.
    """

    rows: int
    columns: int
    steps: tuple[int, int]
    length: int
    gathered: bool = False

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def chunks(self) -> list[Chunk]:
        """Of every run. A run of at least 16 ends with a vector that overlaps the one before it."""
        if self.gathered:
            return [Chunk(start, WHOLE) for start in range(0, self.length, WHOLE)]
        chunks = [Chunk(start, WHOLE) for start in range(0, self.length - WHOLE + 1, WHOLE)]
        done = len(chunks) * WHOLE
        if chunks and self.length - done > 1:
            return [*chunks, Chunk(self.length - WHOLE, WHOLE, done + WHOLE - self.length)]
        while done < self.length:
            chunks.append(Chunk(done, next(lanes for lanes in LANES if lanes <= self.length - done)))
            done += chunks[-1].lanes
        return chunks

    @property
    def bytes(self) -> int:
        """Weights of one run and one channel as they are packed: whole words, so that every run begins at one."""
        return -(-sum(chunk.lanes for chunk in self.chunks) // WORD_BYTES) * WORD_BYTES

    @property
    def together(self) -> Runs:
        """The same as one gathered run."""
        return Runs(1, 1, (0, 0), self.count * self.length, gathered=True)


def runs_of_window(kernel: DotKernel) -> Runs:
    """As long as they can be."""
    rows, columns = kernel.taps
    if columns == 1 or kernel.steps[1] == kernel.depth:
        return Runs(rows, 1, (kernel.steps[0], 0), columns * kernel.depth)
    return Runs(rows, columns, kernel.steps, kernel.depth)


@dataclass(frozen=True)
class ChunkPanels:
    """Weights ``[..., O]`` as one row of bytes: for each `columns` channels, each run and chunk ``[column, lane]``.

    The last channels may be fewer. Lanes that other chunks hold, or that lie behind a gathered run, are 0. With
    `nibbles` two channels share the bytes of a chunk: the lower halves are the first one's.
    """

    columns: int
    runs: Runs
    nibbles: bool = False

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        how = "g" * self.runs.gathered + "n" * self.nibbles
        return f"chunks{self.columns}_{self.runs.count}x{self.runs.length}{how}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        flat = data.reshape(self.runs.count, self.runs.length, -1)
        flat = np.pad(flat, ((0, 0), (0, WHOLE), (0, 0)))
        pieces = []
        for first in range(0, data.shape[-1], self.columns):
            for run in flat[..., first : first + self.columns]:
                blocks = []
                for chunk in self.runs.chunks:
                    block = run[chunk.start : chunk.start + chunk.lanes].T.copy()
                    block[:, : chunk.known] = 0
                    blocks.append((_joined(block) if self.nibbles else block).reshape(-1))
                packed = np.concatenate(blocks)
                pieces.append(np.pad(packed, (0, self.run_bytes(run.shape[-1]) - packed.size)))
        return np.concatenate(pieces)

    def run_bytes(self, columns: int) -> int:
        """Of one run of so many channels."""
        return self.runs.bytes * (-(-columns // 2) if self.nibbles else columns)


def _joined(channels: np.ndarray) -> np.ndarray:
    """Rows of small numbers two by two in a row of bytes."""
    bits = np.pad(channels, ((0, len(channels) % 2), (0, 0))).view(np.uint8)
    return ((bits[0::2] & 15) | (bits[1::2] << NIBBLE)).view(np.int8)
