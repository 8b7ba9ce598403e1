"""C text that chooses among kernels for several kinds of cores, by what Linux says of the core."""

from __future__ import annotations

from collections.abc import Sequence

from edgetvm.target.types import Variant


def emit_choice(variants: Sequence[Variant]) -> list[str]:
    """`run`: calls `run_NAME` of the last variant that this core has, `run_base` without any.

    The kernel wrote the words into memory when it loaded the program: asking costs a few instructions, and
    nothing needs to be remembered.
    """
    lines = [
        "static int32_t run(const edgetvm_arena *arenas, const void *const *inputs, void *const *outputs)",
        "{",
        "    const uint64_t hwcap = getauxval(AT_HWCAP);",
        "    const uint64_t hwcap2 = getauxval(AT_HWCAP2);",
        "    (void)hwcap;",
        "    (void)hwcap2;",
    ]
    for variant in reversed(variants):
        words = (("hwcap", variant.hwcap), ("hwcap2", variant.hwcap2))
        tests = [_test(word, sum(1 << bit for bit in set(bits))) for word, bits in words if bits]
        lines += [
            f"    if ({' && '.join(tests)}) {{",
            f"        return run_{variant.name}(arenas, inputs, outputs);",
            "    }",
        ]
    return [*lines, "    return run_base(arenas, inputs, outputs);", "}"]


def _test(word: str, mask: int) -> str:
    number = f"UINT64_C({mask:#x})"
    return f"({word} & {number}) == {number}"
