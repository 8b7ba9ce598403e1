"""What LLVM is told of addresses: no access counts on more than the caller's buffers, the arena and weights have.

LLVM joins words to LDRD, LDM and VLDRW, which fault at addresses that are no multiples of 4.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edgetvm
from edgetvm.codegen import build_package
from edgetvm.codegen.lower import LoweredKernel, build, dtype_bytes
from edgetvm.codegen.model_code import ModelCode

DEFINITION = re.compile(r"^define [^@]*@(\w+)\((.*)\)[^()]*\{$", re.MULTILINE)
ACCESS = re.compile(r"(?:load|store) .*?ptr (%[\w.]+), align (\d+)")
COPY = re.compile(r"ptr (?:\w+ )*align (\d+) (?:\w+(?:\(\d+\))? )*(%[\w.]+)")  # an argument of memcpy and the like
DERIVED = re.compile(r"^\s+(%[\w.]+) = (?:getelementptr|phi|select|freeze)\b(.*)$", re.MULTILINE)
STACK = re.compile(r"^\s+(%[\w.]+) = alloca .*, align (\d+)", re.MULTILINE)


def claims(text: str) -> dict[str, int]:
    """The largest alignment that any access by a pointer derived from each parameter, or array, claims."""
    found: dict[str, int] = {}
    parents = {name: set(re.findall(r"ptr (%[\w.]+)|\[ (%[\w.]+), %", rest)) for name, rest in DERIVED.findall(text)}

    def roots(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        if name not in parents or name in seen:
            return {name} - seen
        above = [part for pair in parents[name] for part in pair if part]
        return set().union(*(roots(part, seen | {name}) for part in above))

    accesses = [*ACCESS.findall(text), *((pointer, align) for align, pointer in COPY.findall(text))]
    for pointer, align in accesses:
        for root in roots(pointer):
            found[root] = max(found.get(root, 1), int(align))
    return found


def allowed(code: ModelCode, kernel: LoweredKernel) -> list[int]:
    """What holds of each parameter: callers align elements, the plan aligns scratch, the linker constants."""
    call = next(call for call in code.program.calls if call.kernel == kernel.name)
    values = [code.program.values[value] for value in (*call.inputs, *call.outputs)]
    aligned = [code.arena_align if value.data is not None else dtype_bytes(value.dtype) for value in values]
    return [*aligned, *[code.arena_align] * len(kernel.workspaces)]


@pytest.mark.parametrize("target", ["qemu-mps2-an386", "qemu-mps3-an547"])
@pytest.mark.parametrize("name", ["ad01", "kws01"])
def test_no_access_counts_on_more_than_its_address_has(
    assets: Path, target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[ModelCode] = []
    make = build_package.compile_objects
    monkeypatch.setattr(build_package, "compile_objects", lambda code, *rest: make(codes.append(code) or code, *rest))
    edgetvm.compile(assets / name / "reference_int8.tflite", target, tmp_path / "package", integer_io=True)
    (code,) = codes
    seen = 0
    for kernel in code.kernels:
        text = build([kernel], kernel.target).inspect_source("ll")
        parameters = next(names for found, names in DEFINITION.findall(text) if found == kernel.name)
        own = re.findall(r"(%[\w.]+)(?:,|$)", parameters)
        limits = dict(zip(own, allowed(code, kernel), strict=True)) | {
            array: int(align) for array, align in STACK.findall(text)
        }
        claimed = claims(text[text.index(f"@{kernel.name}(") :].partition("\n}\n")[0])
        assert {root: align for root, align in claimed.items() if align > limits[root]} == {}
        seen += sum(align > 1 for align in claimed.values())
    assert seen


def test_a_claim_is_seen_through_offsets_and_loops() -> None:
    text = """
  %p = getelementptr inbounds nuw i8, ptr %x0, i32 4
  %q = phi ptr [ %p, %entry ], [ %r, %loop ]
  %r = getelementptr i8, ptr %q, i32 %n
  %a = load <4 x i32>, ptr %q, align 4
  store i8 %b, ptr %x1, align 1
  call void @llvm.memcpy.p0.p0.i32(ptr noundef nonnull align 8 dereferenceable(64) %x2, ptr align 2 %p, i32 64)
"""
    assert claims(text) == {"%x0": 4, "%x1": 1, "%x2": 8}
