"""Objects of kernels: compiled once for what they are made from, and the same bytes from the cache."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tvm
from tvm import te, tirx

from edgetvm.codegen import kernel_objects as module
from edgetvm.codegen import processes
from edgetvm.codegen.kernel_objects import kernel_objects, prune
from edgetvm.codegen.lower import LoweredKernel, build, lower
from edgetvm.errors import UnsupportedError
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target


def kernel(target: tvm.target.Target, *, step: float = 1.0, name: str = "add") -> LoweredKernel:
    x = te.placeholder((16,), name="x")
    func: tirx.PrimFunc = te.create_prim_func([x, te.compute((16,), lambda i: x[i] + step, name="y")])
    return lower(name, func, target)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and the names of the kernels that are compiled from now on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names: list[str] = []

    def noted(kernels: list[LoweredKernel], target: tvm.target.Target) -> tvm.runtime.Module:
        names.extend(each.name for each in kernels)
        return build(kernels, target)

    monkeypatch.setattr(module, "build", noted)
    monkeypatch.setattr(processes, "cores", lambda: 1)
    return names


def objects(kernels: list[LoweredKernel], target: tvm.target.Target, folder: Path) -> list[bytes]:
    folder.mkdir()
    return [path.read_bytes() for path in kernel_objects(kernels, folder)]


def test_what_is_known_is_not_compiled_again(compiled: list[str], tmp_path: Path) -> None:
    target = tvm_target(load_target("host"))
    first = objects([kernel(target), kernel(target, name="more")], target, tmp_path / "a")
    assert compiled == ["add", "more"]
    assert objects([kernel(target), kernel(target, name="more")], target, tmp_path / "b") == first
    assert compiled == ["add", "more"]


def test_another_body_name_or_target_is_another_object(compiled: list[str], tmp_path: Path) -> None:
    host, arm = (tvm_target(load_target(name)) for name in ("host", "cortex-a53"))
    found = [
        objects([kernel(target, **given)], target, tmp_path / str(i))[0]
        for i, (target, given) in enumerate([(host, {}), (host, {"step": 2.0}), (host, {"name": "more"}), (arm, {})])
    ]
    assert len(compiled) == 4
    assert len(set(found)) == 4


def test_without_a_cache_kernels_are_compiled_each_time(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    target = tvm_target(load_target("host"))
    assert objects([kernel(target)], target, tmp_path / "a") == objects([kernel(target)], target, tmp_path / "b")
    assert compiled == ["add", "add"]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")
def test_several_processes_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tvm_target(load_target("cortex-a53"))
    kernels = [kernel(target, step=float(i), name=f"add{i}") for i in range(12)]
    found = []
    for count in (1, 2, 4):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{count}"))
        monkeypatch.setattr(processes, "cores", lambda count=count: count)
        found.append(objects(kernels, target, tmp_path / str(count)))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("count", [1, 2])
def test_the_node_without_code_is_named(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(processes, "cores", lambda: count)
    target = tvm_target(load_target("host"))
    broken = replace(kernel(target, name="bad"), place="node 'Add_3'")
    missing = tirx.Evaluate(tvm.ir.Var("undefined", tvm.ir.PrimType("int32")))
    broken = replace(broken, func=broken.func.with_body(tirx.SeqStmt([missing, broken.func.body])))
    with pytest.raises(UnsupportedError, match=r"^node 'Add_3': no code can be generated: "):
        objects([kernel(target), broken, kernel(target, name="more")], target, tmp_path / "out")


def test_the_oldest_go_first(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old", "oldest"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    prune(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
