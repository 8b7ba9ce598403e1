"""The math library of Cortex-M images: every function links on every core and computes what numpy does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgetvm.target.load import load_target
from edgetvm.target.math_library import math_library
from edgetvm.target.zig import writable
from tests.target.bare_metal import link_program, run_image

# What a kernel may call, and numpy's name for it.
UNARY = {name: name for name in ("exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "tanh", "tan", "sin", "cos")}
UNARY |= {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "asinh": "arcsinh"}
UNARY |= {"acosh": "arccosh", "atanh": "arctanh", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint"}
UNARY |= {"nearbyint": "rint", "sqrt": "sqrt", "fabs": "fabs", "cbrt": "cbrt"}
BINARY = {"pow": "power", "atan2": "arctan2", "fmod": "fmod", "fmax": "fmax", "fmin": "fmin", "hypot": "hypot"}
BINARY |= {"copysign": "copysign"}
XS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 1e-6, 0.3, -0.77, 3.7, -10.3, 20.0, 88.0, 1e4, -1e10]
XS += [np.inf, -np.inf, np.nan]
YS = [3.0, 2.0, 0.5, -0.5, 2.5, 3.0, -2.0, 0.3, -3.0, 0.1, 7.0, 1.0, -3.7, 5.0, 0.25, -1.0, 2.0, 3.0, 2.0, 3.0, 1.0]
ULPS = {np.float32: 2.0, np.float64: 4.0}

CORES = {
    "cortex-m0plus": "qemu-microbit",
    "cortex-m3": "qemu-mps2-an385",
    "cortex-m4": "qemu-mps2-an386",
    "cortex-m7": "qemu-mps2-an500",
    "nucleo-f746zg": "qemu-mps2-an500",
    "cortex-m33": "qemu-mps2-an505",
    "cortex-m55": "qemu-mps3-an547",
}

SOURCE = """
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "cortex_m.h"
#include "semihosting.h"

static const FLOAT xs[] = {XS};
static const FLOAT ys[] = {YS};
static FLOAT (*const unary[])(FLOAT) = {UNARY};
static FLOAT (*const binary[])(FLOAT, FLOAT) = {BINARY};

static void put(FLOAT value) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[sizeof(FLOAT)];
    char text[2 * sizeof(FLOAT) + 2];
    size_t i;
    memcpy(bytes, &value, sizeof value);
    for (i = 0; i < sizeof bytes; i++) {
        text[2 * i] = digits[bytes[sizeof bytes - 1 - i] >> 4];
        text[2 * i + 1] = digits[bytes[sizeof bytes - 1 - i] & 15];
    }
    text[2 * i] = ' ';
    text[2 * i + 1] = 0;
    (void)semihosting_call(SYS_WRITE0, text);
}

int main(void) {
    size_t f, i;
    for (f = 0; f < sizeof unary / sizeof *unary; f++) {
        for (i = 0; i < sizeof xs / sizeof *xs; i++) {
            put(unary[f](xs[i]));
        }
    }
    for (f = 0; f < sizeof binary / sizeof *binary; f++) {
        for (i = 0; i < sizeof xs / sizeof *xs; i++) {
            put(binary[f](xs[i], ys[i]));
        }
    }
    for (i = 0; i < sizeof xs / sizeof *xs; i++) {
        put(LDEXP(xs[i], (int)i - 9));
    }
    return 0;
}
"""


def references(xs: np.ndarray, ys: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Every row that the program prints: the function's name and its values, in double."""
    rows = [(name, getattr(np, other)(xs)) for name, other in UNARY.items()]
    rows += [("round", np.trunc(xs + np.copysign(0.5, xs))), ("erf", np.array([math.erf(x) for x in xs]))]
    rows += [(name, getattr(np, other)(xs, ys)) for name, other in BINARY.items()]
    return [*rows, ("ldexp", np.ldexp(xs, np.arange(len(XS)) - 9))]


def write_program(folder: Path, dtype: type) -> Path:
    suffix = "f" if dtype is np.float32 else ""
    replacements = {
        "{XS}": "{" + ", ".join(map(literal, XS)) + "}",
        "{YS}": "{" + ", ".join(map(literal, YS)) + "}",
        "{UNARY}": "{" + ", ".join(name + suffix for name in [*UNARY, "round", "erf"]) + "}",
        "{BINARY}": "{" + ", ".join(name + suffix for name in BINARY) + "}",
        "LDEXP": "ldexp" + suffix,
        "FLOAT": "float" if suffix else "double",
    }
    text = SOURCE
    for old, new in replacements.items():
        text = text.replace(old, new)
    path = folder / "main.c"
    path.write_text(text)
    return path


def literal(value: float) -> str:
    special = {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}
    return special.get(str(value), f"(FLOAT){value!r}")


def ulps(got: np.ndarray, want: np.ndarray, dtype: type) -> np.ndarray:
    """Distance in units of the last place of ``want``; 0 for one NaN or infinity and the same."""
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        distance = np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(rounded)).astype(np.float64)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(same, 0.0, np.where(np.isfinite(distance), distance, np.inf))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("core", "board"), CORES.items())
def test_every_function_computes_what_numpy_does(core: str, board: str, dtype: type, tmp_path: Path) -> None:
    image = link_program(write_program(tmp_path, dtype), load_target(core), board)
    status, printed = run_image(image, board)
    assert status == 0, printed
    bits = np.array([int(word, 16) for word in printed.split()], np.uint64)
    got = bits.astype(f"u{np.dtype(dtype).itemsize}").view(dtype).reshape(-1, len(XS))
    with np.errstate(all="ignore"):
        rows = references(np.array(XS, dtype).astype(np.float64), np.array(YS, dtype).astype(np.float64))
    assert len(got) == len(rows)
    wrong = [
        f"{name}({x}, {y}) is {value}, not {reference}"
        for (name, want), values in zip(rows, got, strict=True)
        for x, y, value, reference, off in zip(XS, YS, values, want, ulps(values, want, dtype), strict=True)
        if not off <= ULPS[dtype]
    ]
    assert not wrong, "\n".join(wrong)


def test_a_library_is_built_once(tmp_path: Path) -> None:
    library = math_library(load_target("cortex-m4"))
    before = library.stat().st_mtime_ns
    assert math_library(load_target("qemu-mps2-an386")) == library
    assert library.stat().st_mtime_ns == before
    assert math_library(load_target("nucleo-f746zg")) != math_library(load_target("cortex-m7"))


def test_no_cache_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert writable(file / "below") is None
    assert writable(None) is None
    assert writable(tmp_path / "new") == tmp_path / "new"
