"""Fixtures for every test: the assets folder, and packages that are compiled once a session."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgetvm

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def assets() -> Path:
    """Real models and data; not part of the project, so a test that needs them may be skipped."""
    folder = Path(os.environ.get("EDGETVM_ASSETS", ROOT.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip(f"no assets in {folder}: set EDGETVM_ASSETS to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def digits() -> Path:
    """The demo model, small enough to compile in any test."""
    return ROOT / "demo" / "digits.onnx"


@pytest.fixture(scope="session")
def demo_data() -> Path:
    """Labelled samples of the demo model that were not trained on."""
    return ROOT / "demo" / "evaluation.npz"


@pytest.fixture(scope="session")
def demo_calibration() -> Path:
    """Samples of the demo model to quantize by."""
    return ROOT / "demo" / "calibration.npz"


@pytest.fixture(scope="session")
def int8_digits(digits: Path, demo_calibration: Path, session_dir: Path) -> Path:
    """The demo model quantized by our own quantizer: a model in quantize-dequantize form."""
    path = session_dir / "int8_digits.onnx"
    with (session_dir / "int8_digits.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            edgetvm.quantize(digits, path, demo_calibration)
    return path


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole session, whichever xdist worker asks."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "session"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def compiled(session_dir: Path) -> Callable[..., edgetvm.Package]:
    """``compiled(model, target, **options)``: the package, built by the first test that asks for it.

    Packages are shared between tests and workers: read them, never write into them.
    """

    def get(model: Path, target: str, **options: Any) -> edgetvm.Package:
        key = [str(model), hashlib.sha256(model.read_bytes()).hexdigest(), target, sorted(options.items())]
        name = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:16]
        folder = session_dir / f"{model.stem}-{name}"
        with (session_dir / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():  # a package appears by rename: what exists is whole
                return edgetvm.load(folder)
            return edgetvm.compile(model, target=target, output=folder, **options)

    return get
