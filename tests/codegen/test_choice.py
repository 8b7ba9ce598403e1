"""The C text that chooses kernels: the best variant first, every bit tested, compiled without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgetvm.codegen.choice import emit_choice
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.types import Variant

RUNS = """static int32_t run_{}(const edgetvm_arena *arenas, const void *const *in, void *const *out) {{
    (void)arenas;
    (void)in;
    (void)out;
    return {};
}}
"""
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


def variants() -> tuple[Variant, ...]:
    return load_target("aarch64-generic").processor.variants


def test_the_best_is_asked_for_first() -> None:
    text = "\n".join(emit_choice(variants()))
    assert re.findall(r"return (\w+)\(arenas, inputs, outputs\);", text) == ["run_i8mm", "run_dotprod", "run_base"]
    i8mm, dotprod = re.findall(r"if \((.*)\) \{", text)
    assert (
        i8mm == "(hwcap & UINT64_C(0x100000)) == UINT64_C(0x100000) && (hwcap2 & UINT64_C(0x2000)) == UINT64_C(0x2000)"
    )
    assert dotprod == "(hwcap & UINT64_C(0x100000)) == UINT64_C(0x100000)"


@pytest.mark.parametrize("chosen", [variants(), variants()[:1], (Variant("two", ("+a",), (63, 0), ()),)])
def test_it_compiles_as_strict_c(chosen: tuple[Variant, ...], tmp_path: Path) -> None:
    runs = "".join(RUNS.format(name, i) for i, name in enumerate(["base", *(variant.name for variant in chosen)]))
    source = tmp_path / "choice.c"
    main = "int main(void) { return (int)run(0, 0, 0); }\n"
    source.write_text(
        '#include "edgetvm.h"\n#include <sys/auxv.h>\n' + runs + "\n".join(emit_choice(chosen)) + "\n" + main
    )
    assert compile_sources(
        [source], tmp_path, load_target("aarch64-generic"), include_dirs=[runtime_dir() / "include"], flags=STRICT
    )[0].is_file()
