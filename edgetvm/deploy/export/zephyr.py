"""A Zephyr module: `ZEPHYR_EXTRA_MODULES` names its folder, `CONFIG_EDGETVM_NAME` switches it off."""

from __future__ import annotations

from collections.abc import Mapping

from edgetvm.deploy.package import Package

_MODULE = """\
name: edgetvm_{name}
build:
  cmake: zephyr
  kconfig: zephyr/Kconfig
"""
_KCONFIG = """\
config EDGETVM_{upper}
    bool "EdgeTVM model {name}"
    default y
    help
      The neural network {name}. Include <{name}.h> and call edgetvm_run.
"""
# Zephyr links the whole of every library: the runtime may be there only once.
_CMAKE = """\
if(CONFIG_EDGETVM_{upper})
  set(package ${{CMAKE_CURRENT_LIST_DIR}}/..)
  zephyr_include_directories(${{package}}/include)

  if(NOT TARGET edgetvm_runtime)
    zephyr_library_named(edgetvm_runtime)
    zephyr_library_sources({runtime})
  endif()

  zephyr_library_named(edgetvm_{name})
  zephyr_library_sources({sources})
endif()
"""


def zephyr_module(package: Package, files: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """The files of a module for the package's ``files``, by their paths in it."""
    name = package.name

    def listed(folder: str) -> str:
        return " ".join(f"${{package}}/{path}" for path in files if path.startswith(folder))

    return {
        **files,
        "zephyr/module.yml": _MODULE.format(name=name),
        "zephyr/Kconfig": _KCONFIG.format(name=name, upper=name.upper()),
        "zephyr/CMakeLists.txt": _CMAKE.format(
            name=name, upper=name.upper(), runtime=listed("runtime/"), sources=listed("src/")
        ),
    }
