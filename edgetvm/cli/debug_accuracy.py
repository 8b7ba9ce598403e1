"""`edgetvm debug-accuracy`: where does a quantized model lose its accuracy, and what helps?"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Sequence

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_json, add_shape, positive
from edgetvm.cli.show import print_figures, print_json, print_table, progress
from edgetvm.report.damage import DamageReport, LayerDamage


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "debug-accuracy",
        "find the layers that quantizing harms",
        "Quantize a float model, compare float and integers tensor by tensor, and rank its layers by what each costs "
        "the output.",
    )
    parser.add_argument("model", metavar="MODEL", help="a float ONNX file")
    parser.add_argument("--target", metavar="T", required=True, help="as for compile")
    parser.add_argument("--calibration", metavar="DATA", required=True, help="samples to quantize by")
    parser.add_argument("--data", metavar="DATA", help="labelled samples, for the figures")
    parser.add_argument("--metric", choices=api.METRICS, default="top1", help="what to compute on --data")
    parser.add_argument("--score", metavar="NAME", help="the output to score (default: the first)")
    parser.add_argument("--preprocess", metavar="FILE.toml", help="how images become numbers")
    parser.add_argument("--window", metavar="W", type=positive, help="cut each sample into windows of W rows")
    parser.add_argument("--scheme", choices=api.DEBUG_SCHEMES, default="int8", help="how to quantize (default: int8)")
    add_shape(parser)
    parser.add_argument("--fix", action="store_true", help="try fixes one by one and keep those that pay")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the quantized model, fixed with --fix")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine, fix if asked for, and print."""
    with progress("debug-accuracy") as step:
        report = api.debug_accuracy(
            arguments.model,
            arguments.target,
            arguments.calibration,
            data=arguments.data,
            metric=arguments.metric,
            score=arguments.score,
            scheme=arguments.scheme,
            preprocess=arguments.preprocess,
            window=arguments.window,
            shapes=dict(arguments.shape),
            fix=arguments.fix,
            output=arguments.output,
            progress=step,
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
    return 0


def _print(report: DamageReport) -> None:
    print_table(
        f"{len(report.tensors)} activations, {report.scheme} against float over {report.samples} samples",
        ("tensor", "node", "dtype", ">scale", ">zero point", "calibrator", ">SQNR dB", ">cosine", ">largest error"),
        [
            (
                tensor.name,
                tensor.node or "-",
                tensor.dtype,
                f"{tensor.scale:.4g}",
                str(tensor.zero_point),
                tensor.calibrator,
                _decibels(tensor.sqnr_db),
                f"{tensor.cosine:.6f}",
                f"{tensor.max_abs_error:.3g}",
            )
            for tensor in report.tensors
        ],
    )
    print()
    figures = () if report.metric is None else (f">{report.metric}",)
    print_table(
        "layers by what each costs the output when it alone is quantized",
        ("layer", "operator", ">SQNR dB", ">share of noise", ">largest error", *figures, "what would help"),
        [(*_layer(layer), *_figures(report, layer), "; ".join(layer.suggestions) or "-") for layer in report.layers],
    )
    print()
    if report.float_operators:
        rows = [(", ".join(entry.nodes), entry.operator, entry.reason) for entry in report.float_operators]
        print_table(f"left in float for {report.target}", ("node", "operator", "reason"), rows)
    else:
        print(f"left in float for {report.target}: nothing")
    print()
    print_figures(f"{report.model}, all in {report.scheme}", list(_totals(report)))
    if report.trials:
        print()
        _print_trials(report)


def _layer(layer: LayerDamage) -> Sequence[str]:
    return (
        layer.name,
        layer.operator,
        _decibels(layer.sqnr_db),
        f"{100 * layer.share:.1f} %",
        f"{layer.max_abs_error:.3g}",
    )


def _figures(report: DamageReport, layer: LayerDamage) -> Sequence[str]:
    if report.metric is None:
        return ()
    return ("-" if layer.figure is None else f"{layer.figure:.4f}",)


def _totals(report: DamageReport) -> Iterator[tuple[str, str]]:
    yield "SQNR at the output", f"{_decibels(report.sqnr_db)} dB"
    if report.metric is not None:
        yield f"{report.metric}, float", f"{report.float_figure:.4f}"
        yield f"{report.metric}, integers", f"{report.integer_figure:.4f}"


def _print_trials(report: DamageReport) -> None:
    print_table(
        "fixes tried, on samples held out from quantizing",
        ("fix", ">SQNR dB before", ">after", ""),
        [
            (trial.fix, _decibels(trial.before_db), _decibels(trial.after_db), "kept" if trial.kept else "")
            for trial in report.trials
        ],
    )
    print()
    if report.fixed_sqnr_db is None:
        print("no fix pays")
        return
    rows = [("SQNR at the output", f"{_decibels(report.fixed_sqnr_db)} dB")]
    if report.fixed_figure is not None:
        rows.append((f"{report.metric}, integers", f"{report.fixed_figure:.4f}"))
    floats = report.fixed_float_operators or ()
    rows += [("operators in float", str(len(floats))), ("options of compile", shlex.join(report.options))]
    print_figures("fixed", rows)


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else ("no error" if value > 0 else "-")
