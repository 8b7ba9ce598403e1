"""Wrong usage ends with status 2, what a user can mend with 1 and one line, a defect with 1 and a way to report it."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgetvm import api
from edgetvm.cli.main import COMMANDS, main
from tests.deploy import hand_made
from tests.report.test_reports import package

COMPILE = ["compile", "m.onnx", "--target", "host", "-o", "out"]
NAMES = [command.__name__.split(".")[-1].replace("_", "-") for command in COMMANDS]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["assemble"], "invalid choice: 'assemble'"),
        (["compile", "m.onnx", "--target", "host"], "-o/--output"),
        (["compile", "m.onnx", "-o", "out"], "--target"),
        ([*COMPILE, "--shape", "1,2"], "'1,2' is not NAME=1,3,224,224"),
        ([*COMPILE, "--shape", "x=1,a"], "'a' is not a whole number"),
        ([*COMPILE, "--shape", "x=1,0"], "'0' is not a whole number"),
        ([*COMPILE, "--format", "elf"], "invalid choice: 'elf'"),
        ([*COMPILE, "--optimize", "fast"], "invalid choice: 'fast'"),
        ([*COMPILE, "--libc", "newlib"], "invalid choice: 'newlib'"),
        ([*COMPILE, "--precision", "int4"], "invalid choice: 'int4'"),
        ([*COMPILE, "--quantize", "int3"], "invalid choice: 'int3'"),
        ([*COMPILE, "--calibrator", "guess"], "invalid choice: 'guess'"),
        ([*COMPILE, "--window", "0"], "'0' is not a whole number"),
        ([*COMPILE, "--max-drop", "-1"], "'-1' is not a number of 0 or more"),
        ([*COMPILE, "--max-drop", "half"], "'half' is not a number of 0 or more"),
        ([*COMPILE, "--metric", "mse"], "invalid choice: 'mse'"),
        ([*COMPILE, "--tensor-calibrator", "x=guess"], "'x=guess' is not TENSOR=CALIBRATOR"),
        (["debug-accuracy", "m.onnx", "--target", "host"], "--calibration"),
        (["debug-accuracy", "m.onnx", "--calibration", "d.npz"], "--target"),
        (["debug-accuracy", "m.onnx", "--scheme", "int8-dynamic"], "invalid choice: 'int8-dynamic'"),
        (["verify"], "DIR"),
        (["verify", "p", "--samples", "0"], "'0' is not a whole number"),
        (["verify", "p", "--samples", "many"], "'many' is not a whole number"),
        (["bench", "p", "--threads", "-1"], "'-1' is not a whole number"),
        (["evaluate", "p"], "--data"),
        (["evaluate", "p", "--data", "d.npz", "--metric", "f1"], "invalid choice: 'f1'"),
        (["targets", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_usage(argv: list[str], words: str, capsys: Captured) -> None:
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    first, hint = printed.err.splitlines()
    assert re.match(r"edgetvm( [\w-]+)?: error: ", first)
    assert re.fullmatch(r"  `edgetvm( [\w-]+)? --help` lists what there is", hint)


def test_abbreviations_are_no_options(capsys: Captured) -> None:
    assert main([*COMPILE, "--opt", "size"]) == 2
    assert "--opt" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["--version"], *[[name, "--help"] for name in NAMES]])
def test_help_is_no_error(argv: list[str], capsys: Captured) -> None:
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert printed.out.strip()
    assert printed.err == ""


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["verify", "absent"], "absent is not a package", "the folder that compile wrote"),
        (["compile", "absent.onnx", "--target", "host", "-o", "out"], "absent.onnx", ""),
        (["compile", "text.onnx", "--target", "host", "-o", "out"], "text.onnx", ""),
        (
            ["compile", "text.onnx", "--target", "raspbery-pi4", "-o", "out"],
            "unknown target 'raspbery-pi4'",
            "raspberry-pi-4",
        ),
        (["compile", "text.onnx", "--target", "host", "-o", "full"], "output folder full is not empty", "new folder"),
        (["inspect", "text.onnx"], "text.onnx", ""),
    ],
)
def test_errors_to_act_on(
    argv: list[str], message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("hello")
    Path("full").mkdir()
    Path("full/file").touch()
    assert main(argv) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    first, *rest = printed.err.splitlines()
    assert first.startswith("edgetvm: error: ")
    assert message in first
    assert "unexpected" not in first
    assert all(line.startswith("  ") for line in rest)
    assert hint in "".join(rest)
    assert not Path("out").exists()


def test_debug_shows_where(capsys: Captured) -> None:
    assert main(["verify", "absent", "--debug"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback (most recent call last)" in printed
    assert "edgetvm: error: absent is not a package" in printed


def test_a_defect_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def broken() -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr(api, "targets", broken)
    assert main(["targets"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "edgetvm: error: unexpected ZeroDivisionError: one two"
    assert "--debug" in second


def test_a_full_disk_is_no_defect(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "table.c")

    monkeypatch.setattr(api, "targets", full)
    assert main(["targets"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "edgetvm: error: no room for table.c: No space left on device"
    assert "TMPDIR" in second


def test_an_interrupted_tuning_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "tune", interrupted)
    assert main(["tune", "m.onnx", "--target", "host", "--records", "r.sqlite"]) == 130
    on = "r.sqlite has what was measured, the same command goes on from there"
    assert capsys.readouterr().err == f"edgetvm: interrupted: {on}\n"


def test_a_log_that_cannot_be_opened(tmp_path: Path, capsys: Captured) -> None:
    log = tmp_path / "none" / "log.txt"
    assert main(["tune", "m.onnx", "--target", "host", "--log", str(log)]) == 1
    assert capsys.readouterr().err == f"edgetvm: error: log {log} cannot be opened: No such file or directory\n"


def test_ctrl_c(tmp_path: Path) -> None:
    folder = package(tmp_path, hand_made.HANGS)
    np.savez(tmp_path / "d.npz", x=np.full((1, 4), 9, np.float32))
    command = [sys.executable, "-m", "edgetvm.cli.main", "verify", str(folder), "--data", str(tmp_path / "d.npz")]
    # A shell that started this test in the background has it ignore SIGINT.
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        limit = time.monotonic() + 120
        while not is_running_the_model(running.pid):
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < limit
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert (running.returncode, out, err) == (130, "", "edgetvm: interrupted\n")


def is_running_the_model(pid: int) -> bool:
    """Whether the process has started the harness, where the model hangs."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if b"program" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]:
                return True
        except OSError:
            continue  # it ended meanwhile
    return False


def test_a_reader_that_leaves_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        command = [sys.executable, "-m", "edgetvm.cli.main", "targets", "--json"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.stderr == ""
    assert done.returncode == 1
