"""What the package imports is what pyproject.toml declares: a clean install has all it needs, and no more."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Module name -> name on the package index, where the two differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "elftools": "pyelftools",
    "google": "protobuf",
    "tvm": "apache-tvm",
    "tvm_ffi": "apache-tvm-ffi",
}
EXTRAS = {"serial": ("boards", "pyserial"), "xgboost": ("tune", "xgboost-cpu")}  # imported where it is needed
RUN_AS_PROGRAM = {"ziglang"}  # started with python -m, never imported


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0] for requirement in requirements}


def imported(folder: Path) -> dict[str, Path]:
    """Top-level modules from outside the project and the standard library, with one file that imports each."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | {"edgetvm"}}


def test_every_import_is_declared() -> None:
    needed = {DISTRIBUTIONS.get(name, name): path for name, path in imported(ROOT / "edgetvm").items()}
    missing = {name: str(path) for name, path in needed.items() if name not in declared(PROJECT["dependencies"])}
    assert missing.keys() == EXTRAS.keys(), missing
    for extra, distribution in EXTRAS.values():
        assert distribution in declared(PROJECT["optional-dependencies"][extra])


def test_every_dependency_is_used() -> None:
    used = {DISTRIBUTIONS.get(name, name) for name in imported(ROOT / "edgetvm")} | RUN_AS_PROGRAM
    # tvm_ffi comes with tvm and is declared only to hold its release.
    assert declared(PROJECT["dependencies"]) - {"apache-tvm-ffi"} - used == set()


def test_what_decides_the_bytes_of_a_package_is_pinned() -> None:
    exact = {r.split("==")[0] for r in PROJECT["dependencies"] if "==" in r}
    assert exact >= {"apache-tvm", "apache-tvm-ffi", "ziglang"}
