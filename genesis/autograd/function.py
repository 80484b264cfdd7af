"""Operations that users define: a forward and a backward on tensors."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from .. import tracing
from ..ops import elementwise
from ..ops.array import Array
from ..ops.operation import Context, Operation
from . import graph, inplace
from .graph import Node, Output, refresh, same_device, source, tensor_behind
from .modes import call, state
from .undifferentiable import undifferentiable


class FunctionContext(Context):
    """What a `Function`'s forward keeps for its backward: attributes of any name, and tensors.

    Attributes:
        needs_input_grad: for each argument of ``apply``, whether it needs a gradient.
    """

    def __init__(self, needs: tuple[bool, ...]):
        super().__init__(needs)
        self.needs_input_grad = needs
        self._to_save: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._plain: tuple[Any, ...] = ()
        self._materialize = True
        self._results: tuple[Any, ...] = ()
        self._node: Callable[[], Node | None] | None = None
        self._sources: tuple[Any, ...] = ()              # where the gradients go where backward is recorded
        self.roles: tuple[int | None, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for backward, which raises if one of them is changed in place meanwhile."""
        for x in tensors:
            if x is not None and not hasattr(x, "_array"):
                raise TypeError(f"save_for_backward takes tensors or None, not {type(x).__name__}; keep other things "
                                "as attributes of the context")
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`; inputs and results with their history."""
        node = None if self._node is None else self._node()
        if node is None:
            wrap = graph._Tensor._wrap
            return tuple([wrap(v) if isinstance(v, Array) else v for v in self.saved])
        return tuple([tensor_behind(node, self, role, value) if isinstance(value, Array) else value
                      for role, value in zip(self.roles, self.saved)])

    def mark_dirty(self, *tensors: Any) -> None:
        """Say that forward changed these inputs in place; each must be among its results."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that these results have no gradient."""
        self._plain = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, the default) or None for results that the loss does not depend on."""
        self._materialize = bool(value)


class Function:
    """Base class of operations with a gradient of their own, on PyTorch's interface.

    A subclass defines ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)`` as static methods and is called by
    ``apply``. Forward gets the arguments as they are and returns a tensor or a tuple of them; backward gets a gradient
    a result and returns one an argument, None for arguments that are no tensors. Neither is recorded, so both may work
    through pyopencl (`Tensor.to_pyopencl`). Only where the gradients are to be differentiated in turn
    (``create_graph=True``) is backward recorded: let it use operations on tensors, or mark it with
    `once_differentiable`. Forward may also do without ``ctx``, if the subclass defines
    ``setup_context(ctx, inputs, output)``.

    Example:
        >>> class Square(genesis.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...     @staticmethod
        ...     def backward(ctx, grad_output):
        ...         (x,) = ctx.saved_tensors
        ...         return 2 * x * grad_output
        >>> x = genesis.tensor(3.0, requires_grad=True)
        >>> Square.apply(x).backward()
        >>> x.grad
        tensor(6.)
    """

    _operation: type[Operation]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._operation = type(cls.__name__, (Adapter,), {"function": cls, "__doc__": cls.__doc__})

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result or the tuple of results."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute a gradient for each argument of forward."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grad_outputs) for its gradients")

    setup_context: Callable[..., None] | None = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward, and record it when a gradient may be asked for."""
        if tracing.recorder is not None and tracing.recorder.takes():
            return tracing.recorder.operation(lambda _, *given: cls.apply(*given), cls, *args)
        tensors = [x for x in args if hasattr(x, "_array")]
        same_device(*tensors)
        for x in tensors:
            if x._view is not None:
                refresh(x)
        needs = tuple([bool(state.recording and hasattr(x, "_array") and x.requires_grad) for x in args])
        context = FunctionContext(needs)
        sources = tuple([source(x) if need else None for x, need in zip(args, needs)])
        if cls.setup_context is None:
            outputs = call(False, cls.forward, context, *args)
        else:
            outputs = call(False, cls.forward, *args)
            call(False, cls.setup_context, context, args, outputs)
        several = isinstance(outputs, tuple | list)
        results = tuple(outputs) if several else (outputs,)
        return _finish(cls, context, args, sources, results) if several else _finish(
            cls, context, args, sources, results)[0]


def _finish(cls: type[Function], context: FunctionContext, args: tuple[Any, ...], sources: tuple[Any, ...],
            results: tuple[Any, ...]) -> tuple[Any, ...]:
    """Record a Function that has run; returns its results with their history."""
    dirty = {id(x) for x in context._dirty}
    if not dirty <= {id(x) for x in results}:
        raise RuntimeError(f"{cls.__name__}: every tensor given to mark_dirty must be returned by forward")
    recorded = True in context.needs
    if recorded:
        for x in context._dirty:
            inplace.check(x)
    context.save(*[x if x is None else x._array for x in context._to_save])
    context.roles = _roles(context._to_save, args, results, dirty)
    context._to_save = ()
    plain = {id(x) for x in context._plain}
    differentiable = [hasattr(y, "_array") and id(y) not in plain and y.dtype.has_gradients for y in results]
    context._dirty = context._plain = ()
    if not recorded or not any(differentiable):
        return results
    context._results = tuple([(y._array.shape, y.dtype, y.device) if ok else None
                              for y, ok in zip(results, differentiable)])
    context._arguments = tuple([(x._array.shape, x.dtype) if need else None for x, need in zip(args, context.needs)])
    node = Node(cls._operation, context, sources, len(results))
    context._node = weakref.ref(node)          # the node holds the context
    wrap = graph._Tensor._wrap
    finished = []
    for i, (y, ok) in enumerate(zip(results, differentiable)):
        if not ok:
            finished.append(y)
            continue
        result = wrap(y._array, node if len(results) == 1 else Output(node, i))
        if id(y) in dirty:
            inplace.record(y, result, fresh=True)
            result = y
        finished.append(result)
    return tuple(finished)


def _roles(saved: tuple[Any, ...], args: tuple[Any, ...], results: tuple[Any, ...],
           dirty: set[int]) -> tuple[int | None, ...]:
    """For each saved tensor which argument it is, -1 - i for result i, None for anything else."""
    if not saved:
        return ()
    places = {id(y): -1 - i for i, y in enumerate(results)}
    places.update((id(x), i) for i, x in enumerate(args) if id(x) not in dirty)
    return tuple([places.get(id(x)) for x in saved])


class Adapter(Operation):
    """A Function as the graph sees it."""

    function: type[Function]

    @classmethod
    def backward(cls, ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        """Call the Function's backward with tensors, and check what it returns."""
        wrap = graph._Tensor._wrap
        grads = cls._call(False, ctx, [None if g is None else wrap(g) for g in gradients])
        return tuple([None if g is None else g._array for g in grads])

    @classmethod
    def recorded(cls, ctx: Any, sources: tuple[Any, ...], gradients: list[Any]) -> tuple[Any, ...]:
        """The same where backward is recorded.

        Args:
            ctx: the context.
            sources: where the gradients go.
            gradients: a tensor or None for each result.
        """
        ctx._sources = sources
        try:
            return cls._call(True, ctx, gradients)
        finally:
            ctx._sources = ()

    @classmethod
    def _call(cls, recording: bool, ctx: Any, gradients: list[Any]) -> tuple[Any, ...]:
        wrap = graph._Tensor._wrap
        for i, (g, about) in enumerate(zip(gradients, ctx._results)):
            if g is None and ctx._materialize and about is not None:
                shape, dtype, device = about
                gradients[i] = wrap(elementwise.full(device, shape, 0, dtype))
        grads = call(recording, cls.function.backward, ctx, *gradients)
        grads = tuple(grads) if isinstance(grads, tuple | list) else (grads,)
        n = len(ctx.needs)
        if len(grads) < n or any(g is not None for g in grads[n:]):
            raise RuntimeError(f"{cls.__name__}.backward returned {len(grads)} gradients for the {n} arguments of "
                               "forward")
        return tuple([cls._checked(i, g, about) for i, (g, about) in enumerate(zip(grads, ctx._arguments))])

    @classmethod
    def _checked(cls, i: int, g: Any, about: Any) -> Any:
        if g is None or about is None:
            return None
        shape, dtype = about
        if not hasattr(g, "_array"):
            raise TypeError(f"{cls.__name__}.backward must return tensors or None; gradient {i} is a "
                            f"{type(g).__name__}")
        if g._array.shape != shape:
            try:
                reduces = g.ndim >= len(shape) and _reduces(g._array.shape, shape)
                g = g.sum_to_size(shape) if reduces else g.expand(shape)
            except RuntimeError:
                raise RuntimeError(f"{cls.__name__}.backward returned a gradient of shape {tuple(g.shape)} for "
                                   f"argument {i}, which has shape {shape}") from None
        return g if g.dtype is dtype else g.to(dtype)


def _reduces(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a gradient is one of something that was broadcast from the wanted shape."""
    return all(n in (1, m) for m, n in zip(reversed(given), reversed(wanted)))


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a Function's backward as one that has no gradient of its own, and is not recorded.

    With ``create_graph=True`` it still computes its gradients; to differentiate these is a ``SecondDerivativeError``.
    """
    @functools.wraps(function)
    def backward(ctx: Any, *args: Any) -> Any:
        found = call(False, function, ctx, *args)
        if not state.recording:
            return found
        given = [source(g) for g in args if hasattr(g, "_array")]
        return undifferentiable(tuple(found) if isinstance(found, list) else found, (*given, *ctx._sources),
                                f"{function.__qualname__} is marked with once_differentiable: its gradients have no "
                                "gradients of their own")

    return backward
