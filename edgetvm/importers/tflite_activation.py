"""TensorFlow Lite's elementwise operators, softmax, and the activations fused into other operators."""

from __future__ import annotations

import tflite
from onnx import TensorProto

from .graph import RefusedError
from .tflite_call import TfliteCall, TfliteConverter

Kind = tflite.ActivationFunctionType
BOUNDS = {Kind.RELU6: (0.0, 6.0), Kind.RELU_N1_TO_1: (-1.0, 1.0)}


def activate(call: TfliteCall, value: str, activation: int) -> str:
    """The fused activation applied to `value`, before it is quantized."""
    if activation == Kind.NONE:
        return value
    if activation == Kind.RELU:
        return call.node("Relu", value)
    if activation == Kind.TANH:
        return call.node("Tanh", value)
    if activation not in BOUNDS:
        raise RefusedError(f"fused activation {activation} is not supported")
    return _clip(call, value, *BOUNDS[activation])


def _clip(call: TfliteCall, value: str, low: float, high: float) -> str:
    return call.node("Clip", value, call.number(low, "low"), call.number(high, "high"))


def unary(*operators: str) -> TfliteConverter:
    """ONNX operators one after another."""

    def convert(call: TfliteCall) -> None:
        value = call.real()
        for operator in operators:
            value = call.node(operator, value)
        call.give(value)

    return convert


def clip(low: float, high: float) -> TfliteConverter:
    """RELU6 and its like."""
    return lambda call: call.give(_clip(call, call.real(), low, high))


def binary(operator: str, options: str | None = None) -> TfliteConverter:
    """An operator on two tensors that broadcast; `options` names the class that holds a fused activation."""

    def convert(call: TfliteCall) -> None:
        value = call.node(operator, call.real(0), call.real(1))
        call.give(activate(call, value, call.options(options).FusedActivationFunction()) if options else value)

    return convert


def squared_difference(call: TfliteCall) -> None:
    """SQUARED_DIFFERENCE."""
    difference = call.node("Sub", call.real(0), call.real(1))
    call.give(call.node("Mul", difference, difference))


def square(call: TfliteCall) -> None:
    """SQUARE."""
    call.give(call.node("Mul", call.real(), call.real()))


def leaky_relu(call: TfliteCall) -> None:
    """LEAKY_RELU."""
    call.give(call.node("LeakyRelu", call.real(), alpha=call.options("LeakyReluOptions").Alpha()))


def prelu(call: TfliteCall) -> None:
    """PRELU: the slope is a tensor."""
    call.give(call.node("PRelu", call.real(0), call.real(1)))


def gelu(call: TfliteCall) -> None:
    """GELU, by erf or approximated by tanh."""
    approximate = "tanh" if call.options("GeluOptions").Approximate() else "none"
    call.give(call.node("Gelu", call.real(), approximate=approximate))


def softmax(call: TfliteCall) -> None:
    """SOFTMAX of beta * x over the last axis."""
    beta = call.options("SoftmaxOptions").Beta()
    value = call.real()
    if beta != 1:
        value = call.node("Mul", value, call.number(beta, "beta"))
    call.give(call.node("Softmax", value, axis=-1))


def log_softmax(call: TfliteCall) -> None:
    """LOG_SOFTMAX over the last axis."""
    call.give(call.node("LogSoftmax", call.real(), axis=-1))


def quantize(call: TfliteCall) -> None:
    """QUANTIZE: from float, or from another quantization."""
    if not call.out().is_quantized:
        raise RefusedError(f"its output '{call.out().name}' has no scale")
    call.give(call.real())


def dequantize(call: TfliteCall) -> None:
    """DEQUANTIZE: to float32, of float16 too."""
    value = call.real()
    if not call.tensor().is_quantized:
        value = call.node("Cast", value, to=TensorProto.FLOAT)
    call.give(value)
