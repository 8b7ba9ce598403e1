"""docs/cli.md and docs/formats.md say what the code does: the same commands, options, keys and choices."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.cli.main import build_parser
from edgetvm.oracle.images import SUFFIXES
from edgetvm.oracle.preprocess import CHANNELS, LAYOUTS, Preprocess
from edgetvm.resources import schedules_dir

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CLI, FORMATS = DOCS / "cli.md", DOCS / "formats.md"


def section(text: str, title: str) -> str:
    """What stands under the heading that begins with `title`, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(title)}\b.*?\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def table(text: str, first: str) -> list[list[str]]:
    """The rows, as cells, of the table whose first column is called `first`; none without such a table."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|- "):
            rows.append(cells)
    return rows


def json_keys(text: str, command: str) -> list[str]:
    """The keys that the documentation gives a command's JSON, in its order."""
    rows = table(section(text, f"edgetvm {command}"), "JSON key")
    return [key for row in rows for key in re.findall(r"`(\w+)`", row[0])]


def subparsers() -> dict[str, argparse.ArgumentParser]:
    action = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def test_the_commands() -> None:
    assert re.findall(r"^## edgetvm ([\w-]+)", CLI.read_text(), re.MULTILINE) == list(subparsers())


@pytest.mark.parametrize("command", subparsers())
def test_arguments_and_options(command: str) -> None:
    parser = subparsers()[command]
    own = [action for action in parser._actions if action.dest not in ("help", "debug")]
    positional = [str(action.metavar) for action in own if not action.option_strings]
    heading = " ".join(["## edgetvm", command, *positional])
    assert heading in CLI.read_text().splitlines()
    rows = table(section(CLI.read_text(), f"edgetvm {command}"), "option")
    documented = {frozenset(re.findall(r"(?<!\S)-[\w-]+", row[0].replace("`", " "))): row for row in rows}
    assert len(documented) == len(rows)
    options = {frozenset(action.option_strings): action for action in own if action.option_strings}
    assert set(documented) == set(options)
    for names, action in options.items():
        cells = documented[names]
        for choice in action.choices or ():
            assert f"`{choice}`" in cells[1]
        if action.metavar and action.type is None:
            assert str(action.metavar) in cells[0]
        assert ("required" in cells[1]) == action.required


def test_manifest_keys(compiled: Callable[..., edgetvm.Package], digits: Path) -> None:
    rows = table(section(FORMATS.read_text(), "manifest.json"), "key")
    documented = [key for row in rows for key in re.findall(r"`(\w+)`", row[0])]
    manifest = json.loads((compiled(digits, "host").path / "manifest.json").read_text())
    assert documented == list(manifest)
    meanings = {key: row[1] for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    for key in ("inputs", "outputs", "kernels", "calls"):
        assert set(manifest[key][0]) <= set(re.findall(r"`(\w+)`", meanings[key])) | {"name"}, key
    assert set(manifest["arena"]) <= set(re.findall(r"`(\w+)`", meanings["arena"]))


@pytest.mark.parametrize(("target", "form"), [("host", "library"), ("qemu-mps2-an386", "object"), ("host", "c")])
def test_files_of_a_package(compiled: Callable[..., edgetvm.Package], digits: Path, target: str, form: str) -> None:
    folder = compiled(digits, target, format=form).path
    rows = table(section(FORMATS.read_text(), "Package"), "file")
    promised = set()
    for row in rows:
        formats = {word.strip() for word in row[1].split(",")}
        if formats & {"all", form} and ("Linux" not in formats or target == "host"):
            promised |= {path.replace("NAME", "digits") for path in re.findall(r"`([^`]+)`", row[0])}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    exact = {path for path in promised if "*" not in path}
    assert exact <= found
    others = found - exact
    # Beyond that: the runtime's sources and further headers of the runtime.
    allowed = "include/edgetvm" if form == "library" else ("include/edgetvm", "runtime/src/")
    assert {path for path in others if not path.startswith(allowed)} == set()


def test_a_target_of_ones_own_is_in_the_package(
    compiled: Callable[..., edgetvm.Package], digits: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text((DOCS.parent / "targets" / "boards" / "nucleo-f746zg.toml").read_text())
    rows = table(section(FORMATS.read_text(), "Package"), "file")
    (name,) = [row[0].strip("`") for row in rows if row[1] == "own target"]
    assert (compiled(digits, str(own)).path / name).read_text() == own.read_text()


def test_preprocess_keys() -> None:
    text = section(FORMATS.read_text(), "Images")
    documented = {key for row in table(text, "key") for key in re.findall(r"`(\w+)`", row[0])}
    assert documented == {field.name for field in dataclasses.fields(Preprocess)}
    for word in (*CHANNELS, *LAYOUTS):
        assert f'`"{word}"`' in text
    for suffix in SUFFIXES:
        assert f"`{suffix}`" in text


def example(title: str) -> str:
    """The first TOML under a heading."""
    found = re.search(rf"^#+ {title}\n.*?```toml\n(.*?)```", FORMATS.read_text(), re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def test_the_example_of_a_recipe(tmp_path: Path) -> None:
    from edgetvm.schedule.recipe import load_recipe

    path = tmp_path / "r.toml"
    path.write_text(example("Recipe"))
    shipped = schedules_dir() / "x86" / "default.toml"
    assert load_recipe(shipped, "size", path).unrolled_operations == 32


def test_the_example_of_preprocessing(tmp_path: Path) -> None:
    from edgetvm.oracle.preprocess import read_preprocess

    path = tmp_path / "p.toml"
    path.write_text(example("Images"))
    assert read_preprocess(path) == Preprocess("NHWC", 256, (224, 224), "RGB", (127.5,), (127.5,), 1)
