"""What does an interrupted `edgetvm tune` lose? Disturb a run again and again, and compare it with one left alone.

    python tools/interrupt_tuning.py MODEL --target T [--trials 96] [--moments 20] [--seed 0]

At random moments the run is interrupted (SIGINT), killed (SIGKILL) or left without room for any file that grows, and
started again with the same records: after a random time, or soon after a random number of further records, since
building takes long and what runs is over soon. One row a moment: records before and after it, how many trials that had
begun are not recorded, and by what the run ended. At the end the run goes on undisturbed. Under emulation its records
must equal those of a run that was never disturbed; times never repeat. The same command, given once more, must measure
nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import edgetvm
from edgetvm.deploy.exchange import REPORT
from edgetvm.tune.build import symbol_name
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Record, to_fields
from edgetvm.tune.text import write_text

ROOT = Path(edgetvm.__file__).resolve().parent.parent
COMMAND = (sys.executable, "-c", "import sys; from edgetvm.cli.main import main; sys.exit(main())")
KINDS = ("SIGINT", "SIGKILL", "full disk")
MOST_RECORDS = 6
LOOK_S = 0.01
SOON_S = 0.1


@dataclass(frozen=True)
class Tuning:
    """One command that is given again and again, with its records in one folder."""

    model: Path
    target: str
    trials: int
    folder: Path

    @property
    def records(self) -> Path:
        return self.folder / "records.sqlite"

    def start(self, number: int) -> subprocess.Popen[str]:
        """Start it, with temporary files in a folder of its own."""
        (self.folder / str(number)).mkdir(parents=True)
        options = ["--target", self.target, "--trials", str(self.trials), "--records", str(self.records)]
        return subprocess.Popen(
            [*COMMAND, "tune", str(self.model), *options, "--log", str(self.folder / "log.txt")],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder / str(number))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, number: int) -> float:
        """Run it to its end; gives the seconds that took."""
        began = time.monotonic()
        with self.start(number) as process:
            _, said = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"a run that nothing disturbed failed: {said}")
        return time.monotonic() - began

    def read(self) -> list[Record]:
        """Its records. Fails for a file that was damaged."""
        if not self.records.exists():
            return []
        file = RecordFile(self.records)
        if file.notes:
            raise SystemExit(f"the records were damaged: {file.notes}")
        return file.read()

    def programs(self, number: int) -> list[tuple[list[str], int]]:
        """The programs of a run that have begun: the symbols of their trials, and how many of these have ended."""
        found = []
        for table in (self.folder / str(number)).glob("edgetvm-trials-*/table.c"):
            try:
                text, ended = table.read_text(), table.with_name(REPORT).read_text().count("trial_ok=")
            except FileNotFoundError:  # it has not begun, or is over
                continue
            symbols = re.findall(r"^(?:void|int32_t) (trial_\w+)\(", text, re.MULTILINE)
            count = int(re.findall(r"trial_count = (\d+)", text)[0])
            found.append((symbols[:count], ended))
        return found


@dataclass(frozen=True)
class Moment:
    """One interruption: when, of what kind, and what became of the run."""

    seconds: float
    kind: str
    before: int
    after: int
    lost: int
    status: int
    said: str


def disturb(tuning: Tuning, number: int, kind: str, more: int, seconds: float) -> Moment:
    """Start the run, and disturb it when there are so many `more` records, and so many seconds have passed."""
    wanted, began = len(tuning.read()) + more, time.monotonic()
    with tuning.start(number) as process:
        while len(tuning.read()) < wanted and process.poll() is None:
            time.sleep(LOOK_S)
        time.sleep(seconds)
        before, programs = tuning.read(), tuning.programs(number)
        if kind == "full disk":
            size = tuning.records.stat().st_size if tuning.records.exists() else 0
            if process.poll() is None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        else:
            process.send_signal(getattr(signal, kind))
        _, said = process.communicate()
    after = tuning.read()
    recorded = {symbol_name(record.kernel, record.decision) for record in after}
    lost = sum(lost_of(symbols, ended, recorded) for symbols, ended in programs)
    line = next((line for line in said.splitlines() if line.startswith("edgetvm: ")), said)
    return Moment(time.monotonic() - began, kind, len(before), len(after), lost, process.returncode, line)


def lost_of(symbols: Sequence[str], ended: int, recorded: set[str]) -> int:
    """How many trials of a program had begun and are not recorded: ended ones, else the one that ran."""
    missing = sum(symbol not in recorded for symbol in symbols[:ended])
    return missing or sum(symbol not in recorded for symbol in symbols[ended : ended + 1])


def comparable(records: Sequence[Record]) -> list[dict[str, object]]:
    """The records in an order that does not depend on when they were made, without the time."""
    fields = [{name: value for name, value in to_fields(record).items() if name != "seconds"} for record in records]
    return sorted(fields, key=lambda each: (str(each["kernel"]), str(each["decision"])))


def main() -> int:
    """Print the table, and whether all came out as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs behind them deaf to it
    with tempfile.TemporaryDirectory(prefix="edgetvm-interrupt-") as name:
        alone, disturbed = (
            Tuning(arguments.model.resolve(), arguments.target, arguments.trials, Path(name) / kind)
            for kind in ("alone", "disturbed")
        )
        seconds = alone.run(0)
        print(f"{len(alone.read())} records in {seconds:.0f} s, undisturbed\n")
        print("| after s | by | records before | after | begun, not recorded | exit | said |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for number in range(arguments.moments):
            more = chance.randrange(MOST_RECORDS)
            delay = chance.uniform(0, SOON_S if more else seconds / 4)
            moment = disturb(disturbed, number, KINDS[number % 3], more, delay)
            cells = [f"{moment.seconds:.1f}", moment.kind, moment.before, moment.after, moment.lost, moment.status]
            print(f"| {' | '.join(map(str, [*cells, moment.said.replace(name, '')]))} |", flush=True)
        disturbed.run(arguments.moments)
        records = disturbed.read()
        same = comparable(records) == comparable(alone.read())
        text = write_text(records)
        disturbed.run(arguments.moments + 1)
        print(f"\n{len(records)} records at the end, equal to those of the undisturbed run: {same}")
        print(f"the same command once more measures nothing: {write_text(disturbed.read()) == text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
