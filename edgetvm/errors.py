"""The tree of errors that a user can cause.

Each one prints as a single line that names the thing, the number and the place; the optional
hint says what to do. The CLI turns them into exit status 1.
"""

from __future__ import annotations


class EdgeTVMError(Exception):
    """Base of every error a user can act on.

    ``message`` is one line; ``hint`` is shown indented below it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.hint = hint

    @property
    def message(self) -> str:
        """The error in one line."""
        return str(self.args[0])


class ModelError(EdgeTVMError):
    """The model file is unreadable, malformed or holds values that cannot be compiled."""


class UnsupportedError(EdgeTVMError):
    """The model is well formed, but nodes in it cannot be compiled."""


class TargetError(EdgeTVMError):
    """A target is unknown, or its TOML file is wrong."""


class DoesNotFitError(EdgeTVMError):
    """The compiled model exceeds the flash or RAM of its board."""


class DataError(EdgeTVMError):
    """Input data do not have the names, shapes or dtypes that the model asks for."""


class OutputError(EdgeTVMError):
    """The output folder cannot be written."""


class PackageError(EdgeTVMError):
    """A package folder is incomplete, damaged or of another format version."""


class ToolError(EdgeTVMError):
    """A tool outside this project (compiler, linker, emulator) is missing or failed."""


class RunError(EdgeTVMError):
    """A package crashed, hung or failed while it ran."""


class RecordsError(EdgeTVMError):
    """A file of tuning records is of another kind or version, or cannot be read."""
