"""Every kernel of an integer package against the integer interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from edgetvm.deploy.package import Call, Package
from edgetvm.errors import PackageError
from edgetvm.importers.read import import_model
from edgetvm.oracle.dataset import Array, Sample
from edgetvm.oracle.integer import Result, interpret
from edgetvm.passes.dead_channels.remove import Selection
from edgetvm.passes.pipeline import OptimizedModel, kernel_results, optimize
from edgetvm.report.types import KernelError


@dataclass
class KernelChecker:
    """Counts the elements that differ, kernel by kernel and sample by sample.

    Each kernel is judged by its own inputs as the package computed them, so that one wrong kernel does not
    make wrong those after it. Kernels that compute in float are not judged. The interpreter computes dead channels
    too: it gets those that a package does not have from its own results, and tells that nothing depends on them.
    """

    package: Package
    model: OptimizedModel
    results: tuple[str, ...]
    wrong: list[int | None]

    def check(self, sample: Sample, taps: Sequence[Sequence[Array]]) -> None:
        """Compare one sample; `taps` are the outputs of every kernel call."""
        calls = {name: call for call, (name, _) in enumerate(zip(self.results, taps, strict=False))}
        selections = {} if self.model.dead is None else self.model.dead.selections

        def judge(name: str, result: Result) -> Result:
            if name not in calls:
                return result
            call, wanted = calls[name], _arrays(result)
            outputs = list(taps[call])
            if wanted is not None:
                if name in selections:
                    outputs = [_restored(outputs[0], wanted[0], selections[name])]
                differ = sum(int(np.count_nonzero(a != b)) for a, b in zip(wanted, outputs, strict=True))
                self.wrong[call] = (self.wrong[call] or 0) + differ
            return outputs[0] if len(outputs) == 1 else tuple(outputs)

        interpret(self.model.operators, [sample[tensor.name] for tensor in self.package.inputs], judge)

    @property
    def errors(self) -> tuple[KernelError, ...]:
        """One entry a kernel call, in order."""
        return tuple(
            KernelError(call.kernel, call.nodes, wrong)
            for call, wrong in zip(self.package.calls, self.wrong, strict=False)
        )


def kernel_checker(package: Package) -> KernelChecker:
    """What the kernels of an integer package must give, from the model that it was compiled from.

    Raises PackageError when the package has no such model, or was compiled by another version.
    """
    path = package.compiled_model()
    if path is None:
        raise PackageError(
            f"{package.folder} has no reference model: it was compiled with --no-reference",
            hint="its kernels cannot be verified: compile it without --no-reference",
        )
    quantized = path != package.reference_model()  # its shapes are frozen already
    imported = import_model(path, {} if quantized else package.shapes)
    model = optimize(imported, package.integer_io, channel_multiple=package.channel_multiple)
    results = _joined(package.calls, kernel_results(model))
    if results is None:
        raise PackageError(
            f"{package.folder}: its {len(package.calls)} kernel calls are not those of this EdgeTVM",
            "compile the model again",
        )
    return KernelChecker(package, model, results, [None] * len(results))


def _joined(calls: Sequence[Call], results: Sequence[str]) -> tuple[str, ...] | None:
    """The result of each call, where a call with stages gives the last of so many `results`. None where the calls
    are not those of the results; a package may end with copies of outputs.
    """
    kernels = [call for call in calls if call.kernel != "memcpy"]
    ordered = sorted(kernels, key=lambda call: call.step)
    ends = dict(zip((call.step for call in ordered), accumulate(call.stages for call in ordered), strict=True))
    if max(ends.values(), default=0) != len(results):
        return None
    return tuple(results[ends[call.step] - 1] for call in kernels)


def _restored(output: Array, wanted: Array, selection: Selection) -> Array:
    """`output` with all channels: those that it lacks, or that nothing needs, from `wanted`."""
    whole = np.moveaxis(wanted.copy(), selection.axis, 0)
    whole[selection.needed] = np.moveaxis(output, selection.axis, 0)[selection.needed[selection.kept]]
    return np.moveaxis(whole, 0, selection.axis)


def _arrays(result: Result) -> tuple[Array, ...] | None:
    return (result,) if isinstance(result, np.ndarray) else result
