"""A kernel's name by what it computes: equal for kernels that differ only in the names of their variables."""

from __future__ import annotations

import hashlib
import keyword
import re

from tvm import tirx

from edgetvm.cost.row_stages import STAGES, TILE

_DIGITS = 16
_BLOCK_NAME = re.compile(r'(?<=\.sblock\()"[^"]*"')
# Text in quotes, as types are, or a word that is no attribute: the name of a variable or a buffer.
_TOKEN = re.compile(r'"[^"]*"|(?<![\w.])[A-Za-z_]\w*')
_KEPT = {*keyword.kwlist, "T", "range"}


def kernel_key(func: tirx.PrimFunc) -> str:
    """16 hexadecimal digits for an unscheduled kernel, the same in every process and on every machine."""
    return hashlib.sha256(kernel_text(func).encode()).hexdigest()[:_DIGITS]


def kernel_text(func: tirx.PrimFunc) -> str:
    """TVM's text of a kernel without names of blocks, and of the attributes only those of `row_stages`; variables and
    buffers are numbered.
    """
    rows = {name: func.attrs[name] for name in (STAGES, TILE) if name in func.attrs}
    bare = tirx.PrimFunc(func.params, func.body, func.ret_type)
    text = _BLOCK_NAME.sub('""', (bare.with_attrs(rows) if rows else bare).script())
    numbers: dict[str, int] = {}

    def renamed(token: re.Match[str]) -> str:
        word = token[0]
        return word if word.startswith('"') or word in _KEPT else f"n{numbers.setdefault(word, len(numbers))}"

    return _TOKEN.sub(renamed, text[text.index("@") :])
