"""Records in an SQLite file that only grows.

SQLite's rollback journal keeps the file whole whenever a process or the machine dies: what was not committed is as if
it had never been, and nothing is left in a second file that could be forgotten when the first is copied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgetvm.errors import OutputError, RecordsError
from edgetvm.tune.records import FIELDS, REALS, WHOLES, Record, from_fields, to_fields

SCHEMA = 1
DEFAULT_FILE = "edgetvm-records.sqlite"
_APPLICATION = 0x45545652  # SQLite's mark of the files of one program
_BUSY_S = 30.0  # another tuning may be writing
_INSERT = f"INSERT INTO trials ({', '.join(FIELDS)}) VALUES ({', '.join(f':{name}' for name in FIELDS)})"  # noqa: S608
_SELECT = f"SELECT {', '.join(FIELDS)} FROM trials ORDER BY id"  # noqa: S608
_SELECT_ONE = f"SELECT {', '.join(FIELDS)} FROM trials WHERE id = ?"  # noqa: S608
_LEAST_BYTES = 64  # of a row
_OTHER_FILE = "name another file with --records"


class RecordFile:
    """The records in one file, which is made if it does not exist.

    `notes` are what a user should know, a line each. Raises RecordsError for a file of another program or schema,
    OutputError for one that cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # no folder, no permission, no room
                raise OutputError(f"records file {path} cannot be opened: {error}") from error
            if path.suffix != Path(DEFAULT_FILE).suffix:
                raise RecordsError(f"{path} is no file of records: {error}", _OTHER_FILE) from error
            self._set_aside(error)

    def append(self, records: Iterable[Record]) -> None:
        """Add records, all of them or, where the disk is full, none. Raises OutputError."""
        self._write([], records)

    def replace(self, records: Iterable[Record]) -> None:
        """Keep these instead of all others. Raises OutputError."""
        self._write(["DELETE FROM trials"], records)

    def read(self) -> list[Record]:
        """All records, oldest first, but for those that this version does not understand."""
        try:
            with self._connect() as connection:
                rows = [from_fields(dict(row)) for row in connection.execute(_SELECT)]
        except sqlite3.Error as error:
            raise RecordsError(f"records file {self.path} cannot be read: {error}") from error
        return [record for record in rows if record is not None]

    def _write(self, first: Iterable[str], records: Iterable[Record]) -> None:
        try:
            with self._connect() as connection, connection:
                for statement in first:
                    connection.execute(statement)
                connection.executemany(_INSERT, [to_fields(record) for record in records])
        except sqlite3.Error as error:
            raise OutputError(f"records file {self.path} cannot be written: {error}") from error

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = FULL")
            yield connection

    def _open(self) -> None:
        with self._connect() as connection, connection:
            application, schema, tables = (
                connection.execute(statement).fetchone()[0]
                for statement in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
            )
            if not tables:
                self._create(connection)
            elif application != _APPLICATION:
                raise RecordsError(f"{self.path} is a database of another program", _OTHER_FILE)
            elif schema != SCHEMA:
                raise RecordsError(f"{self.path} has records of schema {schema}, this EdgeTVM {SCHEMA}", _OTHER_FILE)
            elif (damage := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(damage)

    def _create(self, connection: sqlite3.Connection) -> None:
        types = dict.fromkeys(FIELDS, "TEXT") | dict.fromkeys(REALS, "REAL") | dict.fromkeys(WHOLES, "INTEGER")
        connection.execute("BEGIN")  # all or, on a full disk, nothing
        columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
        connection.execute(f"CREATE TABLE trials (id INTEGER PRIMARY KEY, {columns})")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Give a damaged file another name, and begin a new one with what can be read of it."""
        names = (self.path.with_name(f"{self.path.name}.damaged{number or ''}") for number in range(1000))
        aside = next(name for name in names if not name.exists())
        try:
            self.path.rename(aside)
        except OSError as cause:
            raise OutputError(
                f"records file {self.path} is damaged: {error}, and cannot be renamed: {cause}"
            ) from error
        self._open()
        saved = list(_salvage(aside))
        self.append(saved)
        what = f"records file {self.path} was damaged"
        self.notes.append(f"{what}: it is now {aside.name}, {len(saved)} records were kept")


def _salvage(path: Path) -> Iterator[Record]:
    """The records of a damaged file that can be read, each looked for by its number: others may be lost."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for number in range(1, path.stat().st_size // _LEAST_BYTES + 1):
            try:
                row = connection.execute(_SELECT_ONE, (number,)).fetchone()
            except sqlite3.Error:
                continue
            if row is not None and (record := from_fields(dict(row))) is not None:
                yield record
