"""The built wheel works on its own: installed in a clean environment, outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel, and everything else borrowed from this one.

    A path in a .pth file is searched last and its own .pth files are not read, so the editable
    install of the checkout is out of reach.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_it_holds_code_data_and_runtime(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "edgetvm/py.typed",
        "edgetvm/runtime/include/edgetvm.h",
        "edgetvm/_data/targets/boards/raspberry-pi-4.toml",
    }
    assert wanted <= names
    for folder in ("targets", "schedules"):
        files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".toml", ".jsonl")]
        data = {f"edgetvm/_data/{path.relative_to(ROOT).as_posix()}" for path in files}
        assert data <= names
    assert not [
        name for name in names if name.split("/")[0] not in ("edgetvm", wheel.name.split("-py3")[0] + ".dist-info")
    ]


def test_the_environment_does_not_see_the_checkout(environment: Path, tmp_path: Path) -> None:
    script = "import sys, edgetvm; print(edgetvm.__file__); print(*sys.path, sep='\\n')"
    module, *path = run(environment / "bin" / "python", "-c", script, cwd=tmp_path).splitlines()
    assert Path(module).is_relative_to(environment)
    assert str(ROOT) not in path


def test_it_compiles_and_verifies(environment: Path, tmp_path: Path) -> None:
    edgetvm = environment / "bin" / "edgetvm"
    model = tmp_path / "digits.onnx"
    model.write_bytes((ROOT / "demo" / "digits.onnx").read_bytes())
    run(edgetvm, "compile", model.name, "--target", "host", "-o", "out", cwd=tmp_path)
    report = json.loads(run(edgetvm, "verify", "out", "--json", cwd=tmp_path))
    assert report["target"] == "host"
    assert report["samples"] >= 1
    assert report["max_rel_error"] <= report["tolerance"] == pytest.approx(1e-4)
