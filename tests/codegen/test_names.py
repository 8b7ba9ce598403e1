"""Whatever a model, its inputs and its outputs are called, the package is valid C and says the names as they are."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import edgetvm
from tests.importers.models import save
from tests.tools import require_tool

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
NAMES = [
    "input:0",
    'quote"s',
    "it's",
    "back\\slash",
    "end */ of comment",
    "begin /* of comment",
    "/*/",
    "tri??/graph",
    "100% %s",
    "two\nlines",
    "naïve-Größe",
    "入力",
    "\x01\x7f0",
    "int",
    "arena",
]


class CTensor(ctypes.Structure):
    """`edgetvm_tensor` of edgetvm.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("bytes", ctypes.c_size_t),
        ("offset", ctypes.c_size_t),
        ("arena", ctypes.c_int32),
    )


class CModel(ctypes.Structure):
    """`edgetvm_model` of edgetvm.h."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("arena_count", ctypes.c_int32),
        ("arena_bytes", ctypes.POINTER(ctypes.c_size_t)),
        ("arena_align", ctypes.c_size_t),
        ("input_count", ctypes.c_int32),
        ("output_count", ctypes.c_int32),
        ("inputs", ctypes.POINTER(CTensor)),
        ("outputs", ctypes.POINTER(CTensor)),
        ("entry", ctypes.c_void_p),
    )


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory: pytest.TempPathFactory) -> edgetvm.Package:
    """One model whose inputs and outputs have all the names."""
    folder = tmp_path_factory.mktemp("names")
    nodes = [helper.make_node("Exp", [name], [f"{name}'"], name=f"node {name}") for name in NAMES]
    model = save(folder / "names.onnx", nodes, {name: [1, 3] for name in NAMES}, [f"{name}'" for name in NAMES])
    return edgetvm.compile(model, "host", folder / "out")


def test_strict_compilers_take_the_sources(oddly_named: edgetvm.Package, tmp_path: Path) -> None:
    include = f"-I{oddly_named.path / 'include'}"
    for source in (*sorted((oddly_named.path / "src").glob("*.c")), oddly_named.path / "main.c"):
        compile_with(
            [require_tool("gcc"), "-std=c99", *STRICT, include, "-c", str(source), "-o", str(tmp_path / "x.o")]
        )
    (tmp_path / "user.cc").write_text('#include "names.h"\nint main() { return names_model.input_count == 0; }\n')
    command = [require_tool("g++"), "-std=c++11", *STRICT, include, "-c", str(tmp_path / "user.cc")]
    compile_with([*command, "-o", str(tmp_path / "x.o")])


def test_the_model_says_the_names_as_they_are(oddly_named: edgetvm.Package) -> None:
    library = ctypes.CDLL(str(oddly_named.path / "lib" / "libnames.so"))
    model = CModel.in_dll(library, "names_model")
    assert [model.inputs[i].name.decode() for i in range(model.input_count)] == NAMES
    assert [model.outputs[i].name.decode() for i in range(model.output_count)] == [f"{name}'" for name in NAMES]
    assert [entry["name"] for entry in oddly_named.manifest["inputs"]] == NAMES


def test_it_runs_by_these_names(oddly_named: edgetvm.Package) -> None:
    inputs = {name: np.full((1, 3), i / 8, np.float32) for i, name in enumerate(NAMES)}
    outputs = oddly_named.run(inputs)
    for name in NAMES:
        np.testing.assert_allclose(outputs[f"{name}'"], np.exp(inputs[name]), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "form"),
    [("int", "c"), ("main", "object"), ("main", "c"), ("3d-net v2", "library"), ("edgetvm", "c"), ("é", "object")],
)
def test_models_called_like_words_of_c(name: str, form: str, tmp_path: Path) -> None:
    assert verified(name, form, tmp_path)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("string", "library"),  # <string.h>
        ("math", "c"),
        ("features", "c"),  # a header of glibc's own
        ("port", "library"),  # headers and sources of the runtime
        ("thread_pool", "library"),
        ("edgetvm_threads", "c"),
        ("edge", "object"),  # edgetvm.o begins with it
    ],
)
def test_models_called_like_files_around_them(name: str, form: str, tmp_path: Path) -> None:
    assert verified(name, form, tmp_path)


def verified(name: str, form: str, folder: Path) -> bool:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="product"),
        helper.make_node("Softmax", ["m"], ["y"], name="softmax"),
    ]
    model = save(folder / f"{name}.onnx", nodes, {"x": [2, 4]}, ["y"], {"w": np.ones((4, 6), np.float32)})
    return edgetvm.compile(model, "host", folder / "out", format=form).verify(samples=1).passed


def compile_with(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
