"""The C text of a small model, line by line: a change of what users see is never unnoticed."""

from __future__ import annotations

from pathlib import Path

from tests.golden.regenerate import FILES, FOLDER, generate


def test_emitted_c_is_as_recorded(tmp_path: Path) -> None:
    texts = generate(tmp_path)
    recorded = {name: (FOLDER / f"{Path(name).name}.golden").read_text() for name in FILES}
    assert texts == recorded
