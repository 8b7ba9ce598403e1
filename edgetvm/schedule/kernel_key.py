"""A kernel's name by what it computes: equal for kernels that differ only in the names of their variables."""

from __future__ import annotations

import hashlib
import keyword
import re

from tvm import tirx

_DIGITS = 16
_BLOCK_NAME = re.compile(r'(?<=\.sblock\()"[^"]*"')
# Text in quotes, as types are, or a word that is no attribute: the name of a variable or a buffer.
_TOKEN = re.compile(r'"[^"]*"|(?<![\w.])[A-Za-z_]\w*')
_KEPT = {*keyword.kwlist, "T", "range"}


def kernel_key(func: tirx.PrimFunc) -> str:
    """16 hexadecimal digits for an unscheduled kernel, the same in every process and on every machine."""
    return hashlib.sha256(kernel_text(func).encode()).hexdigest()[:_DIGITS]


def kernel_text(func: tirx.PrimFunc) -> str:
    """TVM's text of a kernel without attributes and names of blocks; variables and buffers are numbered."""
    text = _BLOCK_NAME.sub('""', tirx.PrimFunc(func.params, func.body, func.ret_type).script())
    numbers: dict[str, int] = {}

    def renamed(token: re.Match[str]) -> str:
        word = token[0]
        return word if word.startswith('"') or word in _KEPT else f"n{numbers.setdefault(word, len(numbers))}"

    return _TOKEN.sub(renamed, text[text.index("@") :])
