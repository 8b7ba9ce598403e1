"""Two models in one firmware take turns on one arena, which is as large as the larger one needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import edgetvm
from edgetvm.target.load import load_target
from tests.target.bare_metal import link_program, run_image

BOARD = "qemu-mps2-an386"
MAIN = """
#include <stdint.h>
#include <string.h>
#include "first.h"
#include "second.h"

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
static uint64_t arena[(LARGER(FIRST_ARENA_BYTES, SECOND_ARENA_BYTES) + 7) / 8];
static const int8_t input[] = {%(input)s};
static const int8_t first_output[] = {%(first)s};
static const int8_t second_output[] = {%(second)s};

static int answers(const edgetvm_model *model, const int8_t *wanted)
{
    int8_t output[FIRST_OUTPUT_0_BYTES];
    const void *inputs[] = {input};
    void *outputs[] = {output};
    return edgetvm_run(model, arena, sizeof arena, inputs, outputs) == EDGETVM_OK
        && memcmp(output, wanted, sizeof output) == 0;
}

int main(void)
{
    int right = 0;
    for (int turn = 0; turn < 3; ++turn) {
        right += answers(&first_model, first_output) + answers(&second_model, second_output);
    }
    return right;
}
"""


def test_models_take_turns(
    compiled: Callable[..., edgetvm.Package], int8_digits: Path, demo_data: Path, tmp_path: Path
) -> None:
    """Both packages hold the runtime, of which one copy is linked."""
    plain = compiled(int8_digits, "host", integer_io=True)
    packages = {
        "first": compiled(int8_digits, BOARD, integer_io=True, name="first"),
        "second": compiled(int8_digits, BOARD, integer_io=True, name="second", optimize="size"),
    }
    codes = np.random.default_rng(0).integers(-128, 128, plain.manifest["inputs"][0]["shape"]).astype(np.int8)
    (wanted,) = plain.run({plain.manifest["inputs"][0]["name"]: codes}).values()
    arrays = {"input": codes, "first": wanted, "second": wanted}
    for name, package in packages.items():
        (tmp_path / f"{name}.h").write_text((package.path / "include" / f"{name}.h").read_text())
    main = tmp_path / "main.c"
    main.write_text(MAIN % {name: ", ".join(map(str, array.ravel())) for name, array in arrays.items()})
    libraries = [package.path / "lib" / f"lib{name}.a" for name, package in packages.items()]
    image = link_program(main, load_target(BOARD), BOARD, libraries)
    assert run_image(image, BOARD) == (6, "")
