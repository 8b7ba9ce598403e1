"""The C toolchain: the same bytes from any folder, the features that LLVM assumes, and clear errors."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from edgetvm.errors import TargetError, ToolError
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.toolchain import archive, compile_sources, link_program, link_shared, target_flags
from edgetvm.target.tvm_target import llvm_features
from edgetvm.target.zig import run_zig
from tests.tools import require_tool

BINARY = [name for name in list_targets() if load_target(name).processor.arch != "c"]
LINUX = ["host", "cortex-a53", "cortex-a8"]

SOURCE = """
#include <math.h>
#include <string.h>
float apply(float *x, int n);
const char *where(void);
extern const char weights[4];
float apply(float *x, int n) { memset(x, 0, (size_t)n); return expf(x[0]) + (float)strlen(where()) + weights[0]; }
const char *where(void) { return __FILE__; }
"""
WEIGHTS = '.section .rodata\n.globl weights\nweights:\n.incbin "weights.bin"\n'
MAIN = """
#include <pthread.h>
#include <stdio.h>
float apply(float *x, int n);
static void *run(void *x) { printf("%g\\n", (double)apply(x, 4)); return NULL; }
int main(void) {
    float x = 3;
    pthread_t thread;
    return pthread_create(&thread, NULL, run, &x) || pthread_join(thread, NULL);
}
"""


def write_sources(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "apply.c").write_text(SOURCE)
    (folder / "weights.S").write_text(WEIGHTS)
    (folder / "weights.bin").write_bytes(b"\x01\x02\x03\x04")
    return [folder / "apply.c", folder / "weights.S"]


def compile_text(folder: Path, text: str, target: str = "host", **options: object) -> Path:
    (folder / "text.c").write_text(text)
    return compile_sources([folder / "text.c"], folder, load_target(target), **options)[0]


def symbols(path: Path, *, defined: bool) -> set[str]:
    with path.open("rb") as file:
        tables = [s for s in ELFFile(file).iter_sections() if isinstance(s, SymbolTableSection)]
        found = [symbol for table in tables for symbol in table.iter_symbols() if symbol.name]
        return {symbol.name for symbol in found if (symbol["st_shndx"] != "SHN_UNDEF") == defined}


@pytest.mark.parametrize("name", [*LINUX, "cortex-m0plus", "cortex-m55"])
def test_the_folder_leaves_no_trace(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    builds = []
    for folder in (tmp_path / "a", tmp_path / "another one, with ünicode"):
        objects = compile_sources(write_sources(folder), folder, target)
        files = [*objects, archive(objects, folder / "libapply.a")]
        if target.is_linux:
            files.append(link_shared(objects, folder / "libapply.so", target))
        builds.append([path.read_bytes() for path in files])
    assert builds[0] == builds[1]
    assert not any(str(tmp_path).encode() in content for content in builds[1])
    assert b"apply.c\0" in builds[0][0]


def test_included_weights_are_never_stale(tmp_path: Path) -> None:
    sources = write_sources(tmp_path)
    target = load_target("cortex-m4")
    (tmp_path / "weights.bin").write_bytes(b"old.")
    assert b"old." in compile_sources(sources, tmp_path, target)[1].read_bytes()
    (tmp_path / "weights.bin").write_bytes(b"new.")
    assert b"new." in compile_sources(sources, tmp_path, target)[1].read_bytes()


@pytest.mark.parametrize(
    ("name", "emulator"), [("host", ""), ("cortex-a53", "qemu-aarch64"), ("cortex-a8", "qemu-arm")]
)
def test_static_programs_run(name: str, emulator: str, tmp_path: Path) -> None:
    target = load_target(name)
    (tmp_path / "main.c").write_text(MAIN)
    sources = [*write_sources(tmp_path), tmp_path / "main.c"]
    program = link_program(compile_sources(sources, tmp_path, target, libc="musl"), tmp_path / "p", target, libc="musl")
    with program.open("rb") as file:
        assert not any(segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments())
    command = [*([require_tool(emulator)] if emulator else []), str(program)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "9\n"


@pytest.mark.parametrize("name", LINUX)
def test_dynamic_programs_need_no_glibc_newer_than_promised(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    (tmp_path / "main.c").write_text(MAIN)
    objects = compile_sources([*write_sources(tmp_path), tmp_path / "main.c"], tmp_path, target)
    program = link_program(objects, tmp_path / "p", target)
    with program.open("rb") as file:
        needs = [s for s in ELFFile(file).iter_sections() if isinstance(s, GNUVerNeedSection)]
        versions = {auxiliary.name for need in needs for _, every in need.iter_versions() for auxiliary in every}
    numbers = [tuple(map(int, version.removeprefix("GLIBC_").split("."))) for version in versions]
    assert numbers
    assert max(numbers) <= (2, 28), versions
    if name == "host":
        assert subprocess.run([program], capture_output=True, text=True, timeout=60, check=True).stdout == "9\n"


# What the C compiler says it may use, and LLVM's name of it.
MACROS = {
    "x86_64": {"__SSE4_2__": "sse4.2", "__AVX2__": "avx2", "__FMA__": "fma", "__AVX512VL__": "avx512vl"},
    "aarch64": {
        "__ARM_FEATURE_DOTPROD": "dotprod",
        "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC": "fullfp16",
        "__ARM_FEATURE_AES": "aes",
        "__ARM_FEATURE_SHA2": "sha2",
        "__ARM_FEATURE_ATOMICS": "lse",
        "__ARM_FEATURE_QRDMX": "rdm",
    },
    "arm": {"__ARM_FEATURE_IDIV": "hwdiv-arm", "__ARM_FEATURE_FMA": "vfp4sp", "__ARM_NEON": "neon"},
    "thumb": {
        "__ARM_FEATURE_IDIV": "hwdiv",
        "__ARM_FEATURE_FMA": "vfp4d16sp",
        "__ARM_FEATURE_DSP": "dsp",
        "__ARM_FEATURE_MVE": "mve.fp",
    },
}


@pytest.mark.parametrize("name", BINARY)
def test_c_code_and_kernels_assume_the_same_features(name: str) -> None:
    target = load_target(name)
    text = run_zig(["cc", *target_flags(target), "-dM", "-E", "-x", "c", os.devnull])
    macros = dict(re.findall(r"^#define (\w+) (.*)$", text, re.MULTILINE))
    features = llvm_features(target.processor)
    named = MACROS[target.processor.arch]
    assert named.keys() & macros.keys() == {macro for macro, feature in named.items() if feature in features}
    if target.processor.arch in ("arm", "thumb"):
        fpu = int(macros.get("__ARM_FP", "0"), 16)
        assert (bool(fpu & 4), bool(fpu & 8)) == ("vfp2sp" in features, "fp64" in features)
        assert ("__ARM_PCS_VFP" in macros) == (target.processor.float_abi == "hard")
        assert ("__ARM_FEATURE_UNALIGNED" in macros) == target.processor.unaligned


def test_no_sanitizer_and_no_stack_protector(tmp_path: Path) -> None:
    text = "int f(int x); int f(int x) { volatile char b[64]; b[x] = (char)(x + 2147483647); return b[x] << x; }"
    for name in ("host", "cortex-a8", "cortex-m4"):
        assert symbols(compile_text(tmp_path, text, name, flags=["-O0"]), defined=False) <= {"__aeabi_unwind_cpp_pr0"}


def test_a_compiler_error_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"text\.c:2:26: error: use of undeclared identifier 'y'"):
        compile_text(tmp_path, "\nint f(void) { return 1 + y; }")
    with pytest.raises(ToolError, match=r"error: unused variable 'x'"):
        compile_text(tmp_path, "void f(void) { int x; }", flags=["-Wall", "-Werror"])
    with pytest.raises(ToolError, match=r"'nowhere\.h' file not found"):
        compile_text(tmp_path, '#include "nowhere.h"\n')


def test_a_link_error_names_its_symbol(tmp_path: Path) -> None:
    lost = compile_text(tmp_path, "int lost(void); int f(void); int f(void) { return lost(); }")
    with pytest.raises(ToolError, match="undefined symbol: lost"):
        link_shared([lost], tmp_path / "lib.so", load_target("host"))


def test_an_archive_holds_what_it_is_given_now(tmp_path: Path) -> None:
    first, second = compile_sources(write_sources(tmp_path), tmp_path, load_target("cortex-m4"))
    library = archive([first, second], tmp_path / "lib.a")
    assert archive([second], library).stat().st_size < second.stat().st_size + 300


def test_two_sources_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two sources of one name"):
        compile_sources([tmp_path / "a.c", tmp_path / "b" / "a.c"], tmp_path, load_target("host"))


def test_generic_c_has_no_compiler(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="generic-c has no binary form"):
        compile_text(tmp_path, "", "generic-c")


def test_it_works_without_a_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    compiled = compile_text(tmp_path, "int f(void); int f(void) { return 1; }", "cortex-m4")
    assert "f" in symbols(compiled, defined=True)


def test_variables_of_the_user_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "traps").mkdir()
    (tmp_path / "traps" / "math.h").write_text("#error included from the environment\n")
    for name in ("CPATH", "C_INCLUDE_PATH", "ZIG_LIB_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "traps"))
    assert compile_text(tmp_path, "#include <math.h>\nint x;").exists()


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.c").write_text("int x;")
    with pytest.raises(ToolError, match=r"zig cc failed: .*FileNotFound"):
        compile_sources([tmp_path / "text.c"], tmp_path / "nothing", load_target("cortex-m4"))
    with pytest.raises(ToolError, match="zig cc cannot run: No such file or directory"):
        run_zig(["cc"], cwd=tmp_path / "nothing")
