"""Kinds of instructions against a disassembler, prices against the examples of Arm's manuals."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edgetvm.codegen.sizes import section_sizes
from edgetvm.cost.cycles import block_cycles
from edgetvm.target.instructions import decode, find, kinds, read_patterns
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from tests.tools import require_tool

# By kind, the mnemonics of all that the patterns must find; what isn't here is "other".
MNEMONICS = {
    "load": r"ldr(s?[bh])?|ldrex|strex",
    "store": r"str[bh]?",
    "pair": r"ldrd|strd",
    "multiple": r"push|pop|ldm(ia|db)?|stm(ia|db)?",
    "multiply": r"muls?",
    "multiply_add": r"ml[as]|sml[as]([bt]{2}|w[bt]|dx?)|smu(l[bt]{2}|lw[bt]|adx?|sdx?)|smm(ul|la|ls)r?|usada?8",
    "multiply_long": r"[su]mull",
    "multiply_long_add": r"[su]mlal|smlal[bt]{2}|smlaldx?|umaal",
    "divide": r"[su]div",
    "table_branch": r"tb[bh]",
    "call": r"bl",
    "float_load": r"vldr|vstr",
    "float_multiple": r"vldm(ia|db)?|vstm(ia|db)?|vpush|vpop",
    "float_multiply_add": r"vn?ml[as]|vfn?m[as]",
    "float_divide": r"vdiv|vsqrt",
}
# One of each, with the operands that its encodings tell apart, and neighbours that must not be taken for one.
PROGRAM = """
    .syntax unified
    .thumb
    ldr r0, [pc, #4]
    ldr.w r0, [pc, #4]
    ldr r1, [r2, #4]
    ldr r1, [r2, r3]
    ldr r1, [sp, #8]
    ldrb r1, [r2, #1]
    ldrb r1, [r2, r3]
    ldrh r1, [r2, #2]
    ldrh r1, [r2, r3]
    ldrsb r1, [r2, r3]
    ldrsh r1, [r2, r3]
    ldr r9, [r10], #4
    ldr r9, [r10, r11, lsl #2]
    ldrsb.w r9, [r10, #1]
    ldrex r0, [r1]
    strex r0, r1, [r2]
    str r1, [r2, #4]
    str r1, [r2, r3]
    str r1, [sp, #8]
    strb r1, [r2, #1]
    strb r1, [r2, r3]
    strh r1, [r2, #2]
    strh r1, [r2, r3]
    str r9, [r10, #4]!
    strh.w r9, [r10, r11]
    ldrd r0, r1, [r2, #8]
    strd r0, r1, [r2], #8
    push {r4, lr}
    push.w {r4-r11, lr}
    pop {r4, pc}
    ldm r1!, {r2, r3}
    ldmdb r1, {r2, r8}
    stm r1!, {r2, r3}
    stm.w r8, {r2, r9}
    muls r1, r2, r1
    mul r8, r9, r10
    mla r8, r9, r10, r11
    mls r8, r9, r10, r11
    smlabt r8, r9, r10, r11
    smulbb r8, r9, r10
    smlad r8, r9, r10, r11
    smuad r8, r9, r10
    smmul r8, r9, r10
    smmlar r8, r9, r10, r11
    smull r8, r9, r10, r11
    umlal r8, r9, r10, r11
    smlald r8, r9, r10, r11
    sdiv r8, r9, r10
    udiv r8, r9, r10
    sxtab16 r8, r9, r10, ror #8
    ssat r8, #8, r9, asr #3
    usat16 r8, #7, r9
    pkhbt r8, r9, r10, lsl #16
    qadd8 r8, r9, r10
    clz r8, r9
    movw r8, #4660
    adr r0, target
    tbb [pc, r1]
    b target
    bne.w target
    cbz r1, target
    it eq
    addeq r1, r2
    .p2align 2
target:
    bl target
    blx r3
    bx lr
    dsb
    vldr s0, [r1, #4]
    vstr s0, [r1]
    vldmia r1!, {s0-s3}
    vpush {d8-d9}
    vmla.f32 s0, s1, s2
    vnmls.f32 s0, s1, s2
    vfma.f32 s0, s1, s2
    vfnms.f32 s0, s1, s2
    vadd.f32 s0, s1, s2
    vmul.f32 s0, s1, s2
    vnmul.f32 s0, s1, s2
    vdiv.f32 s0, s1, s2
    vsqrt.f32 s0, s1
    vcmp.f32 s0, s1
    vcvt.s32.f32 s0, s1
    vmov.f32 s0, s1
    vmov.f32 s0, #1.0
    vmov r0, s0
    vmov s0, r0
"""
_LINE = re.compile(r"^\s+[0-9a-f]+:\t([0-9a-f ]+?)\s*\t(\S+)", re.MULTILINE)


def assemble(folder: Path, text: str, core: str = "cortex-m4") -> Path:
    (folder / "code.S").write_text(text)
    return compile_sources([folder / "code.S"], folder, load_target(core))[0]


def code_of(assembly: str, folder: Path) -> bytes:
    """The bytes of some instructions."""
    built = assemble(folder, f".syntax unified\n.thumb\n{assembly}\n")
    out = folder / "code.bin"
    subprocess.run([require_tool("arm-none-eabi-objcopy"), "-O", "binary", "-j", ".text", built, out], check=True)
    return out.read_bytes()


def cycles(assembly: str, folder: Path, core: str = "cortex-m4") -> float:
    prices = dict(load_target(core).processor.cycles)
    return block_cycles(code_of(assembly.replace("; ", "\n"), folder), read_patterns("thumb"), prices)[0]


def kind_of(bits: int, width: int) -> str:
    pattern = find(read_patterns("thumb"), bits, width)
    return pattern.kind if pattern else "other"


def expected_kind(mnemonic: str) -> str:
    name = re.sub(r"\.(w|n|f32|f64|s32|32)", "", mnemonic)
    return next((kind for kind, names in MNEMONICS.items() if re.fullmatch(names, name)), "other")


def test_kinds_are_those_of_a_disassembler(tmp_path: Path) -> None:
    built = assemble(tmp_path, PROGRAM)
    listing = subprocess.run(
        [require_tool("arm-none-eabi-objdump"), "-d", built], capture_output=True, text=True, check=True
    ).stdout
    lines = [match.groups() for match in _LINE.finditer(listing)]
    assert len(lines) > 85
    found = set()
    for digits, mnemonic in lines:
        halves = digits.split()
        kind = kind_of(int("".join(halves), 16), 16 * len(halves))
        assert kind == expected_kind(mnemonic), mnemonic
        found.add(kind)
    assert found >= set(MNEMONICS)
    assert sum(16 * len(digits.split()) for digits, _ in lines) == 8 * section_sizes(built)[".text"]


def test_two_registers_at_once_are_a_kind_of_their_own(tmp_path: Path) -> None:
    """vmov between two core registers and a double has the name of a copy."""
    (decoded,) = decode(code_of("vmov r0, r1, d0", tmp_path))
    assert kind_of(*decoded) == "float_move_pair"
    assert set(MNEMONICS) | {"float_move_pair"} == set(kinds("thumb"))


# The first three are the manual's own (Arm DDI 0439D, section 3.3.3).
@pytest.mark.parametrize(
    ("assembly", "expected"),
    [
        ("ldr r0, [r1]; ldr r1, [r2]", 3),
        ("ldr r0, [r1, r2]; str r0, [r3, #20]", 3),
        ("ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]", 4),
        ("ldr r1, [r2]; ldr r0, [r1]", 4),
        ("ldr r2, [r3]; ldr r0, [r1, r2]", 4),
        ("ldr r9, [r8]; ldr r0, [r1, r9, lsl #2]", 4),
        ("str r0, [r1]; ldr r1, [r2]", 3),
        ("ldr r0, [r1]; adds r2, #1; ldr r1, [r2]", 5),
        ("push {r4-r7, lr}", 6),
        ("ldmia.w r0!, {r1, r2, r3, r8}", 5),
        ("vldmia r0!, {d0-d3}", 9),
        ("smlad r0, r1, r2, r3; mla r0, r1, r2, r3", 2),
        ("udiv r0, r1, r2", 7),
        ("vfma.f32 s0, s1, s2; vadd.f32 s0, s1, s2", 4),
        ("", 0),
    ],
)
def test_prices_of_a_cortex_m4(assembly: str, expected: float, tmp_path: Path) -> None:
    assert cycles(assembly, tmp_path) == expected


def test_a_cut_between_two_loads_changes_nothing(tmp_path: Path) -> None:
    code, patterns = code_of("ldr r0, [r1]\nldr r1, [r2]", tmp_path), read_patterns("thumb")
    prices = dict(load_target("cortex-m4").processor.cycles)
    first, loaded = block_cycles(code[:2], patterns, prices)
    second, _ = block_cycles(code[2:], patterns, prices, loaded)
    assert (first + second, 1) == block_cycles(code, patterns, prices)


def test_cores_differ(tmp_path: Path) -> None:
    loads, product = "ldr r0, [r1]; ldr r1, [r2]", "mla r0, r1, r2, r3"
    assert cycles(loads, tmp_path, "cortex-m0") == 4  # it pipelines none
    assert cycles(product, tmp_path, "cortex-m3") == 2
    assert load_target("cortex-m7").processor.cycles == ()  # it works on two at once
