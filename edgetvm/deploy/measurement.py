"""What is asked of a run, and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RunRequest:
    """The samples to run and what to observe.

    inputs          one array a model input, in the model's order, of shape (samples, *input shape)
    warmup, repeats further runs of sample 0: `repeats` of them are timed, after `warmup` that are not
    threads         what parallel kernels may use
    bound           each of them on a core of its own, the fastest ones
    caller_buffers  inputs and outputs in buffers of the caller; otherwise in the arena (Linux only)
    guard           check that nothing outside the arena is written and how much of it is, and give
                    the caller's buffers no more alignment than their elements need
    count           count the instructions of one inference, under an emulator, on one thread
    taps            keep every output of every kernel call too; stack, time and instructions then
                    include what that takes
    arenas          keep the whole of the arenas as every kernel call left them, in place of taps
    profile         find what each kernel call takes: its time in every repeat, on a real machine, and its
                    instructions if they are counted; not together with taps or arenas
    timeout_s       a run that takes longer is stopped
    """

    inputs: tuple[np.ndarray, ...]
    warmup: int = 0
    repeats: int = 0
    threads: int = 1
    bound: bool = False
    caller_buffers: bool = False
    guard: bool = False
    count: bool = False
    taps: bool = False
    arenas: bool = False
    profile: bool = False
    timeout_s: float = 300.0

    @property
    def entry_header(self) -> str | None:
        """The header of the harness that the entry function is compiled with, if it is compiled anew."""
        headers = {"profile_entry.h": self.profile, "arena_tap.h": self.arenas, "output_tap.h": self.taps}
        return next((header for header, wanted in headers.items() if wanted), None)


@dataclass(frozen=True)
class Measurement:
    """What a run gave. None is what this runner cannot tell or was not asked.

    runner         host, qemu-aarch64, qemu-arm, qemu-system-arm or board
    outputs        one array a model output, of shape (samples, *output shape)
    taps           one tuple a kernel call, in the order of the manifest's `calls`; in it one array an
                   output, of shape (samples, *output shape)
    arenas         bytes, of shape (samples, kernel calls, bytes of all arenas)
    latency_ns     the time of each repeat, on a real machine
    instructions   executed by the first inference, its call included
    cycles         of that inference by the model of its core, if the core has one
    call_ns        one tuple a repeat: the time of each kernel call, in the order of the manifest's `calls`
    call_instructions, call_cycles  those of each kernel call of the first inference
    stack_bytes    the deepest that the first inference's stack went below its caller
    arena_touched  bytes from each arena's start to the last one that was written
    guard_ok       nothing was written beside the arenas
    repeatable     sample 0 gave the same bits on two arenas with different contents
    """

    runner: str
    outputs: tuple[np.ndarray, ...]
    taps: tuple[tuple[np.ndarray, ...], ...] | None = None
    arenas: np.ndarray | None = None
    latency_ns: tuple[int, ...] | None = None
    instructions: int | None = None
    cycles: int | None = None
    call_ns: tuple[tuple[int, ...], ...] | None = None
    call_instructions: tuple[int, ...] | None = None
    call_cycles: tuple[int, ...] | None = None
    stack_bytes: int | None = None
    arena_touched: int | None = None
    guard_ok: bool | None = None
    repeatable: bool | None = None
