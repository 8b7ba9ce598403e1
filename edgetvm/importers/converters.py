"""Which function converts which operator of the default ONNX domain."""

from __future__ import annotations

from collections.abc import Mapping

from tvm import relax

from . import ops_convolution as convolution
from . import ops_elementwise as elementwise
from . import ops_linear as linear
from . import ops_normalize as normalize
from . import ops_pooling as pooling
from . import ops_reduce as reduce
from . import ops_shape as shape
from .convert import Converter

CONVERTERS: Mapping[str, Converter] = {
    "Add": elementwise.binary(relax.op.add),
    "AveragePool": pooling.average_pool,
    "BatchNormalization": normalize.batch_normalization,
    "Cast": elementwise.cast,
    "Clip": elementwise.clip,
    "Concat": shape.concat,
    "Conv": convolution.conv,
    "Div": elementwise.binary(relax.op.divide),
    "Erf": elementwise.unary(relax.op.erf),
    "Flatten": shape.reshape,
    "Gather": shape.gather,
    "Gemm": linear.gemm,
    "GlobalAveragePool": pooling.global_average_pool,
    "LayerNormalization": normalize.layer_normalization,
    "MatMul": linear.matmul,
    "MaxPool": pooling.max_pool,
    "Mul": elementwise.binary(relax.op.multiply),
    "Pad": shape.pad,
    "ReduceSum": reduce.reduction(relax.op.sum),
    "Relu": elementwise.unary(relax.op.nn.relu),
    "Reshape": shape.reshape,
    "Slice": shape.slice_,
    "Softmax": normalize.softmax,
    "Sqrt": elementwise.unary(relax.op.sqrt),
    "Squeeze": shape.reshape,
    "Sub": elementwise.binary(relax.op.subtract),
    "Transpose": shape.transpose,
    "Unsqueeze": shape.reshape,
}
