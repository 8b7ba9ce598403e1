"""`manifest.json`: what a package holds, how it was made and what it needs."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgetvm.codegen.arena_blocks import arena_blocks
from edgetvm.codegen.lower import LoweredKernel
from edgetvm.codegen.model_code import Border, ModelCode
from edgetvm.codegen.predict import predicted_instructions
from edgetvm.codegen.program import Call, Program
from edgetvm.passes.dead_channels.remove import DeadChannels
from edgetvm.passes.integer.in_float import FloatOperator
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.target.types import Target

FORMAT_VERSION = 2
TOOLS = ("edgetvm", "apache-tvm", "apache-tvm-ffi", "onnx", "ziglang")


def make_manifest(
    code: ModelCode,
    model: Path,
    target: Target,
    options: Mapping[str, object],
    sections: Mapping[str, int],
    sizes: Mapping[str, int | None],
    rules: Mapping[str, ScheduledKernel],
    floats: Sequence[FloatOperator] | None,
    dead: DeadChannels | None,
) -> dict[str, object]:
    """The manifest's content, in the order in which it is written.

    `sizes` has flash_bytes, ram_bytes and stack_bytes; `rules` the schedule of each kernel by its C name; `floats`
    what a quantized model computes in float, None for a float model; `dead` the channels that were removed.
    """

    def listed(kernels: Sequence[LoweredKernel]) -> list[dict[str, object]]:
        return [
            {
                "name": kernel.name,
                "rule": rules[kernel.name].rule,
                "workspace_bytes": sum(kernel.workspaces),
                "decisions": [dict(task.decision) for task in rules[kernel.name].tasks if task.decision is not None],
                "predicted_instructions": round(predicted_instructions(kernel, target.processor)),
            }
            for kernel in kernels
        ]

    return {
        "format_version": FORMAT_VERSION,
        "name": code.name,
        "target": target.name,
        "format": options["format"],
        "libc": options["libc"],
        "model": {"file": model.name, "sha256": sha256(model)},
        "tools": {"python": platform.python_version(), **{tool: tool_version(tool) for tool in TOOLS}},
        "options": dict(options),
        "inputs": [_border(border) for border in code.inputs],
        "outputs": [_border(border) for border in code.outputs],
        "arena": {
            "bytes": code.plan.arena_bytes,
            "align": code.arena_align,
            "live_bytes": code.plan.live_bytes,
            "parts": [asdict(arena) for arena in code.plan.arenas],
            "blocks": [asdict(block) for block in arena_blocks(code)],
        },
        "sections": dict(sections),
        **sizes,
        "weight_bytes": sum(value.bytes for value in code.program.constants),
        "integer": None if floats is None else {"float_operators": [_float(entry) for entry in floats]},
        "dead_channels": None if dead is None else _dead(dead),
        "kernels": listed(code.kernels),
        "variants": [
            {
                "name": entry.variant.name,
                "features": list(entry.variant.features),
                "hwcap": list(entry.variant.hwcap),
                "hwcap2": list(entry.variant.hwcap2),
                "kernels": listed(entry.kernels),
                "replaces": dict(entry.names),
            }
            for entry in code.variants
        ],
        "calls": [_call(call, code.program) for call in code.program.calls],
    }


def tool_version(tool: str) -> str | None:
    """The installed version of a Python package; None when it runs from a checkout without metadata."""
    try:
        return version(tool)
    except PackageNotFoundError:
        return None


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _call(call: Call, program: Program) -> dict[str, object]:
    values = [program.values[index] for index in call.outputs]
    outputs = [{"shape": list(value.shape), "dtype": value.dtype} for value in values]
    return {
        "kernel": call.kernel,
        "nodes": list(call.nodes),
        "stages": call.stages,
        "step": call.step,
        "outputs": outputs,
    }


def _dead(dead: DeadChannels) -> dict[str, int]:
    return {
        "multiple": dead.multiple,
        "removed": dead.removed,
        "channels": dead.channels,
        "removed_macs": dead.removed_macs,
        "macs": dead.macs,
    }


def _float(entry: FloatOperator) -> dict[str, object]:
    return {"operator": entry.operator, "nodes": list(entry.nodes), "reason": entry.reason}


def _border(border: Border) -> dict[str, object]:
    return {
        "name": border.name,
        "shape": list(border.shape),
        "dtype": border.dtype,
        "scale": border.scale,
        "zero_point": border.zero_point,
        "bytes": border.bytes,
        "arena": border.place.arena,
        "offset": border.place.offset,
    }
