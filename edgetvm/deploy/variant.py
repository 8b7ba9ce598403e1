"""Which kernels of a package for several kinds of cores run on a target."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from edgetvm.deploy.host import runs_here
from edgetvm.deploy.package import Package, Variant
from edgetvm.target.tvm_target import llvm_features
from edgetvm.target.types import Target

AT_HWCAP, AT_HWCAP2 = 16, 26


def running_variant(package: Package, target: Target) -> Variant | None:
    """The variant that runs on `target`; None for the kernels of every core."""
    if runs_here(target.processor):
        words = auxiliary_words()
        has = [variant for variant in package.variants if is_told(variant, words)]
    elif target.processor.variants:
        has = list(package.variants)  # the emulator's own best core stands for them all
    else:
        features = llvm_features(target.processor)
        has = [variant for variant in package.variants if variant.features <= features]
    return has[-1] if has else None


def is_told(variant: Variant, words: Mapping[int, int]) -> bool:
    """Whether the words of this machine tell of a core with `variant`."""
    wanted = ((AT_HWCAP, variant.hwcap), (AT_HWCAP2, variant.hwcap2))
    return all(words.get(word, 0) >> bit & 1 for word, bits in wanted for bit in bits)


def auxiliary_words(path: Path = Path("/proc/self/auxv")) -> dict[int, int]:
    """What Linux told this process about the machine, by number."""
    return dict(struct.iter_unpack("<QQ", path.read_bytes()))
