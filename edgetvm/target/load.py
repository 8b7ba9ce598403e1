"""The name that a user gives with `--target` -> Target."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from edgetvm.errors import TargetError
from edgetvm.resources import targets_dir
from edgetvm.target.host import choose_candidate, host_flags, host_machine, read_candidates
from edgetvm.target.read import read_board, read_cache, read_processor
from edgetvm.target.toml_table import TomlTable, read_toml
from edgetvm.target.tvm_target import check_processor
from edgetvm.target.types import Processor, Target


def load_target(name_or_path: str) -> Target:
    """A board, a processor, or a path to a TOML file of the user's own.

    Raises TargetError for a name that does not exist and for a file that is wrong.
    """
    path = _find(name_or_path)
    if path is None:
        if not name_or_path.endswith(".toml"):
            raise _unknown("target", name_or_path, list_targets())
        path = Path(name_or_path)
    table = read_toml(path, path.name)
    target = _load_board(table) if table.has("processor") else _load_processor(table)
    check_processor(target.processor, table.place)
    return target


def list_targets() -> list[str]:
    """The names of all shipped boards and processors, boards first."""
    return [*_names("boards"), *_names("processors")]


def _load_board(table: TomlTable) -> Target:
    board = read_board(table)
    cache = read_cache(table)
    table.finish()
    if _find(board.processor, ("processors",)) is None:
        unknown = _unknown("processor", board.processor, _names("processors"))
        raise table.error(unknown.message, unknown.hint)
    processor = _shipped_processor(board.processor)
    for kind in ("flash", "ram") if processor.arch == "thumb" else ():
        if not any(memory.kind == kind and memory.address is not None for memory in board.memory):
            raise table.error(f"no [[memory]] of kind '{kind}' with an address", "an image has to be linked to some")
    processor = replace(
        processor, features=(*processor.features, *board.features), cache_bytes=cache or processor.cache_bytes
    )
    return Target(board.name, processor, board)


def _load_processor(table: TomlTable) -> Target:
    processor = _processor(table)
    return Target(processor.name, processor)


def _shipped_processor(name: str) -> Processor:
    path = targets_dir() / "processors" / f"{name}.toml"
    return _processor(read_toml(path, path.name))


def _processor(table: TomlTable) -> Processor:
    if not table.has("candidate"):
        return read_processor(table)
    name, candidates = read_candidates(table)
    return replace(_shipped_processor(choose_candidate(candidates, host_machine(), host_flags())), name=name)


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (targets_dir() / folder).glob("*.toml"))


def _find(name: str, folders: tuple[str, ...] = ("boards", "processors")) -> Path | None:
    found = [targets_dir() / folder / f"{name}.toml" for folder in folders if name in _names(folder)]
    return found[0] if found else None


def _unknown(what: str, name: str, names: list[str]) -> TargetError:
    near = get_close_matches(name.lower(), names, 3, 0.5)
    hint = f"nearest: {', '.join(near)}" if near else "`edgetvm targets` lists them all"
    return TargetError(f"unknown {what} '{name}'", hint)
