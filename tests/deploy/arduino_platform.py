"""A platform for Arduino's own builder whose board is this machine: what `hardware/VENDOR/ARCH` of a real one holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.tools import require_tool

PLATFORM = """
name=This machine
version=1.0.0
recipe.c.o.pattern="{gcc}" -O2 -Wall -Wextra -Werror -c {{includes}} "{{source_file}}" -o "{{object_file}}"
recipe.cpp.o.pattern="{gxx}" -O2 -Wall -Werror -c {{includes}} "{{source_file}}" -o "{{object_file}}"
recipe.preproc.macros="{gxx}" -E {{includes}} "{{source_file}}" -o "{{preprocessed_file_path}}"
recipe.ar.pattern="{ar}" rcs "{{archive_file_path}}" "{{object_file}}"
recipe.c.combine.pattern="{gxx}" {{object_files}} "{{archive_file_path}}" -lm -o "{{build.path}}/program"
tools.ctags.path=
tools.ctags.cmd.path={ctags}
tools.ctags.pattern="{{cmd.path}}" -u --language-force=c++ -f - --c++-kinds=svpf --fields=KSTtzns --line-directives \
"{{source_file}}"
"""
BOARDS = """
here.name=This machine
here.build.core=core
"""
HEADER = """
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stdint.h>
#ifdef __cplusplus
struct SerialPort {
    void begin(long);
    void print(const char *);
    void print(int);
    void println(unsigned long);
};
extern SerialPort Serial;
unsigned long micros();
void delay(unsigned long);
void setup();
void loop();
#endif
#endif
"""
CORE = """
#include <Arduino.h>
#include <stdio.h>
SerialPort Serial;
void SerialPort::begin(long) {}
void SerialPort::print(const char *text) { fputs(text, stdout); }
void SerialPort::print(int value) { printf("%d", value); }
void SerialPort::println(unsigned long) { putchar('\\n'); }
unsigned long micros() { return 0; }
void delay(unsigned long) {}
int main() {
    setup();
    loop();
}
"""


def build_sketch(sketch: Path, libraries: Path, work: Path) -> Path:
    """The program that Arduino's builder makes of a sketch, which finds its libraries by the headers it includes."""
    builder = require_tool("arduino-builder")
    platform = work / "hardware" / "test" / "here"
    core = platform / "cores" / "core"
    core.mkdir(parents=True)
    names = {"gcc": "gcc", "gxx": "g++", "ar": "ar", "ctags": "arduino-ctags"}
    tools = {key: require_tool(name) for key, name in names.items()}
    (platform / "platform.txt").write_text(PLATFORM.format(**tools))
    (platform / "boards.txt").write_text(BOARDS)
    (core / "Arduino.h").write_text(HEADER)
    (core / "main.cpp").write_text(CORE)
    out = work / "built"
    out.mkdir()
    command = [builder, "-compile", "-fqbn", "test:here:here", "-build-path", str(out), "-libraries", str(libraries)]
    command += ["-hardware", str(work / "hardware"), "-tools", str(work / "hardware"), str(sketch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "program"
