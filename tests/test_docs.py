"""The commands and the C in README.md work: each block after `<!-- run -->` is run, in order, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import unavailable

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- (run|file (?P<file>\S+)) -->\n+```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
EMULATORS = {"raspberry-pi-4": "qemu-aarch64", "qemu-mps2-an386": "qemu-system-arm"}


def blocks(text: str) -> list[tuple[str | None, str]]:
    """The marked blocks: the file that one is, or None for commands, and its text."""
    return [(match["file"], match["text"]) for match in BLOCK.finditer(text)]


def run(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )


def test_readme(tmp_path: Path) -> None:
    for target, emulator in EMULATORS.items():
        if shutil.which(emulator) is None:
            unavailable(f"{emulator} is missing: README.md runs its examples on {target}")
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    found = blocks((ROOT / "README.md").read_text())
    assert len(found) >= 5
    for file, text in found:
        if file is not None:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text)
            continue
        done = run(text, tmp_path)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


def test_only_marked_blocks_run() -> None:
    text = "```sh\nfalse\n```\n\n<!-- run -->\n```sh\ntrue\n```\n<!-- file app/main.c -->\n\n```c\nint x;\n```\n"
    assert blocks(text) == [(None, "true\n"), ("app/main.c", "int x;\n")]


def test_a_failing_command_is_seen(tmp_path: Path) -> None:
    assert run("false\ntrue\n", tmp_path).returncode != 0


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("targets/*.md")]), ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
