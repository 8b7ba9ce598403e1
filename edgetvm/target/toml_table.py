"""One table of a TOML file, taken key by key: what is missing, wrong or unknown is a TargetError."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from edgetvm.errors import TargetError

T = TypeVar("T")
_REQUIRED: Any = object()
_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class TomlTable:
    """A table whose keys are taken one by one; `finish` refuses those that nobody took.

    ``place`` is where it stands, for messages: "my-board.toml" or "my-board.toml: [[memory]] 2".
    """

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self.place = place
        self._values = dict(values)
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Whether ``key`` is there and not taken yet."""
        return key in self._values

    def take(self, key: str, kind: type[T], default: Any = _REQUIRED) -> T:
        """The value of ``key``, which must be a ``kind``; whole numbers pass for float."""
        self._known.append(key)
        if key not in self._values:
            if default is _REQUIRED:
                near = get_close_matches(key, self._values, 1)
                raise self.error(f"key '{key}' is missing", f"is '{near[0]}' meant to be '{key}'?" if near else None)
            return default  # type: ignore[no-any-return]
        return self._checked(key, self._values.pop(key), kind)

    def take_list(self, key: str, kind: type[T]) -> tuple[T, ...]:
        """The list of ``kind`` under ``key``, empty if absent."""
        return tuple(self._checked(key, item, kind) for item in self.take(key, list, []))

    def take_tables(self, key: str) -> list[TomlTable]:
        """The tables written as ``[[key]]``."""
        values = self.take_list(key, dict)
        return [TomlTable(f"{self.place}: [[{key}]] {i}", value) for i, value in enumerate(values, 1)]

    def take_table(self, key: str) -> TomlTable | None:
        """The table written as ``[key]``, None if absent."""
        value: dict[str, Any] | None = self.take(key, dict, None)
        return None if value is None else TomlTable(f"{self.place}: [{key}]", value)

    def finish(self) -> None:
        """Refuse a key that was never taken."""
        for key in self._values:
            near = get_close_matches(key, self._known, 1)
            raise self.error(f"unknown key '{key}'", f"nearest: '{near[0]}'" if near else None)

    def error(self, message: str, hint: str | None = None) -> TargetError:
        """An error about this table, to be raised."""
        return TargetError(f"{self.place}: {message}", hint)

    def _checked(self, key: str, value: Any, kind: type[T]) -> T:
        if kind is float and type(value) is int:
            value = float(value)
        if kind is str and isinstance(value, str) and not (value and value.isprintable()):
            raise self.error(f"key '{key}' must be one line of text, is {value!r}")
        if type(value) is not kind:  # not isinstance: true is no whole number
            raise self.error(f"key '{key}' must be {_NAMES[kind]}, is {value!r}")
        return value


def read_toml(path: Path, place: str) -> TomlTable:
    """Parse a file; ``place`` is how messages call it."""
    try:
        return TomlTable(place, tomllib.loads(path.read_bytes().decode()))
    except OSError as error:
        raise TargetError(f"{place}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{place}: not a TOML file: {error}") from error
