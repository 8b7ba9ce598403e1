"""Write the golden C files anew after a change that was meant; then read the diff.

python -m tests.golden.regenerate
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from onnx import helper

import edgetvm
from tests.importers.models import save

FOLDER = Path(__file__).parent
FILES = ("include/tiny.h", "src/tiny.c", "src/tiny_kernels.c", "src/tiny_weights.c", "main.c", "CMakeLists.txt")


def generate(folder: Path) -> dict[str, str]:
    """The C files of a small model (matrix product, bias, Relu and a view), by path in its package."""
    constants = {"w": np.arange(12, dtype=np.float32).reshape(4, 3) / 10, "b": np.array([0.1, -0.2, 0.3], np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="product"),
        helper.make_node("Add", ["m", "b"], ["a"], name="bias"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Flatten", ["r"], ["y"], name="flat", axis=0),
    ]
    model = save(folder / "tiny.onnx", nodes, {"x": [2, 4]}, ["y"], constants)
    package = edgetvm.compile(model, "generic-c", folder / "package", format="c")
    return {name: (package.path / name).read_text() for name in FILES}


def main() -> None:
    """Replace every golden file."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in generate(Path(folder)).items():
            (FOLDER / f"{Path(name).name}.golden").write_text(text)


if __name__ == "__main__":
    main()
