"""The C runtime: its own tests under every sanitizer, and clean builds by every compiler for every core."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgetvm.deploy.exchange import CALLER_BUFFERS, GUARD, MAGIC, TAP
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_program
from tests.tools import require_tool

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "edgetvm" / "runtime"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
COMMON = [RUNTIME / "src" / "edgetvm.c", *sorted((RUNTIME / "harness").glob("*.c"))]
POOL = [RUNTIME / "src" / "thread_pool.c", RUNTIME / "src" / "thread_cores.c"]
LINUX = [*COMMON, *POOL, RUNTIME / "ports" / "posix" / "port.c"]
PORTS = ("cortex_m", "semihosting", "serial", "bare")
BARE_METAL = [*COMMON, *(path for port in PORTS for path in sorted((RUNTIME / "ports" / port).glob("*.c")))]
SERIAL = ["-DEDGETVM_CLOCK_KHZ=25000u", "-DEDGETVM_SERIAL_SETUP={0x40004008u,2u,3u}"]
SERIAL += [f"-DEDGETVM_SERIAL_{way}=0x40004000u,0x40004004u,1u,0u" for way in ("RECEIVE", "SEND")]

ARM_CORES = {
    "cortex-m0plus": [],
    "cortex-m3": [],
    "cortex-m4": ["-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m7": ["-mfpu=fpv5-d16", "-mfloat-abi=hard"],
    "cortex-m33": ["-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
    "cortex-m55": ["-mfloat-abi=hard"],
}


def run(command: list[str | Path], cwd: Path = ROOT) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def compile_all(compiler: list[str], sources: list[Path], out: Path, flags: list[str]) -> None:
    """Compile each source on its own, with the headers and macros of the harness."""
    for source in sources:
        command = [*compiler, *WARNINGS, "-O2", f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'ports'}"]
        command += [f"-I{RUNTIME / 'ports' / 'cortex_m'}"]
        command += ["-DEDGETVM_MODEL=m_model", "-DEDGETVM_ARENAS(ARENA)=ARENA(0, 1024) ARENA(1, 512)", *flags]
        run([*command, "-c", str(source), "-o", str(out / f"{source.stem}.o")])


@pytest.fixture(params=["", "address,undefined", "thread"], ids=["plain", "asan-ubsan", "tsan"], scope="module")
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime and its tests, built by CMake with one set of sanitizers."""
    cmake, ninja = require_tool("cmake"), require_tool("ninja")
    require_tool("gcc")
    folder = tmp_path_factory.mktemp("build")
    settings = ["-DCMAKE_C_COMPILER=gcc", f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DEDGETVM_SANITIZE={request.param}"]
    run([cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", *settings])
    run([cmake, "--build", folder])
    return folder


def test_c_tests_pass(build: Path) -> None:
    listed = run([require_tool("ctest"), "--test-dir", build, "--output-on-failure", "--no-tests=error"])
    assert "100% tests passed" in listed


def test_harness_runs_clean(build: Path, tmp_path: Path) -> None:
    """Both ways of passing tensors, with the arena's guards, under the sanitizers."""
    inputs = np.arange(8, dtype=np.float32)
    for flags in (GUARD, GUARD | CALLER_BUFFERS):
        (tmp_path / "request.bin").write_bytes(struct.pack("<6I", MAGIC, 2, 1, 2, 1, flags))
        (tmp_path / "inputs.bin").write_bytes(inputs.tobytes())
        run([build / "harness_add_one"], cwd=tmp_path)
        np.testing.assert_array_equal(np.fromfile(tmp_path / "outputs.bin", np.float32), inputs + 1)
        report = (tmp_path / "report.txt").read_text().splitlines()
        assert {"guard_ok=1", "repeatable=1", "status=0"} <= set(report)
        assert sum(line.startswith("latency_ns=") for line in report) == 2


def test_taps_are_of_samples_alone(build: Path, tmp_path: Path) -> None:
    """Neither of the guarded runs nor of the timed ones; and only where they were asked for."""
    inputs = np.arange(8, dtype=np.float32)
    (tmp_path / "inputs.bin").write_bytes(inputs.tobytes())
    for flags in (GUARD, GUARD | TAP):
        (tmp_path / "request.bin").write_bytes(struct.pack("<6I", MAGIC, 2, 1, 2, 1, flags))
        run([build / "harness_add_one"], cwd=tmp_path)
        assert (tmp_path / "taps.bin").exists() == bool(flags & TAP)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "taps.bin", np.float32), inputs + 1)


def test_cmake_builds_for_a_bare_board(tmp_path: Path) -> None:
    cmake, ninja, compiler = map(require_tool, ("cmake", "ninja", "arm-none-eabi-gcc"))
    settings = [f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-DCMAKE_SYSTEM_NAME=Generic"]
    settings += ["-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", "-DCMAKE_C_FLAGS=-mcpu=cortex-m4 -mthumb"]
    run([cmake, "-S", ROOT, "-B", tmp_path, "-G", "Ninja", *settings])
    run([cmake, "--build", tmp_path])
    assert (tmp_path / "libedgetvm.a").is_file()


@pytest.mark.parametrize(("core", "emulator"), [("cortex-a53", "qemu-aarch64"), ("cortex-a8", "qemu-arm")])
def test_c_tests_pass_on_emulated_arm(core: str, emulator: str, tmp_path: Path) -> None:
    qemu = require_tool(emulator)
    target = load_target(core)
    sources = [RUNTIME / "src" / "edgetvm.c", *POOL]
    runtime = compile_sources(sources, tmp_path, target, include_dirs=[RUNTIME / "include"], libc="musl")
    for name in ("test_run", "test_threads"):
        source = ROOT / "tests" / "runtime" / f"{name}.c"
        test = compile_sources([source], tmp_path, target, include_dirs=[RUNTIME / "include"], libc="musl")
        run([qemu, link_program([*test, *runtime], tmp_path / name, target, libc="musl")])


def test_gcc_finds_nothing(tmp_path: Path) -> None:
    compile_all([require_tool("gcc")], LINUX, tmp_path, ["-DEDGETVM_THREADS"])


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu.2.28", "aarch64-linux-gnu.2.28", "arm-linux-musleabihf"])
def test_clang_finds_nothing(triple: str, tmp_path: Path) -> None:
    compile_all([sys.executable, "-m", "ziglang", "cc", "-target", triple], LINUX, tmp_path, ["-DEDGETVM_THREADS"])


@pytest.mark.parametrize("core", ARM_CORES)
def test_arm_gcc_finds_nothing(core: str, tmp_path: Path) -> None:
    compiler = require_tool("arm-none-eabi-gcc")
    compile_all([compiler, "-mthumb", f"-mcpu={core}", *ARM_CORES[core]], BARE_METAL, tmp_path, SERIAL)


@pytest.mark.parametrize("core", ARM_CORES)
def test_clang_finds_nothing_for_bare_metal(core: str, tmp_path: Path) -> None:
    cpu = core.replace("-", "_")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi", f"-mcpu={cpu}"]
    compile_all([*compiler, "-ffreestanding"], BARE_METAL, tmp_path, SERIAL)


def test_c_is_formatted() -> None:
    folders = [RUNTIME, ROOT / "edgetvm" / "deploy", ROOT / "tests"]
    sources = sorted(path for folder in folders for path in folder.rglob("*.[ch]"))
    assert len(sources) > 10
    run([require_tool("clang-format"), "--dry-run", "--Werror", *sources])
