"""The C runtime: its own tests under every sanitizer, and clean builds by every compiler for every core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import require_tool

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "edgetvm" / "runtime"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
COMMON = [RUNTIME / "src" / "edgetvm.c", *sorted((RUNTIME / "harness").glob("*.c"))]
LINUX = [*COMMON, RUNTIME / "src" / "thread_pool.c", RUNTIME / "ports" / "posix" / "port.c"]
BARE_METAL = [
    *COMMON,
    *(path for port in ("cortex_m", "semihosting", "bare") for path in sorted((RUNTIME / "ports" / port).glob("*.c"))),
]

ARM_CORES = {
    "cortex-m0plus": [],
    "cortex-m3": [],
    "cortex-m4": ["-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m7": ["-mfpu=fpv5-d16", "-mfloat-abi=hard"],
    "cortex-m33": ["-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
    "cortex-m55": ["-mfloat-abi=hard"],
}


def run(command: list[str | Path], timeout: int = 300) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def compile_all(compiler: list[str], sources: list[Path], out: Path) -> None:
    """Compile each source on its own, with the headers and macros of the harness."""
    for source in sources:
        command = [*compiler, *WARNINGS, "-O2", f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'ports'}"]
        command += [f"-I{RUNTIME / 'ports' / 'cortex_m'}"]
        command += ["-DEDGETVM_MODEL=m_model", "-DEDGETVM_ARENA_BYTES=1024", "-DEDGETVM_THREADS"]
        run([*command, "-c", str(source), "-o", str(out / f"{source.stem}.o")])


@pytest.mark.parametrize("sanitizers", ["", "address,undefined", "thread"], ids=["plain", "asan-ubsan", "tsan"])
def test_c_tests_pass(sanitizers: str, tmp_path: Path) -> None:
    cmake, ctest = require_tool("cmake"), require_tool("ctest")
    require_tool("gcc")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}"]
    settings = ["-DCMAKE_C_COMPILER=gcc", f"-DEDGETVM_SANITIZE={sanitizers}"]
    run([cmake, "-S", ROOT, "-B", tmp_path, *generator, *settings])
    run([cmake, "--build", tmp_path])
    listed = run([ctest, "--test-dir", tmp_path, "--output-on-failure", "--no-tests=error"])
    assert "100% tests passed" in listed


def test_gcc_finds_nothing(tmp_path: Path) -> None:
    compile_all([require_tool("gcc")], LINUX, tmp_path)


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu.2.28", "aarch64-linux-gnu.2.28", "arm-linux-musleabihf"])
def test_clang_finds_nothing(triple: str, tmp_path: Path) -> None:
    compile_all([sys.executable, "-m", "ziglang", "cc", "-target", triple], LINUX, tmp_path)


@pytest.mark.parametrize("core", ARM_CORES)
def test_arm_gcc_finds_nothing(core: str, tmp_path: Path) -> None:
    compiler = require_tool("arm-none-eabi-gcc")
    compile_all([compiler, "-mthumb", f"-mcpu={core}", *ARM_CORES[core]], BARE_METAL, tmp_path)


@pytest.mark.parametrize("core", ARM_CORES)
def test_clang_finds_nothing_for_bare_metal(core: str, tmp_path: Path) -> None:
    cpu = core.replace("-", "_")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi", f"-mcpu={cpu}"]
    compile_all([*compiler, "-ffreestanding"], BARE_METAL, tmp_path)


def test_c_is_formatted() -> None:
    folders = [RUNTIME, ROOT / "edgetvm" / "deploy", ROOT / "tests"]
    sources = sorted(path for folder in folders for path in folder.rglob("*.[ch]"))
    assert len(sources) > 10
    run([require_tool("clang-format"), "--dry-run", "--Werror", *sources])
