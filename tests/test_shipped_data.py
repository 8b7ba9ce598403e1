"""Every target that ships loads, says where its numbers come from, and is named after its file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir, targets_dir
from edgetvm.target.load import list_targets, load_target
from edgetvm.tune.best import SIZE_UNIT, TIME_UNITS, choices
from edgetvm.tune.records import tools
from edgetvm.tune.text import read_text

TARGETS = sorted(path for folder in ("boards", "processors") for path in (targets_dir() / folder).glob("*.toml"))
PROCESSORS = {
    "host", "generic-c", "cortex-a7", "cortex-a8", "cortex-a53", "cortex-a55", "cortex-a72", "cortex-a73", "cortex-a76",
    "cortex-a710", "aarch64-generic",
    "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55",
}  # fmt: skip
BOARDS = {
    "raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5", "orange-pi-5", "beaglebone-black", "nucleo-l4r5zi",
    "nucleo-f746zg", "nucleo-h743zi", "nucleo-g071rb", "nucleo-u575zi-q", "nrf5340dk",
    "qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500",
    "qemu-mps2-an505", "qemu-mps3-an547", "qemu-microbit",
}  # fmt: skip


def relative(path: Path) -> str:
    return path.relative_to(targets_dir()).as_posix()


@pytest.mark.parametrize("path", TARGETS, ids=relative)
def test_it_loads_by_name_and_by_path(path: Path) -> None:
    target = load_target(path.stem)
    assert target.name == path.stem
    assert load_target(str(path)) == target


@pytest.mark.parametrize("path", sorted(targets_dir().rglob("*.toml")), ids=relative)
def test_its_numbers_have_a_source(path: Path) -> None:
    facts = tomllib.loads(path.read_text())
    assert facts["name"] == path.stem
    assert len(facts["source"].split()) >= 2, "a source names a document"


def test_the_list_is_the_folder() -> None:
    assert set(list_targets()) == {path.stem for path in TARGETS}


def test_the_promised_targets_ship() -> None:
    assert {path.stem for path in (targets_dir() / "processors").glob("*.toml")} >= PROCESSORS
    assert {path.stem for path in (targets_dir() / "boards").glob("*.toml")} >= BOARDS


def test_a_target_without_a_source_is_refused(tmp_path: Path) -> None:
    text = (targets_dir() / "boards" / "qemu-mps2-an386.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("source")]
    assert len(lines) == len(text.splitlines()) - 1
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines))
    with pytest.raises(TargetError, match="source"):
        load_target(str(path))


def test_schedules_parse() -> None:
    for path in schedules_dir().rglob("*.toml"):
        assert tomllib.loads(path.read_text()), path
    for path in schedules_dir().rglob("*.json"):
        assert json.loads(path.read_text()), path


def test_records_are_of_their_core_and_of_this_version() -> None:
    for path in (schedules_dir() / "tuned").glob("*/records.jsonl"):
        records = read_text(path)
        assert {(record.place.core, record.place.tools) for record in records} == {(path.parent.name, tools())}
        for place in {record.place for record in records}:
            units = (*TIME_UNITS, SIZE_UNIT)
            better = {kernel for kernel, choice in choices(records, place, units).items() if choice.best.decision}
            assert better == {record.kernel for record in records if record.place == place}, path
