"""Names and TOML files -> Target, and the one line that says what is wrong with a file."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetvm.errors import TargetError
from edgetvm.resources import targets_dir
from edgetvm.target.host import choose_candidate, host_flags, host_machine, read_candidates
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.toml_table import read_toml
from edgetvm.target.types import Emulator, Memory

PROCESSOR = """
name             = "my-core"
source           = "a datasheet"
arch             = "thumb"
triple           = "thumbv7em-none-none-eabihf"
cpu              = "cortex-m4"
float_abi        = "hard"
zig_cpu          = "cortex_m4+vfp4d16sp"
"""
LINUX = """
name             = "my-core"
source           = "a datasheet"
arch             = "aarch64"
triple           = "aarch64-unknown-linux-gnu"
cpu              = "cortex-a53"
features         = ["+dotprod"]
zig_cpu          = "cortex_a53"
vector_bytes     = 16
vector_registers = 32
"""
VECTORS = "vector_bytes = {}\nvector_registers = 8\nzig_cpu"
REGISTERS = "vector_registers = 32"
ZIG = 'zig_cpu          = "cortex_m4+vfp4d16sp"'
VARIANT = """
[[variant]]
name     = "better"
features = ["+i8mm"]
hwcap2   = [13]
"""
CYCLES = """
[cycles]
other  = 1
load   = 2
refill = 1
"""
SERIAL = """
[serial]
baud    = 115200
receive = [0, 1, 2, 3]
send    = [0, 1, 2, 3]
setup   = [[1, 2, 3]]
"""
BOARD = """
name      = "my-board"
processor = "cortex-m4"
source    = "a datasheet"
clock_mhz = 80
[[memory]]
name = "flash"
kind = "flash"
kib = 512
address = 0x08000000
[[memory]]
name = "ram"
kind = "ram"
kib = 96
address = 0x20000000
"""


def load_text(folder: Path, text: str) -> object:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_target(str(path))


def test_a_board_brings_its_processor() -> None:
    target = load_target("nucleo-f746zg")
    assert (target.name, target.processor.name, target.board.name) == ("nucleo-f746zg", "cortex-m7", "nucleo-f746zg")
    assert target.processor.features == ("-fp64",)
    assert target.processor.cache_bytes == (4096,)
    assert target.board.memory[1] == Memory("dtcm", "ram", 64 * 1024, 0x20000000)
    assert not target.is_linux
    assert load_target("qemu-mps2-an500").board.emulator == Emulator("mps2-an500", "cmsdk")
    assert load_target("orange-pi-5").is_linux


def test_ram_waits_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Where a file says nothing, each region waits a cycle more than the one before."""
    more = '[[memory]]\nname = "{0}"\nkind = "ram"\nkib = 1\naddress = {1}\n{2}\n'
    regions = [("sram", "0x30000000", ""), ("psram", "0x40000000", "wait_states = 6.5"), ("sdram", "0x50000000", "")]
    board = load_text(tmp_path, BOARD + "".join(more.format(*region) for region in regions)).board
    assert [memory.wait_states for memory in board.memory] == [0, 0, 1, 6.5, 7.5]
    faster = more.format("cache", "0x30000000", "wait_states = 2") + more.format(
        "late", "0x40000000", "wait_states = 1"
    )
    with pytest.raises(TargetError, match=re.escape("[[memory]] 4: wait_states must be at least 2, is 1")) as caught:
        load_text(tmp_path, BOARD + faster)
    assert caught.value.hint == "list RAM regions in order of speed: the one before it waits 2"


def test_a_processor_has_no_board() -> None:
    target = load_target("cortex-a53")
    assert target.board is None
    assert target.processor.vector_bytes * target.processor.vector_registers == 512
    assert target.processor.cache_bytes == (32 * 1024, 512 * 1024)


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    board = load_text(tmp_path, BOARD)
    assert (board.name, board.processor.name, board.board.clock_mhz) == ("my-board", "cortex-m4", 80.0)
    processor = load_text(tmp_path, PROCESSOR)
    assert (processor.name, processor.board, processor.processor.os) == ("my-core", None, "none")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("rasberry-pi-4", "raspberry-pi-4"), ("cortex-m7f", "cortex-m7"), ("Cortex-A53", "cortex-a53"), ("hots", "host")],
)
def test_an_unknown_name_suggests_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(TargetError, match=re.escape(f"unknown target '{name}'")) as caught:
        load_target(name)
    assert caught.value.hint.startswith(f"nearest: {nearest}")


@pytest.mark.parametrize("name", ["zzz", "", ".", "..", "processors/host", "../boards/nrf5340dk", "cortex-m*"])
def test_a_name_is_no_path_into_the_data(name: str) -> None:
    with pytest.raises(TargetError, match="unknown target"):
        load_target(name)


BROKEN = [
    (BOARD, 'name      = "my-board"', "", "mine.toml: key 'name' is missing"),
    (BOARD, '"my-board"', '""', "mine.toml: key 'name' must be one line of text, is ''"),
    (BOARD, '"my-board"', '"my\\nboard"', "mine.toml: key 'name' must be one line of text, is 'my\\nboard'"),
    (BOARD, "clock_mhz", "clok_mhz", "mine.toml: key 'clock_mhz' is missing"),
    (BOARD, "clock_mhz = 80", 'clock_mhz = "80"', "key 'clock_mhz' must be a number, is '80'"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 0", "mine.toml: clock_mhz must be a number above 0, is 0"),
    (BOARD, "clock_mhz = 80", "clock_mhz = nan", "mine.toml: clock_mhz must be a number above 0, is nan"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 80\ncores = 0", "mine.toml: cores must be at least 1, is 0"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 80\ncores = true", "key 'cores' must be a whole number, is True"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 80\ncolour = 1", "unknown key 'colour'"),
    (BOARD, "clock_mhz = 80", 'clock_mhz = 80\nfeatures = ["-fp46"]', "'-fp46' takes from cortex-m4 what it"),
    (BOARD, "clock_mhz = 80", 'clock_mhz = 80\nfeatures = ["fp64"]', "feature 'fp64' must begin with + or -"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 80\nfeatures = [1]", "key 'features' must be a text, is 1"),
    (BOARD, "clock_mhz = 80", "clock_mhz = 80\ncache_kib = [8, 4]", "must be positive and grow"),
    (BOARD, "clock_mhz = 80", 'clock_mhz = 80\nemulator = {machine = "m", counter = "x"}', "counter 'x' is neither"),
    (BOARD, '"cortex-m4"', '"cortex-m4f"', "mine.toml: unknown processor 'cortex-m4f'"),
    (BOARD, 'kind = "ram"', 'kind = "rom"', "mine.toml: [[memory]] 2: kind 'rom' is neither flash nor ram"),
    (BOARD, "kib = 96", "kib = 0", "mine.toml: [[memory]] 2: kib must be at least 1, is 0"),
    (BOARD, "kib = 96", "kib = -96", "mine.toml: [[memory]] 2: kib must be at least 1, is -96"),
    (BOARD, "kib = 96", "kib = 96\nwait = 1", "mine.toml: [[memory]] 2: unknown key 'wait'"),
    (BOARD, "kib = 96", "kib = 96\nwait_states = -1", "[[memory]] 2: wait_states must be at least 0, is -1"),
    (BOARD, "kib = 96", "kib = 96\nwait_states = nan", "[[memory]] 2: wait_states must be at least 0, is nan"),
    (BOARD, 'kind = "flash"', 'kind = "flash"\nwait_states = 5', "[[memory]] 1: unknown key 'wait_states'"),
    (BOARD, "kib = 96", "kib = 4000000", "[[memory]] 2: kib 4000000 at address 0x20000000 ends beyond the 0x100000000"),
    (BOARD, "0x20000000", "0xFFFF0000", "[[memory]] 2: kib 96 at address 0xffff0000 ends beyond the 0x100000000 bytes"),
    (BOARD, "0x20000000", "0x200000004", "[[memory]] 2: address 0x200000004 must be a multiple of 8 from 0 to 0x100"),
    (BOARD, "0x20000000", "0x20000004", "mine.toml: [[memory]] 2: address 0x20000004 must be a multiple of 8 from 0"),
    (BOARD, "0x20000000", "-8", "mine.toml: [[memory]] 2: address -0x8 must be a multiple of 8 from 0"),
    (BOARD, "kib = 96", "bytes = 96", "mine.toml: [[memory]] 2: key 'kib' is missing"),
    (
        BOARD,
        "0x20000000",
        "0x08040000",
        "'flash' and 'ram' overlap: the first ends at 0x8080000, the second begins at address 0x8040000",
    ),
    (BOARD, 'kind = "flash"', 'kind = "ram"', "mine.toml: no [[memory]] of kind 'flash' with an address"),
    (BOARD, "address = 0x08000000", "", "mine.toml: no [[memory]] of kind 'flash' with an address"),
    (BOARD, 'kind = "ram"', 'kind = "flash"', "mine.toml: no [[memory]] of kind 'ram' with an address"),
    (BOARD, 'name = "ram"', 'name = "flash"', "two memory regions have one name"),
    (BOARD, "[[memory]]", "[[memory", "mine.toml: not a TOML file"),
    (
        BOARD,
        BOARD,
        BOARD + SERIAL.replace("3]\nsend", "3, 4]\nsend"),
        "[serial]: receive must be a data register, a state",
    ),
    (
        BOARD,
        BOARD,
        BOARD + SERIAL.replace("2, 3]]", "2]]"),
        "[serial]: setup [1, 2] must be an address, the bits to clear",
    ),
    (BOARD, BOARD, BOARD + SERIAL.replace("baud", "boud"), "[serial]: key 'baud' is missing"),
    (PROCESSOR, ZIG, ZIG + CYCLES.replace("refill", "refil"), "[cycles]: key 'refill' is missing"),
    (PROCESSOR, ZIG, ZIG + CYCLES.replace("load", "lode"), "[cycles]: unknown key 'lode'"),
    (PROCESSOR, ZIG, ZIG + CYCLES.replace("= 2", "= -2"), "[cycles]: -2 cycles of 'load' cannot be"),
    (LINUX, REGISTERS, REGISTERS + CYCLES, "there is no model of the cycles of arch 'aarch64'"),
    (PROCESSOR, '"thumb"', '"sparc"', "arch 'sparc' is none of x86_64"),
    (PROCESSOR, '"cortex-m4"', '"cortex-m44"', "LLVM knows no cpu 'cortex-m44' for thumbv7em-none-none-eabihf"),
    (PROCESSOR, 'float_abi        = "hard"', 'float_abi = "hard"\nos = "linux"', "os of arch 'thumb' must be 'none'"),
    (PROCESSOR, '"hard"', '"firm"', "float_abi of arch 'thumb' cannot be 'firm'"),
    (PROCESSOR, "zig_cpu", "vector_bytes = 16\nzig_cpu", "0 vector_registers of 16 vector_bytes cannot be"),
    (PROCESSOR, "zig_cpu", 'features = ["+mvee"]\nzig_cpu', "feature '+mvee' has no effect on cortex-m4 in LLVM"),
    (PROCESSOR, "zig_cpu", 'features = ["+sve"]\nzig_cpu', "feature '+sve' has no effect on cortex-m4 in LLVM"),
    (PROCESSOR, "zig_cpu", VECTORS.format(16), "LLVM knows no vectors of 16 bytes for cortex-m4"),
    (LINUX, '"+dotprod"', '"+i8mmm"', "feature '+i8mmm' has no effect on cortex-a53 in LLVM"),
    (LINUX, '"+dotprod"', '"-i8mm"', "feature '-i8mm' takes from cortex-a53 what it does not have"),
    (LINUX, "vector_bytes     = 16", "vector_bytes     = 32", "LLVM knows no vectors of 32 bytes for cortex-a53"),
    (LINUX, REGISTERS, REGISTERS + '\nos = "none"' + VARIANT, "variants are chosen by getauxval of 64-bit Arm Linux"),
    (PROCESSOR, ZIG, ZIG + VARIANT, "getauxval of 64-bit Arm Linux; arch is 'thumb'"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("i8mm", "i8mmm"), "feature '+i8mmm' has no effect on cortex-a53"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("hwcap2", "hwcap3"), "[[variant]] 1: unknown key 'hwcap3'"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("13", "64"), "needs bits of hwcap or hwcap2, from 0 to 63"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("[13]", "[]"), "needs bits of hwcap or hwcap2, from 0 to 63"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("+i8mm", "-neon"), "'better' must add features, such as '+dotprod'"),
    (LINUX, REGISTERS, REGISTERS + VARIANT.replace("better", "be-t"), "[[variant]] 1: name 'be-t' must be one that C"),
    (LINUX, REGISTERS, REGISTERS + VARIANT + VARIANT, "two variants have one name"),
    (PROCESSOR, "none-none", "none", "triple 'thumbv7em-none-eabihf' must be architecture, vendor, 'none' and ABI"),
    (PROCESSOR, "none-none", "none-linux", "must be architecture, vendor, 'none' and ABI"),
    (PROCESSOR, "zig_cpu", "zig_core", "key 'zig_cpu' is missing"),
]


@pytest.mark.parametrize(("text", "old", "new", "message"), BROKEN)
def test_a_wrong_file_is_one_clear_line(text: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in text
    with pytest.raises(TargetError, match=re.escape(message)) as caught:
        load_text(tmp_path, text.replace(old, new, 1))
    assert caught.value.message.startswith("mine.toml: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nothing\.toml: cannot be read: No such file"):
        load_target(str(tmp_path / "nothing.toml"))
    with pytest.raises(TargetError, match=r"folder\.toml: cannot be read: Is a directory"):
        (tmp_path / "folder.toml").mkdir()
        load_target(str(tmp_path / "folder.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match=r"binary\.toml: not a TOML file"):
        load_target(str(tmp_path / "binary.toml"))


@given(st.sampled_from([PROCESSOR, BOARD]), st.integers(0, 400), st.integers(0, 40), st.text(max_size=8))
def test_a_damaged_file_is_a_target_or_a_target_error(text: str, start: int, length: int, new: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.toml"
        file.write_text(text[:start] + new + text[start + length :], errors="replace")
        try:
            load_target(str(file))
        except TargetError as error:
            assert "\n" not in error.message


def test_the_host_is_the_first_candidate_it_satisfies() -> None:
    _, candidates = read_candidates(read_toml(targets_dir() / "processors" / "host.toml", "host.toml"))
    full = frozenset(candidates[0].flags) | {"sse4_2"}
    assert choose_candidate(candidates, "x86_64", full) == "x86-64-v4-vnni"
    full -= {"avx512_vnni"}
    assert choose_candidate(candidates, "x86_64", full) == "x86-64-v4"
    assert choose_candidate(candidates, "x86_64", full - {"avx512vl"} | {"avx_vnni"}) == "x86-64-v3-vnni"
    assert choose_candidate(candidates, "x86_64", full - {"avx512vl"}) == "x86-64-v3"
    assert choose_candidate(candidates, "x86_64", full - {"avx2"}) == "x86-64-v2"
    assert choose_candidate(candidates, "x86_64", frozenset()) == "x86-64-v2"
    assert choose_candidate(candidates, "aarch64", frozenset({"asimddp", "fphp"})) == "cortex-a53"
    with pytest.raises(TargetError, match="host is a riscv64"):
        choose_candidate(candidates, "riscv64", frozenset())
    assert {candidate.processor for candidate in candidates} <= set(list_targets())


def test_flags_count_only_if_every_core_has_them(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu avx2 fma\n\nprocessor : 1\nflags : fpu avx2\n")
    assert host_flags(cpuinfo) == {"fpu", "avx2"}
    cpuinfo.write_text("processor : 0\nFeatures : fp asimd\n")
    assert host_flags(cpuinfo) == {"fp", "asimd"}
    assert host_flags(tmp_path / "nothing") == frozenset()


def test_the_host_is_told_to_llvm_as_what_it_is() -> None:
    target = load_target("host")
    assert target.name == target.processor.name == "host"
    assert target.processor.arch == host_machine()
    assert target.is_linux
    assert target == load_target("host")


def test_candidates_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text('name = "h"\nsource = "s"\n[[candidate]]\nmachine = "m"\nprocessor = "p"\nflagz = []\n')
    with pytest.raises(TargetError, match=r"h\.toml: \[\[candidate\]\] 1: unknown key 'flagz'"):
        read_candidates(read_toml(path, "h.toml"))


EXAMPLES = re.findall(r"^```toml\n(.*?)^```", (targets_dir() / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_readme_load(text: str, tmp_path: Path) -> None:
    assert load_text(tmp_path, text).name in text


def test_the_readme_knows_every_key() -> None:
    page = (targets_dir() / "README.md").read_text()
    keys = {key for path in targets_dir().rglob("*.toml") for key in re.findall(r"^(\w+) *=", path.read_text(), re.M)}
    assert len(EXAMPLES) == 2
    assert [key for key in sorted(keys - {"machine", "processor", "flags"}) if f"`{key}`" not in page] == []


def test_the_page_on_targets_names_them_all() -> None:
    page = (targets_dir().parent / "docs" / "targets.md").read_text()
    assert [name for name in list_targets() if f"`{name}`" not in page] == []
