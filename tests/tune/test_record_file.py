"""Files of records: what they keep whatever happens, and what they refuse."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.errors import OutputError, RecordsError
from edgetvm.tune.record_file import SCHEMA, RecordFile
from edgetvm.tune.records import from_fields, to_fields
from edgetvm.tune.types import CRASHED, STATUSES
from tests.tune.records import record

NUMBERS = st.floats(0, 1e12, allow_nan=False)
DECISIONS = st.dictionaries(st.sampled_from(["tile.pixels", "tile.columns", "dsp_unrolled"]), st.integers(0, 512))


@settings(max_examples=30, deadline=None)
@given(st.text("0123456789abcdef", min_size=16, max_size=16), DECISIONS, NUMBERS, st.sampled_from(STATUSES), st.text())
def test_fields_are_the_record(kernel: str, decision: dict[str, int], cost: float, status: str, note: str) -> None:
    made = record(kernel, decision, cost if status == STATUSES[0] else None, status=status, note=note)
    assert from_fields(to_fields(made)) == made


@pytest.mark.parametrize(
    "damage", [{"status": "good"}, {"cost": None}, {"decision": "{"}, {"decision": '{"speed": 1}'}, {"seconds": None}]
)
def test_what_is_not_understood_is_no_record(damage: dict[str, object]) -> None:
    assert from_fields({**to_fields(record()), **damage}) is None


def test_records_come_back_in_order(tmp_path: Path) -> None:
    made = [record(decision={"dsp_unrolled": n}) for n in (16, 32)] + [
        record(cost=None, status=CRASHED, note="SIGSEGV")
    ]
    RecordFile(tmp_path / "r.sqlite").append(made[:1])
    RecordFile(tmp_path / "r.sqlite").append(made[1:])
    assert RecordFile(tmp_path / "r.sqlite").read() == made
    assert [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]


@pytest.mark.parametrize("at", ["header", "page"])
def test_a_damaged_file_is_set_aside_and_the_rest_kept(tmp_path: Path, at: str) -> None:
    path = tmp_path / "r.sqlite"
    made = [record(decision={"dsp_unrolled": n}, note="x" * 300) for n in range(200)]
    RecordFile(path).append(made)
    content = bytearray(path.read_bytes())
    place = 0 if at == "header" else len(content) // 2 // 4096 * 4096
    content[place : place + 64] = b"\xff" * 64
    path.write_bytes(content)
    again = RecordFile(path)
    kept = again.read()
    assert len(again.notes) == 1 and "r.sqlite.damaged" in again.notes[0] and f"{len(kept)} records" in again.notes[0]
    assert (tmp_path / "r.sqlite.damaged").read_bytes() == bytes(content)
    assert kept == [each for each in made if each in kept]
    assert len(kept) > 180 if at == "page" else not kept
    again.append(made[:1])
    assert not RecordFile(path).notes


def test_other_files_are_refused(tmp_path: Path) -> None:
    other, older, text = tmp_path / "other.sqlite", tmp_path / "older.sqlite", tmp_path / "model.onnx"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE a (b)")
    RecordFile(older)
    with sqlite3.connect(older) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    text.write_bytes(b"no records at all" * 100)
    for path, why in ((other, "another program"), (older, f"schema {SCHEMA + 1}"), (text, "no file of records")):
        with pytest.raises(RecordsError, match=why):
            RecordFile(path)
        assert path.exists()
    with pytest.raises(OutputError, match="cannot be opened"):
        RecordFile(tmp_path / "nowhere" / "r.sqlite")


WRITER = """
import resource, signal, sys
from pathlib import Path
from edgetvm.tune.record_file import RecordFile
from tests.tune.records import record
if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
file = RecordFile(Path(sys.argv[1]))
for number in range(10_000):
    file.append([record(decision={"dsp_unrolled": number}, note="y" * 2000)])
    print(number, flush=True)
"""


def writer(*arguments: object) -> subprocess.Popen[str]:
    """A process that adds records one by one, and tells of each that it has."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WRITER, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=root, env=environment)


@pytest.mark.parametrize("after", [1, 7])
def test_what_was_committed_outlives_the_writer(tmp_path: Path, after: int) -> None:
    path = tmp_path / "r.sqlite"
    with writer(path) as process:
        assert process.stdout is not None
        told = 0
        while told < after:
            told = int(process.stdout.readline()) + 1
        process.send_signal(signal.SIGKILL)
    file = RecordFile(path)
    assert len(file.read()) >= after
    assert not file.notes


def test_a_full_disk_loses_only_what_did_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with writer(path, 100_000) as process:
        out, error = process.communicate()
    assert f"OutputError: records file {path} cannot be written" in error
    file = RecordFile(path)
    assert len(file.read()) == len(out.split()) > 3
    assert not file.notes
    file.append([record()])


def test_a_disk_too_full_for_a_new_file_leaves_none_by_halves(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with writer(path, 5000) as process:
        _, error = process.communicate()
    assert f"OutputError: records file {path} cannot be opened" in error
    assert RecordFile(path).read() == []
