"""Which function converts which operator of the default ONNX domain."""

from __future__ import annotations

from collections.abc import Mapping

from tvm import relax

from . import ops_activation as activation
from . import ops_convolution as convolution
from . import ops_deconvolution as deconvolution
from . import ops_elementwise as elementwise
from . import ops_index as index
from . import ops_integer as integer
from . import ops_linear as linear
from . import ops_normalize as normalize
from . import ops_order as order
from . import ops_pooling as pooling
from . import ops_quantize as quantize
from . import ops_recurrent as recurrent
from . import ops_reduce as reduce
from . import ops_resize as resize
from . import ops_sample as sample
from . import ops_scatter as scatter
from . import ops_shape as shape
from . import ops_signal as signal
from . import ops_slice as slices
from .convert import Converter

op = relax.op

ELEMENTWISE: Mapping[str, Converter] = {
    "Abs": elementwise.unary(op.abs),
    "Acos": elementwise.unary(op.acos),
    "Acosh": elementwise.unary(op.acosh),
    "Add": elementwise.binary(op.add),
    "And": elementwise.binary(op.logical_and),
    "Asin": elementwise.unary(op.asin),
    "Asinh": elementwise.unary(op.asinh),
    "Atan": elementwise.unary(op.atan),
    "Atanh": elementwise.unary(op.atanh),
    "BitCast": elementwise.bit_cast,
    "BitShift": elementwise.shift,
    "BitwiseAnd": elementwise.binary(op.bitwise_and),
    "BitwiseNot": elementwise.unary(op.bitwise_not),
    "BitwiseOr": elementwise.binary(op.bitwise_or),
    "BitwiseXor": elementwise.binary(op.bitwise_xor),
    "Cast": elementwise.cast,
    "CastLike": elementwise.cast,
    "Ceil": elementwise.unary(op.ceil),
    "Celu": activation.activation("celu", activation.celu),
    "Clip": elementwise.clip,
    "Cos": elementwise.unary(op.cos),
    "Cosh": elementwise.unary(op.cosh),
    "Div": elementwise.divide,
    "Elu": activation.activation("elu", activation.elu),
    "Equal": elementwise.compare(op.equal),
    "Erf": elementwise.unary(op.erf),
    "Exp": elementwise.unary(op.exp),
    "Floor": elementwise.unary(op.floor),
    "Gelu": activation.gelu,
    "Greater": elementwise.compare(op.greater),
    "GreaterOrEqual": elementwise.compare(op.greater_equal),
    "HardSigmoid": activation.activation("hard_sigmoid", activation.hard_sigmoid),
    "HardSwish": activation.activation("hard_swish", activation.hard_swish),
    "IsInf": elementwise.is_infinite,
    "IsNaN": elementwise.is_nan,
    "LeakyRelu": activation.activation("leaky_relu", activation.leaky_relu),
    "Less": elementwise.compare(op.less),
    "LessOrEqual": elementwise.compare(op.less_equal),
    "Log": elementwise.unary(op.log),
    "Max": elementwise.variadic(op.maximum),
    "Mean": elementwise.mean,
    "Min": elementwise.variadic(op.minimum),
    "Mish": activation.activation("mish", activation.mish),
    "Mod": elementwise.modulo,
    "Mul": elementwise.binary(op.multiply),
    "Neg": elementwise.unary(op.negative),
    "Not": elementwise.unary(op.logical_not),
    "Or": elementwise.binary(op.logical_or),
    "PRelu": activation.prelu,
    "Pow": elementwise.power,
    "Reciprocal": elementwise.reciprocal,
    "Relu": elementwise.unary(op.nn.relu),
    "Round": elementwise.unary(op.round),
    "Selu": activation.activation("selu", activation.selu),
    "Shrink": activation.shrink_any,
    "Sigmoid": elementwise.unary(op.sigmoid),
    "Sign": elementwise.unary(op.sign),
    "Sin": elementwise.unary(op.sin),
    "Sinh": elementwise.unary(op.sinh),
    "Softplus": activation.activation("softplus", activation.softplus),
    "Softsign": activation.activation("softsign", activation.softsign),
    "Sqrt": elementwise.unary(op.sqrt),
    "Sub": elementwise.binary(op.subtract),
    "Sum": elementwise.variadic(op.add),
    "Swish": activation.activation("swish", activation.swish),
    "Tan": elementwise.unary(op.tan),
    "Tanh": elementwise.unary(op.tanh),
    "ThresholdedRelu": activation.activation("thresholded_relu", activation.thresholded_relu),
    "Where": elementwise.where,
    "Xor": elementwise.binary(op.logical_xor),
}

MOVEMENT: Mapping[str, Converter] = {
    "Compress": index.compress,
    "Concat": shape.concat,
    "ConstantOfShape": index.constant_of_shape,
    "DepthToSpace": shape.depth_to_space,
    "Expand": shape.expand,
    "EyeLike": index.eye_like,
    "Flatten": shape.reshape,
    "Gather": index.gather,
    "GatherElements": index.gather_elements,
    "GatherND": index.gather_nd,
    "OneHot": index.one_hot,
    "Pad": slices.pad,
    "Range": index.range_,
    "Reshape": shape.reshape,
    "ReverseSequence": index.reverse_sequence,
    "Scatter": scatter.scatter_elements,
    "ScatterElements": scatter.scatter_elements,
    "ScatterND": scatter.scatter_nd,
    "Slice": slices.slice_,
    "SpaceToDepth": shape.space_to_depth,
    "Split": shape.split,
    "Squeeze": shape.reshape,
    "TensorScatter": index.tensor_scatter,
    "Tile": shape.tile,
    "TopK": order.top_k,
    "Transpose": shape.transpose,
    "Trilu": index.trilu,
    "Unsqueeze": shape.reshape,
}

REDUCTION: Mapping[str, Converter] = {
    "ArgMax": reduce.arg_reduction(largest=True),
    "ArgMin": reduce.arg_reduction(largest=False),
    "CumProd": order.cumulative("prod"),
    "CumSum": order.cumulative("sum"),
    "ReduceL1": reduce.reduction(reduce.by(op.sum), before=op.abs),
    "ReduceL2": reduce.reduction(reduce.by(op.sum), before=op.square, after=op.sqrt),
    "ReduceLogSum": reduce.reduction(reduce.by(op.sum), after=op.log),
    "ReduceLogSumExp": reduce.log_sum_exp,
    "ReduceMax": reduce.reduction(reduce.extreme(largest=True)),
    "ReduceMean": reduce.reduction(reduce.by(op.mean)),
    "ReduceMin": reduce.reduction(reduce.extreme(largest=False)),
    "ReduceProd": reduce.reduction(reduce.by(op.prod)),
    "ReduceSum": reduce.reduction(reduce.by(op.sum)),
    "ReduceSumSquare": reduce.reduction(reduce.by(op.sum), before=op.square),
}

LAYER: Mapping[str, Converter] = {
    "AveragePool": pooling.average_pool,
    "BatchNormalization": normalize.batch_normalization,
    "Col2Im": deconvolution.col2im,
    "Conv": convolution.conv,
    "ConvInteger": integer.conv_integer,
    "ConvTranspose": deconvolution.conv_transpose,
    "DFT": signal.dft,
    "DeformConv": sample.deform_conv,
    "DequantizeLinear": quantize.dequantize_linear,
    "DynamicQuantizeLinear": quantize.dynamic_quantize_linear,
    "Einsum": linear.einsum,
    "Gemm": linear.gemm,
    "GRU": recurrent.recurrent("GRU"),
    "GlobalAveragePool": pooling.global_pool(reduce.by(op.mean)),
    "GlobalLpPool": pooling.global_lp_pool,
    "GlobalMaxPool": pooling.global_pool(reduce.extreme(largest=True)),
    "GridSample": sample.grid_sample,
    "GroupNormalization": normalize.group_normalization,
    "Hardmax": normalize.hardmax,
    "InstanceNormalization": normalize.instance_normalization,
    "LRN": normalize.lrn,
    "LSTM": recurrent.recurrent("LSTM"),
    "LayerNormalization": normalize.layer_normalization,
    "LogSoftmax": normalize.along_axis(op.nn.log_softmax),
    "LpNormalization": normalize.lp_normalization,
    "LpPool": pooling.lp_pool,
    "MatMul": linear.matmul,
    "MatMulInteger": integer.matmul_integer,
    "MaxPool": pooling.max_pool,
    "MaxUnpool": pooling.max_unpool,
    "QuantizeLinear": quantize.quantize_linear,
    "RMSNormalization": normalize.rms_normalization,
    "RNN": recurrent.recurrent("RNN"),
    "Resize": resize.resize,
    "RoiAlign": sample.roi_align,
    "STFT": signal.stft,
    "Softmax": normalize.along_axis(op.nn.softmax),
    "Upsample": resize.upsample,
}

CONVERTERS: Mapping[str, Converter] = {**ELEMENTWISE, **MOVEMENT, **REDUCTION, **LAYER}
