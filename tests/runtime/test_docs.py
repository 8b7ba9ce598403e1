"""The C of docs/runtime.md compiles."""

from __future__ import annotations

import re
from pathlib import Path

from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources

DOCS = Path(__file__).resolve().parents[2] / "docs" / "runtime.md"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


def test_examples_compile(tmp_path: Path) -> None:
    examples = re.findall(r"```c\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) == 5
    sources = [tmp_path / f"example_{i}.c" for i in range(len(examples))]
    for source, text in zip(sources, examples, strict=True):
        source.write_text(text)
    compile_sources(sources, tmp_path, load_target("host"), include_dirs=[runtime_dir() / "include"], flags=WARNINGS)
