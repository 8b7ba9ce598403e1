"""C for Cortex-M with Helium: the vectors by arm_mve.h, the same bits, and no warning of a strict compiler.

Kernels of every shape are in tests/schedule/test_helium.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.codegen.mve import with_vector_types
from tests.codegen.strict import check_strict
from tests.tools import require_tool

CORE = ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard")


@pytest.fixture(scope="module")
def package(int8_digits: Path, compiled: Callable[..., edgetvm.Package]) -> edgetvm.Package:
    return compiled(int8_digits, "qemu-mps3-an547", format="c")


def test_the_same_bits(package: edgetvm.Package) -> None:
    require_tool("qemu-system-arm")
    assert package.verify(samples=2).integer_mismatches == 0


def test_a_strict_compiler_takes_it(package: edgetvm.Package, tmp_path: Path) -> None:
    check_strict(package, [require_tool("arm-none-eabi-gcc"), *CORE], tmp_path)


def test_functions_by_name(package: edgetvm.Package) -> None:
    (text,) = (path.read_text() for path in (package.path / "src").glob("*_kernels.c"))
    assert "#include <arm_mve.h>" in text
    assert "vmladavaq_s8(" in text
    assert "llvm" not in text


def test_types() -> None:
    assert with_vector_types("int8_t16 v = f((uint32_t4)w, int8_t(1));") == "int8x16_t v = f((uint32x4_t)w, int8_t(1));"
