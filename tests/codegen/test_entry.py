"""The lines that hand outputs to whoever asks for them: one an output, and nothing in a product."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.codegen.sizes import section_sizes
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
