"""The entry function: where it takes tensors of the border from, and its taps: one an output, nothing in a product."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import edgetvm
from edgetvm.codegen.image import link_image
from edgetvm.codegen.sizes import section_sizes
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources


def objects(folder: Path, target: str, work: Path) -> tuple[Path, Path]:
    """The entry function as it is in the package, and without its taps, compiled alike."""
    source = next(path for path in (folder / "src").glob("*.c") if f"{path.stem}_model" in path.read_text())
    text = source.read_text()
    bare = re.sub(r"\n/\* Defined by.*?#endif\n", "", text, flags=re.DOTALL)
    bare = re.sub(r"    EDGETVM_TAP\(.*\);\n", "", bare)
    assert "EDGETVM_TAP" in text
    assert "EDGETVM_TAP" not in bare
    built = []
    for name, content in (("with", text), ("without", bare)):
        (work / name).mkdir()
        (work / name / source.name).write_text(content)
        include = [folder / "include"]
        built += compile_sources([work / name / source.name], work / name, load_target(target), include_dirs=include)
    return built[0], built[1]


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a8", "cortex-m0", "qemu-mps2-an386"])
def test_a_product_is_the_same_with_and_without_taps(
    compiled: Callable[..., edgetvm.Package], digits: Path, target: str, tmp_path: Path
) -> None:
    with_taps, without = objects(compiled(digits, target).path, target, tmp_path)
    assert with_taps.read_bytes() == without.read_bytes()
    assert section_sizes(with_taps) == section_sizes(without)


def test_every_output_of_every_call_has_its_line(compiled: Callable[..., edgetvm.Package], digits: Path) -> None:
    package = compiled(digits, "host")
    text = (package.path / "src" / "digits.c").read_text()
    taps = re.findall(r"^    EDGETVM_TAP\((\d+), (\d+), .*, (\d+)\);$", text, re.MULTILINE)
    expected = [
        (str(step), str(position), str(4 * math.prod(output["shape"])))
        for step, call in enumerate(package.manifest["calls"])
        for position, output in enumerate(call["outputs"])
    ]
    assert taps == expected
    assert {output["dtype"] for call in package.manifest["calls"] for output in call["outputs"]} == {"float32"}
    assert package.manifest["calls"][-1]["outputs"] == [{"shape": [1, 10], "dtype": "float32"}]


@pytest.mark.parametrize("own_input", [False, True])
@pytest.mark.parametrize("own_output", [False, True])
def test_a_tensor_without_a_buffer_lies_in_the_arena(
    compiled: Callable[..., edgetvm.Package], digits: Path, own_input: bool, own_output: bool
) -> None:
    package = compiled(digits, "host")
    (source,), (result,) = package.manifest["inputs"], package.manifest["outputs"]
    image = np.random.default_rng(0).standard_normal(source["shape"]).astype(np.float32)
    (expected,) = package.run({source["name"]: image}).values()
    arena_bytes = package.manifest["arena"]["bytes"]
    memory = np.zeros(arena_bytes + 64, np.uint8)
    arena = memory[-memory.ctypes.data % 64 :]

    def buffer(tensor: dict[str, int], own: bool) -> tuple[np.ndarray, ctypes.Array]:
        place = arena[tensor["offset"] :][: tensor["bytes"]].view(np.float32)
        given = np.zeros_like(place) if own else place
        return given, (ctypes.c_void_p * 1)(given.ctypes.data if own else None)

    x, inputs = buffer(source, own_input)
    y, outputs = buffer(result, own_output)
    x[:] = image.reshape(-1)
    library = ctypes.CDLL(str(package.path / "lib" / "libdigits.so"))
    model = ctypes.c_char.in_dll(library, "digits_model")
    at, size = ctypes.c_void_p(arena.ctypes.data), ctypes.c_size_t(arena_bytes)
    assert library.edgetvm_run(ctypes.byref(model), at, size, inputs, outputs) == 0
    np.testing.assert_array_equal(y, expected.reshape(-1))


DIRECT = """
#include "cortex_m.h"
#include "digits.h"
__attribute__((section(".arena"))) static uint64_t arena[(DIGITS_ARENA_BYTES + 7) / 8];
int main(void) { return digits_model.entry(&(edgetvm_arena){arena, sizeof arena}, NULL, NULL); }
void fault_handler(void) { for (;;) { } }
void stop(int status) { (void)status; for (;;) { } }
"""


def test_a_program_that_calls_the_entry_needs_no_runtime(
    compiled: Callable[..., edgetvm.Package], digits: Path, tmp_path: Path
) -> None:
    target, port = load_target("qemu-mps2-an386"), runtime_dir() / "ports" / "cortex_m"
    package = compiled(digits, "qemu-mps2-an386").path
    (tmp_path / "main.c").write_text(DIRECT)
    include = [package / "include", port]
    around = compile_sources([port / "startup.c", tmp_path / "main.c"], tmp_path, target, include_dirs=include)
    image = link_image([*around, package / "lib" / "libdigits.a"], tmp_path / "image.elf", target)
    with image.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        names = {symbol.name for symbol in table.iter_symbols()}
    assert "digits_model" in names
    assert not any(name.startswith("edgetvm_run") for name in names)
