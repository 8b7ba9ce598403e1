"""Zero padding of an image, in front of a convolution or a pool, becomes the padding of that layer.

An AveragePool then counts its padding, as it counted the zeros before; a MaxPool takes padding by
-inf only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .graph import Graph, Node
from .rewrite import View, drop_dead, replace_nodes


def fold_pad(graph: Graph) -> None:
    """Fold every Pad whose only use is a layer that can pad by itself."""
    view = View(graph)
    replacements: dict[int, Node] = {}
    removed: list[Node] = []
    for node in graph.nodes:
        if node.op not in ("Conv", "AveragePool", "MaxPool") or node.domain:
            continue
        pad = view.sole(node.inputs[0], "Pad")
        merged = _merged(graph, pad, node) if pad is not None else None
        if merged is not None and pad is not None:
            replacements[id(node)] = merged
            removed.append(pad)
    replace_nodes(graph, replacements, removed)
    drop_dead(graph)


def _merged(graph: Graph, pad: Node, node: Node) -> Node | None:
    rank = len(graph.types[node.inputs[0]].shape)
    pads = _widths(graph, pad, rank)
    value = _fill(graph, pad)
    own = list(node.attributes.get("pads", [0] * 2 * (rank - 2)))
    if pads is None or value is None or node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID", b""):
        return None
    if min(pads) < 0 or any(pads[axis] or pads[axis + rank] for axis in (0, 1)):
        return None
    attributes = dict(node.attributes)
    if node.op == "MaxPool":
        if value != -np.inf:
            return None
    elif value != 0:
        return None
    if node.op == "AveragePool":
        if node.attributes.get("ceil_mode", 0) or (any(own) and not node.attributes.get("count_include_pad", 0)):
            return None
        attributes["count_include_pad"] = 1
    attributes["pads"] = [o + p for o, p in zip(own, [*pads[2:rank], *pads[rank + 2 :]], strict=True)]
    attributes["auto_pad"] = b"NOTSET"
    return replace(
        node, inputs=(pad.inputs[0], *node.inputs[1:]), sources=(*pad.sources, *node.sources), attributes=attributes
    )


def _widths(graph: Graph, pad: Node, rank: int) -> list[int] | None:
    if pad.attributes.get("mode", b"constant") != b"constant":
        return None
    if pad.version < 11:
        return [int(p) for p in pad.attributes["pads"]]
    given = graph.constants.get(pad.inputs[1])
    if given is None or (len(pad.inputs) > 3 and pad.inputs[3]):
        return None
    return [int(p) for p in given] if given.size == 2 * rank else None


def _fill(graph: Graph, pad: Node) -> float | None:
    if pad.version < 11:
        return float(pad.attributes.get("value", 0.0))
    if len(pad.inputs) < 3 or not pad.inputs[2]:
        return 0.0
    value = graph.constants.get(pad.inputs[2])
    return None if value is None else float(value.reshape(-1)[0])
