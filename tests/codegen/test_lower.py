"""Kernels as plain C functions: pointers in, scratch as more pointers, a status where threads are used."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import s_tir, te, tirx

from edgetvm.codegen.lower import STACK_ARRAY_BYTES, LoweredKernel, build, dtype_bytes, lower
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import link_shared
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.kernels import guard_intact, guarded


@pytest.fixture(scope="module")
def host() -> tvm.target.Target:
    return tvm_target(load_target("host"))


def two_steps(count: int, dtype: str = "float32") -> tirx.PrimFunc:
    """y[i] = -(x[i] + x[count - 1 - i]), with the sum stored first."""
    x = te.placeholder((count,), dtype, name="x")
    total = te.compute((count,), lambda i: x[i] + x[count - 1 - i], name="total")
    return te.create_prim_func([x, te.compute((count,), lambda i: -total[i], name="y")])


def parallel(func: tirx.PrimFunc) -> tirx.PrimFunc:
    sch = s_tir.Schedule(func)
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        sch.parallel(sch.get_loops(block)[0])
    return sch.mod["main"]


def test_a_large_buffer_becomes_a_pointer(host: tvm.target.Target, tmp_path: Path) -> None:
    kernel = lower("negate", two_steps(100), host)
    assert (kernel.workspaces, kernel.workspace_types, kernel.returns_status) == ((400,), ("float32",), False)
    assert len(kernel.func.params) == 3
    x = np.arange(100, dtype=np.float32)
    y, scratch = guarded(np.zeros_like(x)), guarded(np.zeros(400, np.uint8), 64)
    call(kernel, host, tmp_path, [guarded(x), y, scratch])
    np.testing.assert_array_equal(y, -(x + x[::-1]))
    assert scratch.any()
    assert guard_intact(y)
    assert guard_intact(scratch)


@pytest.mark.parametrize("dtype", ["float32", "int8", "float64"])
def test_small_arrays_stay_on_the_stack(dtype: str, host: tvm.target.Target, tmp_path: Path) -> None:
    count = STACK_ARRAY_BYTES // dtype_bytes(dtype)
    assert lower("more", two_steps(count + 1, dtype), host).workspaces == ((count + 1) * dtype_bytes(dtype),)
    kernel = lower("negate", two_steps(count, dtype), host)
    assert kernel.workspaces == ()
    x = np.arange(count).astype(dtype)
    y = guarded(np.zeros_like(x))
    call(kernel, host, tmp_path, [guarded(x), y])
    np.testing.assert_array_equal(y, -(x + x[::-1]))


def test_threads_report_a_status(host: tvm.target.Target) -> None:
    kernel = lower("negate", parallel(two_steps(100)), host)
    assert kernel.returns_status
    assert str(kernel.func.ret_type.dtype) == "int32"
    assert "TVMBackendParallelLaunch" in build([kernel], host).inspect_source()


def test_kernels_need_nothing_of_tvm(host: tvm.target.Target, tmp_path: Path) -> None:
    """Only the C library may be left to find, so that no runtime of TVM is linked."""
    x = te.placeholder((1000,), name="x")
    func = te.create_prim_func([x, te.compute((1000,), lambda i: te.exp(x[i]), name="y")])
    kernel = lower("power", func, host)
    source, y = np.linspace(-1, 1, 1000, dtype=np.float32), guarded(np.zeros(1000, np.float32))
    call(kernel, host, tmp_path, [guarded(source), y])  # linked with every symbol defined
    np.testing.assert_allclose(y, np.exp(source), rtol=1e-6)


def test_the_promise_that_pointers_differ_can_be_withdrawn(host: tvm.target.Target) -> None:
    promised = build([lower("negate", two_steps(100), host)], host).inspect_source()
    withdrawn = build([lower("negate", two_steps(100), host, noalias=False)], host).inspect_source()
    assert "noalias" in signature(promised)
    assert "noalias" not in signature(withdrawn)


@pytest.mark.parametrize(
    ("dtype", "size"), [("bool", 1), ("int8", 1), ("float16", 2), ("float32", 4), ("int64", 8), ("float32x4", 16)]
)
def test_bytes_of_an_element(dtype: str, size: int) -> None:
    assert dtype_bytes(dtype) == size


def signature(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("define") and "@negate(" in line)


def call(kernel: LoweredKernel, host: tvm.target.Target, folder: Path, arrays: list[np.ndarray]) -> None:
    obj = folder / "kernel.o"
    build([kernel], host).write_to_file(str(obj))
    library = ctypes.CDLL(str(link_shared([obj], folder / "kernel.so", load_target("host"))))
    getattr(library, kernel.name)(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
