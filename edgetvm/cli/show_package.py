"""What `edgetvm compile` tells of a package that it has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgetvm import api
from edgetvm.cli.show import amount, print_figures, print_table
from edgetvm.cli.show_footprint import region_rows
from edgetvm.report.footprint import Footprint


def print_package(
    package: api.Package, output: str, footprint: Footprint | None, foreseen: Sequence[tuple[str, str]]
) -> None:
    """Sizes, what an inference takes (`foreseen`), and what of the model is not as asked for."""
    manifest = package.manifest
    print_figures(
        f"{manifest['name']} for {manifest['target']}",
        [
            *_held(manifest["options"]),
            *_narrow(manifest["options"]),
            ("flash", amount(manifest["flash_bytes"])),
            ("RAM", amount(manifest["ram_bytes"])),
            ("arena", amount(manifest["arena"]["bytes"])),
            *(region_rows(footprint) if footprint else ()),
            *_stack(manifest["stack_bytes"]),
            *foreseen,
            ("kernels", f"{len(manifest['kernels'])} in {len(manifest['calls'])} calls"),
            *_tuned(manifest["kernels"]),
            ("arithmetic", _arithmetic(manifest)),
            *_dead(manifest["dead_channels"]),
            ("written to", output),
        ],
    )
    _print_int8_weights(package)
    _print_floats(package)


def _tuned(kernels: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Of how many kernels records decided something."""
    count = sum(bool(kernel["decisions"]) for kernel in kernels)
    return [("tuned", f"{count} kernels, as recorded")] if count else []


def _stack(stack_bytes: int | None) -> list[tuple[str, str]]:
    return [] if stack_bytes is None else [("stack", f"{amount(stack_bytes)} at most below the caller of edgetvm_run")]


def _held(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What --max-drop chose."""
    held = options["max_drop"]
    if held is None:
        return []
    rows = [(held["metric"], f"{held['quantized']:.4f}, float {held['float']:.4f}, over {held['samples']} samples")]
    rows += [(f"{bits} nodes", ", ".join(options[f"{bits}_nodes"]) or "none") for bits in ("int16", "float")]
    return rows


def _narrow(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many weights --quantize int4 made int4, and what all that is quantized does to the outputs."""
    if options["int4"] is None:
        return []
    layers = options["int4"]["layers"]
    held = [layer for layer in layers if layer["int4"]]
    weights, every = (sum(layer["weights"] for layer in some) for some in (held, layers))
    return [
        ("int4 weights", f"{weights:,} of {every:,} in {len(held)} of {len(layers)} layers that can have them"),
        ("SQNR", f"{_decibels(options['int4']['sqnr_db'])} at the outputs on calibration samples, against float"),
    ]


def _decibels(value: float | None) -> str:
    return "no error" if value is None else f"{value:.1f} dB"


def _arithmetic(manifest: Mapping[str, Any]) -> str:
    if manifest["integer"] is None:
        return "float" if manifest["options"]["precision"] == "fp32" else "float of half precision"
    if count := len(manifest["integer"]["float_operators"]):
        return f"integer, {count} operators in float"
    border = {tensor["dtype"] for tensor in (*manifest["inputs"], *manifest["outputs"])}
    return "integer, but for quantizing at the border" if "float32" in border else "integer"


def _dead(dead: Mapping[str, int] | None) -> list[tuple[str, str]]:
    """What the kernels do without."""
    if dead is None or not dead["removed"]:
        return []
    macs = f"{dead['removed_macs']:,} of {dead['macs']:,} multiply-adds"
    return [("dead channels", f"{dead['removed']:,} of {dead['channels']:,} removed, and with them {macs}")]


def _print_int8_weights(package: api.Package) -> None:
    """What keeps 8 bits of what could have int4 weights, and what 4 would do to the outputs."""
    int4 = package.manifest["options"]["int4"]
    layers = [] if int4 is None else int4["layers"]
    rows = [(x["node"], x["operator"], _decibels(x["sqnr_db"])) for x in layers if not x["int4"]]
    if rows:
        print_table("int8 weights kept", ("node", "operator", "SQNR of the outputs if int4"), rows)


def _print_floats(package: api.Package) -> None:
    """What of a quantized model is left in float, and why."""
    integer = package.manifest["integer"]
    if integer is not None and integer["float_operators"]:
        rows = [(", ".join(entry["nodes"]), entry["operator"], entry["reason"]) for entry in integer["float_operators"]]
        print_table("left in float", ("node", "operator", "reason"), rows)
