"""The files between the host and the harness (`edgetvm/runtime/harness/runner.c` is the other end)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.package import Package, Tensor
from edgetvm.errors import DataError, RunError

REQUEST, INPUTS, OUTPUTS, TAPS, REPORT = "request.bin", "inputs.bin", "outputs.bin", "taps.bin", "report.txt"
MAGIC = 0x31525645
CALLER_BUFFERS, GUARD, TAP, PROFILE, BOUND = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Report:
    """`report.txt`: the values of each key in the order written."""

    values: dict[str, tuple[int, ...]]

    def one(self, key: str) -> int | None:
        """The value of a key that is written at most once."""
        return self.values.get(key, (None,))[0]

    def flag(self, key: str) -> bool | None:
        """A key that is 0 or 1."""
        value = self.one(key)
        return None if value is None else bool(value)


def check_inputs(package: Package, request: RunRequest) -> int:
    """The number of samples. Raises DataError when an array is not what the model takes."""
    if len(request.inputs) != len(package.inputs):
        raise DataError(f"{package.name} has {len(package.inputs)} inputs, {len(request.inputs)} arrays were given")
    counts = {array.shape[0] for array in request.inputs if array.ndim > 0}
    for tensor, array in zip(package.inputs, request.inputs, strict=True):
        if array.shape[1:] != tensor.shape or array.ndim == 0:
            raise DataError(
                f"input '{tensor.name}' of {package.name} has shape {list(tensor.shape)}, "
                f"a sample of the given array {list(array.shape[1:])}"
            )
        if array.dtype != np.dtype(tensor.dtype):
            raise DataError(f"input '{tensor.name}' of {package.name} is {tensor.dtype}, the given array {array.dtype}")
    if len(counts) > 1:
        raise DataError(f"the inputs of {package.name} have different numbers of samples: {sorted(counts)}")
    return counts.pop() if counts else 1  # a model without inputs runs once


def write_request(folder: Path, package: Package, request: RunRequest) -> int:
    """Write what the harness reads into ``folder``; returns the number of samples."""
    samples = check_inputs(package, request)
    flags = CALLER_BUFFERS * request.caller_buffers | GUARD * request.guard | TAP * (request.taps or request.arenas)
    flags |= PROFILE * request.profile | BOUND * request.bound
    fields = (MAGIC, samples, request.warmup, request.repeats, request.threads, flags)
    (folder / REQUEST).write_bytes(struct.pack("<6I", *fields))
    with (folder / INPUTS).open("wb") as file:
        for sample in range(samples):
            for array in request.inputs:
                file.write(np.ascontiguousarray(array[sample]).tobytes())
    return samples


def read_report(folder: Path) -> Report:
    """What the harness wrote so far; nothing if it never came to write."""
    values: dict[str, tuple[int, ...]] = {}
    path = folder / REPORT
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
        key, _, value = line.partition("=")
        if value.isdecimal():
            values[key] = (*values.get(key, ()), int(value))
    return Report(values)


def read_outputs(folder: Path, package: Package, samples: int) -> tuple[np.ndarray, ...]:
    """One array an output, the samples along its first axis."""
    return _read_columns(folder / OUTPUTS, package, package.outputs, samples)


def read_taps(folder: Path, package: Package, samples: int) -> tuple[tuple[np.ndarray, ...], ...]:
    """One tuple a kernel call; in it one array an output, the samples along its first axis."""
    tensors = tuple(tensor for call in package.calls for tensor in call.outputs)
    columns = iter(_read_columns(folder / TAPS, package, tensors, samples))
    return tuple(tuple(islice(columns, len(call.outputs))) for call in package.calls)


def read_arenas(folder: Path, package: Package, samples: int) -> np.ndarray:
    """The arenas behind every kernel call, uint8 (samples, kernel calls, bytes of all arenas)."""
    arena = Tensor("arena", (package.arena_bytes,), "uint8", package.arena_bytes)
    return np.stack(_read_columns(folder / TAPS, package, (arena,) * len(package.calls), samples), 1)


def call_times(report: Report, package: Package) -> tuple[tuple[int, ...], ...] | None:
    """One tuple a repeat: the nanoseconds of each kernel call, without what the taps take; None without a clock."""
    taps, overhead = report.values.get("call_ns"), report.one("tap_ns")
    if taps is None or overhead is None:
        return None
    repeats = _batched(taps, sum(len(call.outputs) for call in package.calls))
    return tuple(by_call(package, [max(0, time - overhead) for time in repeat]) for repeat in repeats)


def by_call(package: Package, taps: Sequence[int]) -> tuple[int, ...]:
    """What each kernel call took, from what passed up to each of its outputs."""
    each = iter(taps)
    return tuple(sum(islice(each, len(call.outputs))) for call in package.calls)


def _batched(values: Sequence[int], size: int) -> list[Sequence[int]]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def _read_columns(path: Path, package: Package, tensors: tuple[Tensor, ...], samples: int) -> tuple[np.ndarray, ...]:
    """Read a file of all tensors of sample 0, then of sample 1 and so on; one array a tensor."""
    found, expected = path.stat().st_size, sample_bytes(tensors) * samples
    if found != expected:
        raise RunError(f"{package.name} wrote {found} bytes of {path.stem}, {expected} were expected")
    columns = tuple(np.empty((samples, *tensor.shape), np.dtype(tensor.dtype)) for tensor in tensors)
    with path.open("rb") as file:
        for sample in range(samples):
            for column in columns:
                file.readinto(column[sample : sample + 1].reshape(-1).view(np.uint8).data)
    return columns


def finished_samples(folder: Path, package: Package) -> int | None:
    """How many samples a run that ended early had finished, None if that cannot be told."""
    size = sample_bytes(package.outputs)
    path = folder / OUTPUTS
    return path.stat().st_size // size if size and path.is_file() else None


def sample_bytes(tensors: tuple[Tensor, ...]) -> int:
    """Bytes of one sample of all tensors."""
    return sum(tensor.bytes for tensor in tensors)
