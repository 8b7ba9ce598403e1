"""The machine code of integer packages for microcontrollers: integers alone, and no memory but arena and stack."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.codegen.sizes import section_sizes
from tests.tools import require_tool

Compiled = Callable[..., edgetvm.Package]
TARGET = "qemu-mps2-an386"  # a Cortex-M4 with an FPU that nothing may use
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\s+(\S+)", re.MULTILINE)
# The compiler's arithmetic on floats and doubles, by its names of the Arm ABI, and what needs or takes memory.
FLOAT_HELPER = re.compile(r"__aeabi_([fdh]\w*|\w+2[fdh])")
ALLOCATION = re.compile(r"(m|c|re)alloc|free|_?sbrk|__emutls\w*")
MOST_STACK = 1024


def output(tool: str, *arguments: str | Path) -> str:
    """What one of the GNU tools for Arm prints."""
    command = [require_tool(f"arm-none-eabi-{tool}"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def objects_of(package: edgetvm.Package, folder: Path) -> list[Path]:
    """The members of the package's archive."""
    (library,) = (package.path / "lib").glob("*.a")
    subprocess.run([require_tool("arm-none-eabi-ar"), "x", library.resolve()], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def check(package: edgetvm.Package, folder: Path) -> None:
    """No float instruction, no call for one, no allocation, no writable global, little stack."""
    objects = objects_of(package, folder)
    assert objects
    mnemonics: set[str] = set()
    for path in objects:
        mnemonics |= set(INSTRUCTION.findall(output("objdump", "-d", "--no-show-raw-insn", path)))
        symbols = output("nm", "-u", path)
        undefined = [line.split()[-1] for line in symbols.splitlines() if line.strip()]
        assert [name for name in undefined if FLOAT_HELPER.fullmatch(name) or ALLOCATION.fullmatch(name)] == []
        writable = {name: size for name, size in section_sizes(path).items() if name.startswith((".data", ".bss"))}
        assert not any(writable.values())
    assert {"push", "ldr"} <= {name.partition(".")[0] for name in mnemonics}
    assert [name for name in mnemonics if name.startswith("v")] == []
    assert 0 < package.manifest["stack_bytes"] <= MOST_STACK


def test_the_demo_model(compiled: Compiled, int8_digits: Path, tmp_path: Path) -> None:
    check(compiled(int8_digits, TARGET, integer_io=True), tmp_path)


@pytest.mark.parametrize(
    ("model", "flash", "ram"),
    [("ad01", 285_000, 1_600), ("ic01", 100_000, 26_000), ("kws01", 50_000, 12_000), ("vww01", 90_000, 40_000)],
)
def test_published_models(compiled: Compiled, model: str, flash: int, ram: int, assets: Path, tmp_path: Path) -> None:
    """Code as above, in as many bytes of memory as users were told."""
    package = compiled(assets / model / "reference_int8.tflite", TARGET)
    check(package, tmp_path)
    assert package.manifest["flash_bytes"] <= flash
    assert package.manifest["ram_bytes"] <= ram


@pytest.mark.parametrize("target", ["qemu-mps3-an547", "qemu-mps2-an385", "cortex-m0plus"])
@pytest.mark.parametrize("model", ["ad01", "ic01", "kws01", "vww01"])
def test_little_is_spilled(compiled: Compiled, model: str, target: str, assets: Path) -> None:
    """Not the vectors of weights of an M55, nor addresses of unrolled copies where there are few registers."""
    package = compiled(assets / model / "reference_int8.tflite", target)
    assert 0 < package.manifest["stack_bytes"] <= MOST_STACK


def test_floats_are_seen(compiled: Compiled, int8_digits: Path, tmp_path: Path) -> None:
    """With a border of floats there is code that converts them."""
    with pytest.raises(AssertionError):
        check(compiled(int8_digits, TARGET), tmp_path)
