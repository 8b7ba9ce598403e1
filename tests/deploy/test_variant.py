"""Which variant of a package runs where."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from edgetvm.deploy import variant as deployed
from edgetvm.deploy.package import Variant
from edgetvm.target.load import load_target
from tests.deploy.test_exchange import EMPTY

DOT = Variant("dotprod", frozenset({"dotprod"}), frozenset({20}), frozenset(), {})
MATRIX = Variant("i8mm", frozenset({"dotprod", "i8mm"}), frozenset({20}), frozenset({13}), {})
PACKAGE = replace(EMPTY, variants=(DOT, MATRIX))
EMULATED = {"cortex-a53": None, "raspberry-pi-4": None, "cortex-a55": DOT, "cortex-a76": DOT, "cortex-a710": MATRIX}


@pytest.mark.parametrize(("target", "expected"), [*EMULATED.items(), ("aarch64-generic", MATRIX)])
def test_an_emulated_core_runs_what_it_has(
    target: str, expected: Variant | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed, "runs_here", lambda processor: False)
    assert deployed.running_variant(PACKAGE, load_target(target)) == expected


@pytest.mark.parametrize(("hwcap", "hwcap2", "expected"), [(0, 0, None), (1 << 20, 0, DOT), (1 << 20, 1 << 13, MATRIX)])
def test_a_machine_runs_what_linux_tells_of_it(
    hwcap: int, hwcap2: int, expected: Variant | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = tmp_path / "auxv"
    words.write_bytes(struct.pack("<6Q", 16, hwcap, 26, hwcap2, 0, 0))
    told = deployed.auxiliary_words(words)
    assert (told[16], told[26]) == (hwcap, hwcap2)
    monkeypatch.setattr(deployed, "runs_here", lambda processor: True)
    monkeypatch.setattr(deployed, "auxiliary_words", lambda: told)
    assert deployed.running_variant(PACKAGE, load_target("aarch64-generic")) == expected
