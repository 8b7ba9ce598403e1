"""A package of C sources -> the folder that another build system takes."""

from __future__ import annotations

from pathlib import Path

from edgetvm.codegen.package import staged_folder, write_files
from edgetvm.deploy.export.arduino import arduino_library
from edgetvm.deploy.export.cmsis_pack import cmsis_pack
from edgetvm.deploy.export.zephyr import zephyr_module
from edgetvm.deploy.read_package import read_package
from edgetvm.errors import PackageError

SYSTEMS = {"zephyr": zephyr_module, "arduino": arduino_library, "cmsis-pack": cmsis_pack}
_FOLDERS = ("include", "src", "runtime/src")


def export_package(package_dir: Path, system: str, output: Path) -> None:
    """Write the package for one of SYSTEMS to the new folder ``output``.

    Raises PackageError for a package that is not of C sources, OutputError for a folder that cannot be written.
    """
    package = read_package(package_dir.resolve())
    if package.form != "c":
        raise PackageError(
            f"{package.name} is a package of --format {package.form}; {system} takes sources",
            "compile it with --format c",
        )
    paths = [path for folder in _FOLDERS for path in sorted((package.folder / folder).glob("*.[ch]"))]
    files = {path.relative_to(package.folder).as_posix(): path.read_bytes() for path in paths}
    with staged_folder(output) as stage:
        write_files(stage, SYSTEMS[system](package, files))
