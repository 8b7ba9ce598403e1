"""A CMSIS-Pack: two components, the model and the runtime that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgetvm.deploy.package import Package

VERSION = "1.0.0"
_PACK = """\
<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.7.7" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance" \
xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>EdgeTVM</vendor>
  <name>{name}</name>
  <description>The neural network {name}, compiled ahead of time</description>
  <url></url>
  <releases>
    <release version="{version}">As it was compiled</release>
  </releases>
  <conditions>
    <condition id="runtime">
      <description>The runtime of EdgeTVM's models</description>
      <require Cclass="Machine Learning" Cgroup="EdgeTVM" Csub="Runtime"/>
    </condition>
  </conditions>
  <components>
    <component Cclass="Machine Learning" Cgroup="EdgeTVM" Csub="Runtime" Cversion="{version}">
      <description>Runs one model: no heap, no globals to initialise</description>
      <files>
{runtime}
      </files>
    </component>
    <component Cclass="Machine Learning" Cgroup="EdgeTVM Model" Csub="{name}" Cversion="{version}" \
condition="runtime">
      <description>Include {name}.h and call edgetvm_run</description>
      <files>
{model}
      </files>
    </component>
  </components>
</package>
"""


def cmsis_pack(package: Package, files: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """The files of a pack for the package's ``files``; zipped as `EdgeTVM.NAME.1.0.0.pack` it can be installed."""
    runtime = [path for path in files if path.startswith(("runtime/", "include/edgetvm"))]
    model = [path for path in files if path not in runtime]
    name = package.name
    text = _PACK.format(name=name, version=VERSION, runtime=_listed(runtime), model=_listed(model))
    return {**files, f"EdgeTVM.{name}.pdsc": text}


def _listed(paths: Iterable[str]) -> str:
    kinds = {".h": "header", ".c": "source"}
    lines = [f'<file category="{kinds[path[-2:]]}" name="{path}"/>' for path in paths]
    return "\n".join(" " * 8 + line for line in ['<file category="include" name="include/"/>', *lines])
