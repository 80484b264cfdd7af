"""Changing tensors in place: the change becomes part of their history, and of that of the tensors they are views of."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..opencl import Device
from ..ops import elementwise
from ..ops.array import Array, Shape, contiguous_strides, empty
from ..ops.operation import Context, Operation
from .graph import Node, source
from .modes import state

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


class Put(Operation):
    """A tensor of which a view got new values. Recorded only: the values are in the tensor's memory already."""

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """To the tensor as it was: the gradient, 0 where it was overwritten; to the new values: the gradient there."""
        rest = values = None
        if ctx.steps is None:
            rest = elementwise.full(g.device, g.shape, 0, g.dtype) if ctx.needs[0] else None
            return rest, g if ctx.needs[1] else None
        whole = g
        if ctx.needs[0] or g.strides != ctx.strides:
            whole = laid_out(g.device, g.shape, g.dtype, ctx.strides)
            elementwise.assign(whole, g)
        part = whole
        for operation, options in ctx.steps:
            part = operation.forward(Context((False,)), part, **options)
        if ctx.needs[1]:
            values = elementwise.copy(part) if ctx.needs[0] else part
        if ctx.needs[0]:
            elementwise.assign(part, 0)
            rest = whole
        return rest, values


def laid_out(device: Device, shape: Shape, dtype: dtypes.DType, strides: Shape) -> Array:
    """A new array that is laid out with the given strides, as the views of a tensor expect."""
    if strides == contiguous_strides(shape):
        return empty(device, shape, dtype)
    extent = 1 + sum((n - 1) * step for n, step in zip(shape, strides)) if math.prod(shape) else 0
    return Array(empty(device, (extent,), dtype).buffer, dtype, shape, strides)


def is_expanded(array: Array) -> bool:
    """Whether several elements of an array are one in memory."""
    return 0 in array.strides and any(n > 1 and s == 0 for n, s in zip(array.shape, array.strides))


def check(x: Any, *others: Any) -> bool:
    """``RuntimeError`` when a tensor cannot be changed in place; else whether the change is to be recorded.

    Args:
        x: the tensor.
        others: tensors (and other things) that the new values are made from.
    """
    if is_expanded(x._array):
        raise RuntimeError("several elements of this expanded tensor are one in memory; clone() it before changing it "
                           "in place")
    if not state.recording:
        return False
    needs = x.requires_grad
    if needs and x._node is None:
        raise RuntimeError("a leaf that requires gradients cannot be changed in place; do it in genesis.no_grad()")
    for other in others:
        needs = needs or getattr(other, "requires_grad", False)
    view = x._view
    if view is None or not view.holds(x):
        return needs
    base = view.base
    needs = needs or base.requires_grad
    if needs:
        if base.requires_grad and base._node is None:
            raise RuntimeError("this is a view of a leaf that requires gradients, which cannot be changed in place; do "
                               "it in genesis.no_grad()")
        if not view.recorded:
            raise RuntimeError("a view made in genesis.no_grad() cannot be changed in place where gradients are "
                               "recorded; make the view outside, or change it inside too")
        if view.steps is None:
            raise RuntimeError("this is one of several views that one operation made, as split() or unbind() do; it "
                               "cannot be changed in place where gradients are recorded. Index the tensor instead")
    return needs


def fitting(x: Any, result: Any) -> Any:
    """What an operation gave, in the tensor's element type; ``RuntimeError`` when the tensor cannot hold it."""
    if result._array.shape != x._array.shape:
        raise RuntimeError(f"the result has shape {tuple(result.shape)}, which a tensor of shape {tuple(x.shape)} "
                           "cannot hold in place")
    check_kind(x, result.dtype)
    return result.to(x.dtype)


def check_kind(x: Any, dtype: dtypes.DType) -> None:
    """``RuntimeError`` when the values of a type would lose more than precision in the tensor's."""
    if _KINDS[dtype.kind] > _KINDS[x.dtype.kind]:
        raise RuntimeError(f"the result is {dtype}, which a tensor of {x.dtype} cannot hold in place")


def change(x: Any, result: Any, since: int | None = None) -> Any:
    """Give a tensor the values of another of its shape and type, and the history that follows; returns it.

    Args:
        x: the tensor, which `check` let pass.
        result: the new values.
        since: where they were just computed and nobody else knows them: `tick` from before that.
    """
    array, values = x._array, result._array
    fresh = since is not None and result._node is not None
    contexts = _contexts(result._node, since) if since is not None and fresh else []
    for context in contexts:
        # What the operations saved of the memory that changes now is to keep its old values.
        if any(isinstance(v, Array) and v.version is array.version for v in context._saved):
            context.save(*[elementwise.copy(v) if isinstance(v, Array) and v.version is array.version else v
                           for v in context._saved])
    elementwise.assign(array, values)
    array.version.count += 1
    if array.is_contiguous():
        for context in contexts:
            # What they saved of the result is in the tensor's memory too, and need not be kept twice.
            if any(v is values for v in context._saved):
                context.save(*[array if v is values else v for v in context._saved])
    if state.recording:
        record(x, result, fresh)
    return x


def record(x: Any, result: Any, fresh: bool = False) -> None:
    """Make the history of a tensor whose memory was overwritten with ``result`` (None: with numbers) say so."""
    view = x._view if x._view is not None and x._view.holds(x) else None
    target = x if view is None else view.base
    values = None if result is None else source(result)
    if values is None and not target.requires_grad:
        return
    if fresh and view is None:
        node = result._node
    else:
        before = source(target)
        context = Context((before is not None, values is not None))
        context.steps, context.strides = None if view is None else view.steps, target._array.strides
        node = Node(Put, context, (before, values))
    if target._retains is not None:
        target._retains.move(node)
    target._node, target._requires_grad = node, True


def _contexts(node: Node, since: int) -> list[Context]:
    """Contexts of the operations that were recorded since then and lead to a node."""
    found, seen, waiting = [], {id(node)}, [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node.context, Context):
            found.append(node.context)
        for above in node.inputs:
            if isinstance(above, Node) and above.sequence > since and id(above) not in seen:
                seen.add(id(above))
                waiting.append(above)
    return found
