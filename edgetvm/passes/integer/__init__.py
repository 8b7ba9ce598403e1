"""Quantize/dequantize around float operators -> integer operators."""
