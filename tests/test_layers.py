"""Imports run one way: a layer imports itself and what stands to its left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edgetvm"

LAYERS = (
    {"errors", "resources"},
    {"target"},
    {"operators"},
    {"importers"},
    {"cost"},
    {"oracle"},
    {"passes"},
    {"schedule"},
    {"codegen"},
    {"deploy"},
    {"tune"},
    {"report"},
    {"api"},
    {"", "cli", "__main__"},  # "" is edgetvm itself: nobody to its left may import the whole
)
RANKS = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}


def imported_modules(source: str, module: str, is_package: bool) -> list[tuple[int, str]]:
    """Line and absolute name of every edgetvm module that the source imports, at any depth."""
    package = module if is_package else module.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            # `from edgetvm import errors` imports a layer; `from edgetvm import compile` the whole.
            whole = base == "edgetvm"
            found += [(node.lineno, f"{base}.{alias.name}" if whole else base) for alias in node.names]
    return [(line, name) for line, name in found if name.split(".")[0] == "edgetvm"]


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANKS else ""


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    own = RANKS[layer_of(module)]
    return [
        f"{module}:{line} imports {name}"
        for line, name in imported_modules(source, module, is_package)
        if RANKS[layer_of(name)] > own
    ]


def modules() -> list[tuple[str, Path]]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["edgetvm", *path.relative_to(PACKAGE).with_suffix("").parts]
        names.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return names


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_run_one_way(module: str, path: Path) -> None:
    assert violations(module, path.read_text(), path.name == "__init__.py") == []


def test_every_module_has_a_layer() -> None:
    rooms = {name.split(".")[1] for name, _ in modules() if "." in name}
    assert rooms <= set(RANKS), f"no layer for {sorted(rooms - set(RANKS))}"


def test_cli_calls_nothing_deeper_than_the_api() -> None:
    allowed = {"", "errors", "report", "api", "cli"}
    deeper = [
        f"{module}:{line} imports {name}"
        for module, path in modules()
        if layer_of(module) == "cli"
        for line, name in imported_modules(path.read_text(), module, path.name == "__init__.py")
        if layer_of(name) not in allowed
    ]
    assert deeper == []


@pytest.mark.parametrize(
    ("module", "source", "is_package"),
    [
        ("edgetvm.target.load", "import edgetvm.passes.pipeline", False),
        ("edgetvm.target.load", "from edgetvm.importers import import_onnx", False),
        ("edgetvm.errors", "from edgetvm import target", False),
        ("edgetvm.passes.fold", "def late():\n    from ..codegen import lower", False),
        ("edgetvm.passes", "from ..codegen import lower", True),
        ("edgetvm.report.size", "import edgetvm", False),
        ("edgetvm.report.size", "from edgetvm import compile", False),
        ("edgetvm.api", "from edgetvm.cli.main import main", False),
    ],
)
def test_a_violation_is_seen(module: str, source: str, is_package: bool) -> None:
    assert len(violations(module, source, is_package)) == 1


@pytest.mark.parametrize(
    ("module", "source", "is_package"),
    [
        ("edgetvm.resources", "from edgetvm.errors import ToolError", False),
        ("edgetvm.passes.fold", "from . import helpers\nfrom .helpers import one, two", False),
        ("edgetvm.passes", "from .fold import Fold", True),
        (
            "edgetvm.codegen.lower",
            "import numpy\nfrom edgetvm import target\nfrom edgetvm.cost import time",
            False,
        ),
        ("edgetvm", "from edgetvm.api import compile", True),
        ("edgetvm.cli.main", "import edgetvm", False),
    ],
)
def test_what_is_allowed_passes(module: str, source: str, is_package: bool) -> None:
    assert violations(module, source, is_package) == []
