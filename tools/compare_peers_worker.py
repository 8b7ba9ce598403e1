"""One engine with one model, in a process of its own, timed when asked: the other end of compare_peers.py.

    python tools/compare_peers_worker.py ENGINE FILE THREADS INPUTS.npz

Prints one JSON line when it is ready, with the model's first output, and one for each line of stdin, which says
for how many seconds to run: the nanoseconds of every inference. What the call into the engine costs by itself is
taken off: an engine says by its own clock how long an inference took, or the cheapest call of its Python binding
is timed beside it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray

WARMUP_S, FEWEST, MOST = 0.003, 3, 2000  # warmed up again each time: the others had the caches


@dataclass(frozen=True)
class Engine:
    """`run` does one inference; `output` gives its first output as numbers.

    nothing  the cheapest call through the same binding
    clock    nanoseconds of the last inference by the engine's own clock, if it has one
    """

    run: Callable[[], object]
    output: Callable[[], Array]
    nothing: Callable[[], object] | None = None
    clock: Callable[[], int] | None = None


def ours(folder: Path, threads: int, inputs: dict[str, Array]) -> Engine:
    """A package's shared library, called by ctypes with buffers of ours."""
    manifest = json.loads((folder / "manifest.json").read_text())
    library = ctypes.CDLL(str(folder / "lib" / f"lib{manifest['name']}.so"))
    if threads > 1 and library.edgetvm_threads_start(threads) != 0:
        raise RuntimeError(f"{threads} threads cannot be started")
    run = library.edgetvm_run
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    given = list(inputs.values())
    buffers = [
        aligned(codes(inputs.get(entry["name"], given[i]), entry).reshape(entry["shape"]).astype(entry["dtype"]))
        for i, entry in enumerate(manifest["inputs"])
    ]
    results = [aligned(np.zeros(entry["shape"], entry["dtype"])) for entry in manifest["outputs"]]
    model = ctypes.addressof(ctypes.c_char.in_dll(library, f"{manifest['name']}_model"))
    arena = aligned(np.zeros(manifest["arena"]["bytes"], np.uint8))
    arguments = (model, arena.ctypes.data, arena.nbytes, pointers(buffers), pointers(results))
    if run(*arguments) != 0:
        raise RuntimeError("edgetvm_run failed")
    first = manifest["outputs"][0]
    kept = (library, buffers, results, arena)  # what the addresses point into

    def output() -> Array:
        return numbers(kept[2][0], first["scale"], first["zero_point"])

    return Engine(lambda: run(*arguments), output, lambda: run(None, None, 0, None, None))


def onnx_runtime(file: Path, threads: int, inputs: dict[str, Array]) -> Engine:
    """ONNX Runtime, inputs and outputs bound once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for info in session.get_inputs():
        binding.bind_cpu_input(info.name, inputs[info.name])
    reference = session.run(None, inputs)
    results = [np.zeros_like(result) for result in reference]
    for info, result in zip(session.get_outputs(), results, strict=True):
        binding.bind_output(info.name, "cpu", 0, result.dtype, result.shape, result.ctypes.data)
    raw, bound = session._sess, binding._iobinding
    return Engine(lambda: raw.run_with_iobinding(bound, None), lambda: results[0], bound.synchronize_inputs)


def openvino(file: Path, threads: int, inputs: dict[str, Array]) -> Engine:
    """OpenVINO in float32: where the processor has bfloat16 it would use that by itself."""
    import openvino

    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,  # no engine here is pinned
    }
    compiled = openvino.Core().compile_model(str(file), "CPU", properties)
    request = compiled.create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, openvino.Tensor(array))
    request.infer()
    return Engine(request.infer, lambda: request.get_output_tensor(0).data, clock=lambda: int(request.latency * 1e6))


def litert(file: Path, threads: int, inputs: dict[str, Array]) -> Engine:
    """LiteRT, which gives what it can to XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=threads)
    interpreter.allocate_tensors()
    for entry, array in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        scale, zero_point = entry["quantization"]
        quantized = {"dtype": entry["dtype"], "scale": scale or None, "zero_point": zero_point}
        interpreter.set_tensor(entry["index"], codes(array, quantized).reshape(entry["shape"]).astype(entry["dtype"]))
    interpreter.invoke()
    first = interpreter.get_output_details()[0]

    def output() -> Array:
        scale, zero_point = first["quantization"]
        return numbers(interpreter.get_tensor(first["index"]), scale or None, zero_point)

    raw = interpreter._interpreter
    return Engine(raw.Invoke, output, raw.NumSubgraphs)


LOADERS = {"ours": ours, "onnxruntime": onnx_runtime, "openvino": openvino, "litert": litert}


def codes(array: Array, entry: dict[str, object]) -> Array:
    """Numbers as an integer tensor takes them; others as they are."""
    scale, kind = entry["scale"], np.dtype(entry["dtype"])
    if scale is None or array.dtype.kind != "f":
        return array
    limits = np.iinfo(kind)
    return np.clip(np.rint(array / scale) + entry["zero_point"], limits.min, limits.max)


def numbers(array: Array, scale: float | None, zero_point: int | None) -> Array:
    """What an output's codes stand for."""
    return array if scale is None else (array.astype(np.float64) - (zero_point or 0)) * scale


def aligned(array: Array) -> Array:
    """A copy that begins a cache line."""
    room = np.zeros(array.nbytes + 64, np.uint8)
    at = -room.ctypes.data % 64
    copy = room[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def pointers(arrays: list[Array]) -> ctypes.Array[ctypes.c_void_p]:
    """A C array of their addresses."""
    return (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))


def measure(engine: Engine, seconds: float) -> list[int]:
    """Nanoseconds of each inference of about so many seconds."""
    now = time.perf_counter_ns
    began = now()
    engine.run()
    while now() - began < WARMUP_S * 1e9:
        engine.run()
    overhead = 0 if engine.nothing is None else min(one(engine.nothing) for _ in range(20))
    times: list[int] = []
    ends = now() + seconds * 1e9
    while len(times) < FEWEST or (now() < ends and len(times) < MOST):
        taken = one(engine.run) - overhead
        times.append(taken if engine.clock is None else engine.clock())
    return times


def one(call: Callable[[], object]) -> int:
    """Nanoseconds of one call."""
    began = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began


def main() -> None:
    """Answer until stdin ends."""
    name, file, threads, inputs = sys.argv[1:]
    # Engines print to stdout as they please; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with np.load(inputs) as arrays:
        given = dict(arrays)  # lives as long as the engine: ONNX Runtime keeps only the addresses
    engine = LOADERS[name](Path(file), int(threads), given)
    engine.run()
    output = np.asarray(engine.output(), np.float64).ravel()
    gc.disable()
    print(json.dumps({"output": output.tolist()}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({"ns": measure(engine, float(line))}), file=answers, flush=True)


if __name__ == "__main__":
    main()
