"""Tunes a model by TVM's own MetaSchedule on this machine until it is ended: the other end of compare_metaschedule.py.

    python tools/compare_metaschedule_worker.py MODEL.onnx FOLDER as-shipped|helped

The records are a database of TVM's in FOLDER. `as-shipped` is all as it comes. Its processes import
`tvm.s_tir.tensor_intrin`, which parses the tensor intrinsics of all targets in some 17 s of the 30 s that a build may
take, and it records nothing before it has built 64 candidates of each kernel in turn. Where it is `helped`, they import
those of this machine's processors alone, and batches and populations are small.
"""

from __future__ import annotations

import importlib
import platform
import sys
import types
from pathlib import Path

import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir.meta_schedule.builder import LocalBuilder
from tvm.s_tir.meta_schedule.relax_integration import tune_relax
from tvm.s_tir.meta_schedule.runner import LocalRunner
from tvm.s_tir.meta_schedule.search_strategy import EvolutionarySearch

from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target

INTRINSICS = {"x86_64": "x86", "aarch64": "arm_cpu"}[platform.machine()]
_WITHOUT_END = 10**6  # trials
_BATCH = 8
_SMALL = {"population_size": 64, "init_min_unmeasured": _BATCH, "genetic_num_iters": 2}


def host() -> tvm.target.Target:
    """This machine for LLVM, one thread, without options of ours."""
    config = {key: value for key, value in tvm_target(load_target("host")).export().items() if key != "cl-opt"}
    return tvm.target.Target(config)


def fused(model: Path, target: tvm.target.Target) -> tvm.IRModule:
    """The model as TVM's importer and its own pipeline make kernels of it."""
    module = from_onnx(onnx.load(model), keep_params_in_input=False)
    with target:
        return relax.get_pipeline("zero")(module)


def import_intrinsics(name: str) -> None:
    """Let `tvm.s_tir.tensor_intrin` be that one of its files."""
    importlib.import_module("tvm.s_tir")
    package = types.ModuleType("tvm.s_tir.tensor_intrin")
    package.__path__ = [str(Path(tvm.__file__).parent / "s_tir" / "tensor_intrin")]
    sys.modules[package.__name__] = package
    importlib.import_module(f"{package.__name__}.{name}")


def main() -> None:
    """Tune without an end."""
    model, folder, mode = sys.argv[1:]
    builder, options = LocalBuilder(), {}
    if mode == "helped":
        import_intrinsics(INTRINSICS)
        builder = LocalBuilder(initializer=lambda: import_intrinsics(INTRINSICS))
        options = {"num_trials_per_iter": _BATCH, "strategy": EvolutionarySearch(**_SMALL)}
    target = host()
    tune_relax(
        fused(Path(model), target), {}, target, folder, _WITHOUT_END, builder=builder, runner=LocalRunner(), **options
    )


if __name__ == "__main__":
    main()
