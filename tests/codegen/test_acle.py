"""C for Cortex-M with DSP: the instructions by arm_acle.h, the same bits, and no warning of a strict compiler."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from tests.codegen.strict import check_strict
from tests.tools import require_tool

CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")


@pytest.fixture(scope="module")
def package(int8_digits: Path, compiled: Callable[..., edgetvm.Package]) -> edgetvm.Package:
    return compiled(int8_digits, "qemu-mps2-an386", format="c")


def test_the_same_bits(package: edgetvm.Package) -> None:
    require_tool("qemu-system-arm")
    assert package.verify(samples=2).integer_mismatches == 0


def test_a_strict_compiler_takes_it(package: edgetvm.Package, tmp_path: Path) -> None:
    check_strict(package, [require_tool("arm-none-eabi-gcc"), *CORE], tmp_path)


def test_instructions_by_name(package: edgetvm.Package) -> None:
    """No intrinsic of LLVM's is left, and no name that nothing uses."""
    (text,) = (path.read_text() for path in (package.path / "src").glob("*_kernels.c"))
    assert "#include <arm_acle.h>" in text
    assert "__smlad(" in text
    assert "llvm" not in text
    for name in re.findall(r"^ +\w+\*? (\w+) = ", text, re.MULTILINE):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_cores_without_it_get_plain_c(int8_digits: Path, compiled: Callable[..., edgetvm.Package]) -> None:
    package = compiled(int8_digits, "qemu-mps2-an385", format="c")
    (text,) = (path.read_text() for path in (package.path / "src").glob("*_kernels.c"))
    assert "arm_acle" not in text
