"""The key of a kernel: what it computes decides, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tvm import te, tirx

from edgetvm.schedule.kernel_key import kernel_key


def product(n: int = 4, dtype: str = "int8", name: str = "", shift: int = 0) -> tirx.PrimFunc:
    x = te.placeholder((n, 8), dtype, name=f"x{name}")
    w = te.placeholder((8, 5), dtype, name=f"w{name}")
    k = te.reduce_axis((0, 8), name=f"k{name}")
    out = te.compute(
        (n, 5), lambda i, j: te.sum(x[i, k].astype("int32") * w[k, j].astype("int32"), k), name=f"matmul{name}"
    )
    moved = te.compute((n, 5), lambda i, j: out[i, j] + shift, name=f"moved{name}")
    return te.create_prim_func([x, w, moved])


def test_names_and_attributes_do_not_count() -> None:
    assert kernel_key(product()) == kernel_key(product(name="_other").with_attr("op_pattern", 4))


@pytest.mark.parametrize("other", [{"n": 5}, {"dtype": "uint8"}, {"shift": 1}])
def test_shapes_types_and_numbers_count(other: dict[str, object]) -> None:
    assert kernel_key(product()) != kernel_key(product(**other))  # type: ignore[arg-type]


def test_it_is_the_same_in_another_process() -> None:
    code = "from tests.schedule.test_kernel_key import *; print(kernel_key(product()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == kernel_key(product())
