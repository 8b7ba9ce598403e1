"""Processor -> tvm.target.Target, and what LLVM has to say about it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

import tvm
from tvm.target import codegen

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir
from edgetvm.target.types import Processor, Target

# Kernels view one buffer as several element types; type-based alias analysis would reorder them.
# Schedules vectorise; LLVM's own loop vectoriser miscompiles `x[i & 3]` for AVX-512 (LLVM 22, ONNX's test_tile).
_LLVM_OPTIONS = ["-enable-tbaa:bool=0", "-vectorize-loops:bool=0"]

# Pairs of loads become one instruction where they stand side by side. LLVM would bring together those that others are
# between, and then spill what was loaded early.
_THUMB_OPTIONS = ["-arm-prera-ldst-opt-reorder-limit:uint=1"]

# The feature that has vectors of so many bytes, by LLVM's name.
_VECTORS = {
    "x86_64": {16: "sse2", 32: "avx2", 64: "avx512f"},
    "aarch64": {8: "neon", 16: "neon"},
    "arm": {8: "neon", 16: "neon"},
    "thumb": {16: "mve"},
}


# The instruction sets of which a Cortex-M may have one more than another, by LLVM's names.
_CORTEX_M = ("thumb2", "hwdiv", "dsp", "vfp2sp", "fp-armv8d16sp", "fp64", "v8m.main", "mve", "mve.fp")


def tvm_target(target: Target) -> tvm.target.Target:
    """The TVM target that makes object code for ``target``: kind llvm, one core."""
    if target.processor.arch == "c":
        raise TargetError(f"{target.name} has no binary form", "use --format c and the chip's own compiler")
    processor = tuned(target.processor)
    return tvm.target.Target(_llvm_config(processor, processor.features))


def with_level(target: tvm.target.Target, level: int) -> tvm.target.Target:
    """The TVM target whose kernels LLVM optimizes as far as `level`, 1 to 3; 0 and C text leave it as it is."""
    if level == 0 or target.kind.name != "llvm":
        return target
    return tvm.target.Target({**target.export(), "opt-level": level})


def tuned(processor: Processor) -> Processor:
    """The core by whose model LLVM is to order the code of `processor`, without what that one has more."""
    cpu, without = _tuning().get(processor.cpu, (processor.cpu, ()))
    return replace(processor, cpu=cpu, features=(*(f"-{name}" for name in without), *processor.features))


@cache
def _tuning() -> dict[str, tuple[str, tuple[str, ...]]]:
    table = tomllib.loads((schedules_dir() / "llvm.toml").read_text())
    return {cpu: (str(entry["tuned_as"]), tuple(map(str, entry["without"]))) for cpu, entry in table.items()}


def tvm_c_target(target: Target) -> tvm.target.Target:
    """The TVM target that makes C text for ``target``."""
    del target  # C says nothing of the processor; schedules take its facts from the Target itself
    return tvm.target.Target({"kind": "c"})


def check_processor(processor: Processor, place: str) -> None:
    """Refuse what LLVM would pass over in silence: an unknown core, a feature that changes nothing, vectors it lacks.

    ``place`` names the file for the message.
    """
    if processor.arch == "c":
        return
    if not codegen.llvm_is_valid_cpu(processor.cpu, processor.triple):
        raise TargetError(f"{place}: LLVM knows no cpu '{processor.cpu}' for {processor.triple}")
    for variant in processor.variants:
        check_processor(replace(processor, features=(*processor.features, *variant.features), variants=()), place)
    own = _features(processor, ())
    resulting = _features(processor, processor.features)
    for feature in processor.features:
        name = feature[1:]
        if feature[0] == "-" and name not in own:
            near = get_close_matches(name, own, 1)
            hint = f"nearest: '-{near[0]}'" if near else None
            raise TargetError(f"{place}: feature '{feature}' takes from {processor.cpu} what it does not have", hint)
        if (feature[0] == "+") != (name in resulting):
            raise TargetError(f"{place}: feature '{feature}' has no effect on {processor.cpu} in LLVM")
    if processor.vector_bytes and _VECTORS[processor.arch].get(processor.vector_bytes) not in resulting:
        raise TargetError(f"{place}: LLVM knows no vectors of {processor.vector_bytes} bytes for {processor.cpu}")


def llvm_features(processor: Processor) -> frozenset[str]:
    """The features that LLVM assumes for ``processor``, implied ones included, by LLVM's names."""
    return _features(processor, processor.features)


def missing_instructions(board: Processor, code: Processor) -> tuple[str, ...]:
    """The instruction sets of the Cortex-M that ``code`` was compiled for which the one on ``board`` lacks."""
    has, may_use = llvm_features(board), llvm_features(code)
    return tuple(name for name in _CORTEX_M if name in may_use - has)


def _features(processor: Processor, attributes: tuple[str, ...]) -> frozenset[str]:
    target = tvm.target.Target(_llvm_config(processor, attributes))
    return frozenset(str(name) for name in codegen.llvm_get_cpu_features(target))


def _llvm_config(processor: Processor, attributes: tuple[str, ...]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "kind": "llvm",
        "mtriple": processor.triple,
        "mcpu": processor.cpu,
        "cl-opt": _LLVM_OPTIONS,
        "num-cores": 1,
    }
    if processor.arch == "thumb":
        config["vector-width"] = 128  # TVM's own choice, which it warns of
        config["cl-opt"] = _LLVM_OPTIONS + _THUMB_OPTIONS
    if attributes:
        config["mattr"] = list(attributes)
    if processor.float_abi:
        config["mfloat-abi"] = processor.float_abi
    return config
