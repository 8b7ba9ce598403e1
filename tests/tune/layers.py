"""One int8 convolution with bias and requantization, as rules see it."""

from __future__ import annotations

import numpy as np
from tvm import relax, tirx

from edgetvm.codegen.assemble import constant_operands
from edgetvm.codegen.program import extract_program
from edgetvm.importers.types import ImportedModel
from edgetvm.operators.convolve import convolve
from edgetvm.operators.requantize import requantize
from edgetvm.passes.pipeline import optimize
from edgetvm.schedule.types import Constants


def conv_layer(size: int = 6, channels: int = 4, outputs: int = 8) -> tuple[tirx.PrimFunc, Constants]:
    """3x3 taps on [1, size, size, channels], and its constants: weights, bias, multiplier."""
    rng = np.random.default_rng(0)
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType((1, size, size, channels), "int8"))
    with builder.function("main", [x]):
        with builder.dataflow():
            w = relax.const(rng.integers(-100, 100, (3, 3, channels, outputs)).astype("int8"))
            settings = {"strides": (1, 1), "padding": (1, 1, 1, 1), "groups": 1, "dilation": (1, 1)}
            sums = builder.emit(convolve(x, w, **settings, pad_value=0, dtype="int32"))
            along = (1, 1, 1, outputs)
            bias = relax.const(rng.integers(-5000, 5000, along).astype("int32"))
            multiplier = relax.const(rng.integers(1 << 29, 1 << 31, along).astype("int32"))
            shift = relax.const(np.full(along, 40, "int32"))
            total = builder.emit(relax.op.add(sums, bias))
            result = builder.emit_output(
                requantize(total, multiplier, shift, zero_point=-5, low=-5, high=127, dtype="int8")
            )
        builder.emit_func_output(result)
    optimized = optimize(ImportedModel(builder.get(), (), (), "layer"))
    program = extract_program(optimized.module, optimized.sources)
    (call,) = program.calls
    return optimized.module[call.kernel], constant_operands(program)[call.kernel]
