"""Scheduled TIR -> plain C functions whose parameters are pointers.

TVM's own pipeline ends in a packed calling convention that needs its runtime. Here the same
lowering passes are followed by our own last step: each buffer parameter becomes a pointer,
and every scratch buffer of the kernel becomes one more pointer parameter, which the memory
planner places in the arena. Nothing is allocated when the kernel runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.tirx.buffer import buffer_data_pointer_type

from edgetvm.codegen.helium import without_scaled_conversions
from edgetvm.errors import UnsupportedError

# Arrays up to this size stay on the kernel's stack: mostly scalars of a reduction, which the
# compiler turns into registers.
STACK_ARRAY_BYTES = 64


@dataclass(frozen=True)
class LoweredKernel:
    """One kernel after lowering.

    `workspaces` are the bytes of each scratch pointer, which follow the buffer parameters in the
    C signature, and `workspace_types` their element types. A kernel with parallel loops reports a
    status (0 for success); others return nothing. `place` names the ONNX node it computes, for errors.
    """

    name: str
    func: tirx.PrimFunc
    workspaces: tuple[int, ...]
    workspace_types: tuple[str, ...]
    returns_status: bool
    place: str

    @property
    def target(self) -> tvm.target.Target:
        """What it was lowered for."""
        return self.func.attrs["target"]


def _passes(func: tirx.PrimFunc) -> list[tvm.transform.Pass]:
    s, x = s_tir.transform, tirx.transform
    blocks: list[s_tir.SBlock] = []
    tvm_ffi.structural_walk(func.body, (s_tir.SBlock, blocks.append))
    # Loops that a rule wrote have none, and views of arrays, which compaction would take for too large.
    compact = [s.CompactBufferAllocation()] if blocks else []
    return [
        s.CanonicalizeLoop(),
        s.LowerInitBlock(),
        s.PlanAndUpdateBufferAllocationLocation(),
        s.ConvertBlocksToOpaque(),
        *compact,
        s.LowerMatchBuffer(),
        s.StmtSimplify(),
        s.AnnotateIrregularLoop(),
        s.LowerOpaqueBlock(),
        x.FlattenBuffer(),
        x.NarrowDataType(32),
        s.LoopPartition(),
        x.VectorizeLoop(),
        x.UnrollLoop(),
        s.RenormalizeSplitPattern(),
        x.StmtSimplify(),
        x.RemoveNoOp(),
        s.RewriteUnsafeSelect(),
    ]


def lower(
    name: str, func: tirx.PrimFunc, target: tvm.target.Target, noalias: bool = True, place: str = ""
) -> LoweredKernel:
    """Lower one scheduled PrimFunc to the C calling convention.

    `noalias` promises that no two pointers overlap; the memory planner withdraws it for kernels
    that it runs in place, and a rule that wants loads to stay where it wrote them by the attribute
    "tirx.noalias". Raises UnsupportedError that begins with `place` when TVM cannot.
    """
    try:
        return _lower(name, func, target, noalias, place or f"kernel {name}")
    except Exception as error:  # TVM's own classes are many
        raise _refused(place or f"kernel {name}", error) from error


def _lower(name: str, func: tirx.PrimFunc, target: tvm.target.Target, noalias: bool, place: str) -> LoweredKernel:
    module = tvm.IRModule({name: func.with_attr("global_symbol", name)})
    with tvm.transform.PassContext(opt_level=3, config={"s_tir.LoopPartition": {"partition_const_loop": True}}):
        module = tirx.transform.BindTarget(target.with_host(target))(module)
        module = tvm.transform.Sequential(_passes(func))(module)
    kernel = _take_pointers(name, module[name], noalias and bool(func.attrs.get("tirx.noalias", True)))
    lowered = tirx.transform.LowerIntrin()(tvm.IRModule({name: kernel.func}))[name]
    if str(target.attrs.get("mtriple", "")).startswith("thumb"):
        lowered = without_scaled_conversions(lowered)
    return replace(kernel, func=lowered, place=place)


def build(kernels: Sequence[LoweredKernel], target: tvm.target.Target) -> tvm.runtime.Module:
    """Generate code for all kernels as one module of the target's kind (llvm or c).

    Raises UnsupportedError that names the node of the kernel for which TVM has no code.
    """
    try:
        functions = {kernel.name: kernel.func for kernel in kernels}
        return tvm.get_global_func("target.build." + target.kind.name)(tvm.IRModule(functions), target)
    except Exception as error:
        if len(kernels) > 1:
            for kernel in kernels:
                build([kernel], target)
        raise _refused(kernels[0].place, error) from error


def _refused(place: str, error: Exception) -> UnsupportedError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return UnsupportedError(f"{place}: no code can be generated: {lines[-1] if lines else type(error).__name__}")


def buffer_bytes(buffer: tirx.Buffer) -> int:
    """Bytes of a dense buffer of constant shape."""
    elements = 1
    for extent in buffer.shape:
        elements *= int(extent)
    return elements * dtype_bytes(str(buffer.dtype))


def dtype_bytes(dtype: str) -> int:
    """Bytes that one element, vector lanes included, takes in memory; a bool takes one."""
    parsed = tvm.DataType(dtype)
    return (int(parsed.bits) + 7) // 8 * int(parsed.lanes)


def _take_pointers(name: str, func: tirx.PrimFunc, noalias: bool) -> LoweredKernel:
    scratch: list[tirx.Buffer] = []
    parallel = False

    def on_loop(loop: tirx.For) -> None:
        nonlocal parallel
        parallel = parallel or loop.kind == tirx.ForKind.PARALLEL

    def in_parallel(loop: tirx.For) -> object:
        # Every thread needs scratch of its own: it stays on the stack of the thread.
        return tvm_ffi.WalkResult.SKIP if loop.kind == tirx.ForKind.PARALLEL else None

    def on_alloc(alloc: tirx.AllocBuffer) -> None:
        buffer = alloc.buffer
        if str(buffer.scope()) == "global" and buffer_bytes(buffer) > STACK_ARRAY_BYTES:
            scratch.append(buffer)

    tvm_ffi.structural_walk(func.body, (tirx.For, on_loop))
    tvm_ffi.structural_walk(func.body, ((tirx.For, in_parallel), (tirx.AllocBuffer, on_alloc)), order="pre")

    pointers = {buffer: tvm.ir.Var(buffer.name + "_p", buffer_data_pointer_type(buffer)) for buffer in scratch}

    def place(alloc: tirx.AllocBuffer) -> tirx.Stmt:
        pointer = pointers.get(alloc.buffer)
        return alloc if pointer is None else tirx.DeclBuffer(alloc.buffer, data=pointer)

    body = tvm_ffi.structural_map(func.body, (tirx.AllocBuffer, place))
    params: list[tvm.ir.Var] = []
    statements: list[tirx.Stmt] = []
    for param in func.params:
        pointer = tvm.ir.Var(param.name + "_p", buffer_data_pointer_type(param))
        params.append(pointer)
        statements.append(tirx.DeclBuffer(param, data=pointer))
    statements.append(body)
    ret_type = func.ret_type
    if parallel:
        statements.append(tirx.Return(tirx.const(0, "int32")))
        ret_type = tvm.ir.PrimType("int32")
    attrs = {"global_symbol": name, "calling_conv": 0, "tirx.noalias": noalias, "target": func.attrs["target"]}
    lowered = tirx.PrimFunc([*params, *pointers.values()], tirx.SeqStmt(statements), ret_type)
    return LoweredKernel(
        name,
        lowered.with_attrs(attrs),
        tuple(buffer_bytes(buffer) for buffer in pointers),
        tuple(str(buffer.dtype) for buffer in pointers),
        parallel,
        name,
    )
