"""Exports are built from what they hand over alone, and run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

import edgetvm
from edgetvm.cli.main import main
from edgetvm.deploy.export.write import SYSTEMS, export_package
from edgetvm.errors import OutputError, PackageError
from tests.deploy.arduino_platform import build_sketch
from tests.target.small_board import smaller
from tests.tools import require_tool, unavailable

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

# What Zephyr's documentation says of its functions, for a program of this machine.
ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(application C)
set(CONFIG_EDGETVM_DIGITS y)
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGN})
endfunction()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC "")
  target_link_libraries(${name} PUBLIC zephyr_interface)
  set_property(GLOBAL APPEND PROPERTY ZEPHYR_LIBS ${name})
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
foreach(module ${MODULES})
  get_filename_component(name ${module} NAME)
  add_subdirectory(${module}/zephyr ${name})
endforeach()
get_property(libraries GLOBAL PROPERTY ZEPHYR_LIBS)
add_executable(application main.c)
target_link_libraries(application -Wl,--whole-archive ${libraries} -Wl,--no-whole-archive m)
"""


@pytest.fixture
def package(compiled: Callable[..., edgetvm.Package], digits: Path) -> edgetvm.Package:
    """Its C is for any compiler, so that what is exported runs here."""
    return compiled(digits, "generic-c", format="c")


@pytest.fixture
def spread_package(compiled: Callable[..., edgetvm.Package], digits: Path, session_dir: Path) -> edgetvm.Package:
    """Its tensors lie in two arenas."""
    return compiled(digits, smaller("qemu-mps2-an385", 13, 6, session_dir), format="c")


def build(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.c"))


def compile_c(files: Sequence[Path], include: Sequence[Path], out: Path) -> list[Path]:
    objects = []
    for file in files:
        objects.append(out / f"{file.stem}.o")
        build(require_tool("gcc"), *STRICT, *(f"-I{folder}" for folder in include), "-c", file, "-o", objects[-1])
    return objects


def test_the_switch_of_a_zephyr_module(package: edgetvm.Package, tmp_path: Path) -> None:
    """As Zephyr's own reader of Kconfig has it: on, unless a project switches it off."""
    if find_spec("kconfiglib") is None:
        unavailable("kconfiglib is not installed")
    package.export("zephyr", tmp_path / "module")
    read = import_module("kconfiglib").Kconfig(str(tmp_path / "module" / "zephyr" / "Kconfig"), warn_to_stderr=False)
    assert [(symbol.name, symbol.str_value) for symbol in read.unique_defined_syms] == [("EDGETVM_DIGITS", "y")]
    assert read.warnings == []


def test_zephyr(package: edgetvm.Package, tmp_path: Path) -> None:
    """Two models in one program: the runtime is there once, although Zephyr links the whole of every library."""
    cmake, ninja = require_tool("cmake"), require_tool("ninja")
    for name in ("one", "two"):
        package.export("zephyr", tmp_path / name)
    module = (tmp_path / "one" / "zephyr" / "module.yml").read_text()
    assert module.splitlines() == ["name: edgetvm_digits", "build:", "  cmake: zephyr", "  kconfig: zephyr/Kconfig"]
    for path in (tmp_path / "two").rglob("*"):
        if path.is_file():
            text = path.read_text().replace("digits", "second").replace("DIGITS", "SECOND")
            path.write_text(text)
            path.rename(path.with_name(path.name.replace("digits", "second")))
    application = tmp_path / "application"
    application.mkdir()
    (application / "CMakeLists.txt").write_text(ZEPHYR + "\n")
    text = ZEPHYR.replace("set(CONFIG_EDGETVM_DIGITS y)", "set(CONFIG_EDGETVM_DIGITS y)\nset(CONFIG_EDGETVM_SECOND y)")
    (application / "CMakeLists.txt").write_text(text)
    (application / "main.c").write_text((package.path / "main.c").read_text())
    modules = ";".join(str(tmp_path / name) for name in ("one", "two"))
    options = [f"-DMODULES={modules}", f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DCMAKE_C_COMPILER={require_tool('gcc')}"]
    build(cmake, "-G", "Ninja", "-S", application, "-B", tmp_path / "build", *options)
    build(cmake, "--build", tmp_path / "build")
    assert subprocess.run([tmp_path / "build" / "application"], check=False).returncode == 0


@pytest.mark.parametrize(("name", "arenas"), [("package", 1), ("spread_package", 2)])
def test_arduino(name: str, arenas: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Arduino's builder compiles the sketch with the library, whose folder it finds by the header's name."""
    package = request.getfixturevalue(name)
    assert len(package.manifest["arena"]["parts"]) == arenas
    library = tmp_path / "libraries" / "model"
    library.parent.mkdir()
    package.export("arduino", library)
    properties = dict(line.split("=", 1) for line in (library / "library.properties").read_text().splitlines())
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(properties)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,62}", properties["name"])
    assert (library / "src" / properties["includes"]).is_file()
    (sketch,) = library.glob("examples/*/*.ino")
    assert sketch.stem == sketch.parent.name
    program = build_sketch(sketch, library.parent, tmp_path)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "status 0, us \n"


def test_cmsis_pack(package: edgetvm.Package, tmp_path: Path) -> None:
    """The description lists all that a program needs, each file once."""
    package.export("cmsis-pack", tmp_path / "pack")
    root = ElementTree.parse(tmp_path / "pack" / "EdgeTVM.digits.pdsc").getroot()
    assert (root.findtext("vendor"), root.findtext("name")) == ("EdgeTVM", "digits")
    runtime, model = root.findall("components/component")
    needed = root.find(f"conditions/condition[@id='{model.get('condition')}']/require").attrib
    assert needed.items() <= runtime.attrib.items()
    files = [file.attrib for component in (runtime, model) for file in component.findall("files/file")]
    include = {tmp_path / "pack" / file["name"] for file in files if file["category"] == "include"}
    listed = [tmp_path / "pack" / file["name"] for file in files if file["category"] != "include"]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {path for path in (tmp_path / "pack").rglob("*.[ch]") if path.is_file()}
    objects = compile_c([path for path in listed if path.suffix == ".c"], sorted(include), tmp_path)
    objects += compile_c([package.path / "main.c"], sorted(include), tmp_path)
    build(require_tool("gcc"), *objects, "-lm", "-o", tmp_path / "program")
    build(tmp_path / "program")


def test_the_example_of_two_arenas(spread_package: edgetvm.Package, tmp_path: Path) -> None:
    folder = spread_package.path
    objects = compile_c(
        [*sources(folder / "src"), *sources(folder / "runtime"), folder / "main.c"], [folder / "include"], tmp_path
    )
    build(require_tool("gcc"), *objects, "-lm", "-o", tmp_path / "program")
    build(tmp_path / "program")


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_cannot_be_exported(
    system: str, package: edgetvm.Package, compiled: Callable[..., edgetvm.Package], digits: Path, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match="takes sources") as caught:
        export_package(compiled(digits, "host").path, system, tmp_path / "out")
    assert caught.value.hint == "compile it with --format c"
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        package.export(system, tmp_path / "full")


def test_command(package: edgetvm.Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(package.path), "--as", "zephyr", "-o", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    assert (tmp_path / "out" / "zephyr" / "module.yml").is_file()
    assert main(["export", str(package.path), "--as", "eclipse", "-o", str(tmp_path / "other")]) == 2
