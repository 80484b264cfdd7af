"""Jacobians, Hessians and their products with vectors, on the interface of ``torch.autograd.functional``.

Each function runs ``func`` on detached copies of the inputs that require gradients, so that no ``.grad`` changes. With
``create_graph=True`` the results keep their history, and lead back to the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..ops.elementwise import full
from . import graph
from .engine import grad
from .modes import enable_grad

if TYPE_CHECKING:
    from ..tensor import Tensor

Tensors = Any          # a tensor, or a tuple of them
Function = Callable[..., Any]


def _tuple(x: Tensors, what: str) -> tuple[Any, ...]:
    listed = (x,) if hasattr(x, "_array") else tuple(x)
    for i, entry in enumerate(listed):
        if not hasattr(entry, "_array"):
            raise TypeError(f"{what} must be a tensor or a tuple of tensors; entry {i} is a {type(entry).__name__}")
    return listed


def _like(results: list[Any] | tuple[Any, ...], example: Any) -> Any:
    """A tuple; or its one entry, where what it belongs to was no tuple."""
    return results[0] if hasattr(example, "_array") else tuple(results)


def _fresh(inputs: Tensors, create_graph: bool) -> tuple[Any, ...]:
    """The inputs under other names; leaves unless the results are to lead back to them."""
    fresh = []
    for x in _tuple(inputs, "inputs"):
        fresh.append(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_())
    return tuple(fresh)


def _called(func: Function, inputs: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    result = func(*inputs)
    return result, _tuple(result, "what func returns")


def _scalar(func: Function, inputs: tuple[Any, ...], name: str) -> tuple[Any, Any]:
    result, outputs = _called(func, inputs)
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError(f"{name} needs a function that returns one tensor of one element, not "
                           f"{[tuple(y.shape) for y in outputs]}")
    return result, outputs[0]


def _vector(v: Tensors | None, like: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The vector of a product: tensors in the shapes of others; None stands for 1, for a single element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name} needs v, unless there is one tensor of one element to multiply by it")
        return (graph._Tensor._wrap(full(like[0].device, like[0]._array.shape, 1, like[0].dtype)),)
    vectors = _tuple(v, "v")
    shapes, wanted = ([tuple(x.shape) for x in tensors] for tensors in (vectors, like))
    if shapes != wanted:
        raise RuntimeError(f"{name} needs v of shapes {wanted}, not {shapes}")
    return vectors


def _gradients(outputs: tuple[Any, ...], inputs: tuple[Any, ...], vectors: tuple[Any, ...] | None, create_graph: bool,
               strict: bool, name: str) -> list[Any]:
    """The gradients of the inputs; zeros (an error, if ``strict``) where the outputs do not depend on them."""
    used = [i for i, y in enumerate(outputs) if y.requires_grad]
    found: tuple[Any, ...] = (None,) * len(inputs)
    if used:
        found = grad([outputs[i] for i in used], inputs, None if vectors is None else [vectors[i] for i in used],
                     retain_graph=True, create_graph=create_graph, allow_unused=True)
    results = []
    for i, (x, g) in enumerate(zip(inputs, found)):
        if g is None and strict:
            raise RuntimeError(f"{name}: the result does not depend on input {i}, which strict=True forbids")
        results.append(graph._Tensor._wrap(full(x.device, x._array.shape, 0, x.dtype)) if g is None else g)
    return results


def _finished(x: Any, create_graph: bool) -> Any:
    """What is returned: without history, unless it was asked for."""
    if create_graph:
        return x
    return x.detach() if hasattr(x, "_array") else tuple([_finished(y, False) for y in x])


def _rows(y: Tensor, inputs: tuple[Any, ...], create_graph: bool, strict: bool, name: str) -> list[Any]:
    """For each input the derivatives of all elements of y, in the shape of y and then of the input."""
    from ..joining import stack

    flat = y.reshape(y.numel())
    rows = [_gradients((flat[i],), inputs, None, create_graph, strict, name) for i in range(y.numel())]
    if not rows:
        return [graph._Tensor._wrap(full(x.device, (*y._array.shape, *x._array.shape), 0, x.dtype)) for x in inputs]
    return [stack([row[k] for row in rows]).reshape(*y.shape, *x.shape) for k, x in enumerate(inputs)]


@enable_grad()
def jacobian(func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False) -> Any:
    """The Jacobian of a function: the derivatives of all elements of its result, one backward for each.

    Args:
        func: takes the inputs and returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: keep the history of the result.
        strict: raise where a result does not depend on an input, instead of giving zeros.

    Returns:
        A tensor of the shape of the result and then of the input; a tuple of these with several inputs; with several
        results a tuple, by result, of that.

    Raises:
        RuntimeError: see ``strict``.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.jacobian(lambda x: x ** 2, x)
        tensor([[2., 0.],
                [0., 4.]])
    """
    leaves = _fresh(inputs, create_graph)
    result, outputs = _called(func, leaves)
    blocks = [_like(_rows(y, leaves, create_graph, strict, "jacobian()"), inputs) for y in outputs]
    return _finished(_like(blocks, result), create_graph)


@enable_grad()
def hessian(func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False) -> Any:
    """The Hessian of a function with one value: its second derivatives.

    Args:
        func: takes the inputs and returns a tensor of one element.
        inputs: a tensor or a tuple of tensors.
        create_graph: keep the history of the result.
        strict: raise where the value, or its gradient, does not depend on an input, instead of giving zeros.

    Returns:
        A tensor of the shape of the input twice; with several inputs a tuple, by input, of tuples.

    Raises:
        RuntimeError: the function returns something else than one element; or see ``strict``.
        SecondDerivativeError: an operation in it has no second derivative.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.hessian(lambda x: (x ** 3).sum(), x)
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    leaves = _fresh(inputs, create_graph)
    _, y = _scalar(func, leaves, "hessian()")
    slopes = _gradients((y,), leaves, None, True, strict, "hessian()")
    blocks = [_like(_rows(slope, leaves, create_graph, strict, "hessian()"), inputs) for slope in slopes]
    return _finished(_like(blocks, inputs), create_graph)


@enable_grad()
def vjp(func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
        strict: bool = False) -> tuple[Any, Any]:
    """The product of a vector with the Jacobian of a function: one backward.

    Args:
        func: takes the inputs and returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: the vector, in the shapes of the results; not needed for a result of one element.
        create_graph: keep the history of what is returned.
        strict: raise where nothing depends on an input, instead of giving zeros.

    Returns:
        What the function returned, and the product, in the shapes of the inputs.

    Raises:
        RuntimeError: shapes that do not fit, or see ``strict``.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.vjp(lambda x: x ** 2, x, genesis.tensor([1.0, 10.0]))[1]
        tensor([ 2., 40.])
    """
    leaves = _fresh(inputs, create_graph)
    result, outputs = _called(func, leaves)
    product = _gradients(outputs, leaves, _vector(v, outputs, "vjp()"), create_graph, strict, "vjp()")
    return _finished(result, create_graph), _finished(_like(product, inputs), create_graph)


@enable_grad()
def jvp(func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
        strict: bool = False) -> tuple[Any, Any]:
    """The product of the Jacobian of a function with a vector, by two backwards.

    The gradient ``u @ J`` is linear in u; its own gradient with respect to u, with v, is ``J @ v``.

    Args:
        func: takes the inputs and returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: the vector, in the shapes of the inputs; not needed for an input of one element.
        create_graph: keep the history of what is returned.
        strict: raise where nothing depends on an input, instead of giving zeros.

    Returns:
        What the function returned, and the product, in the shapes of the results.

    Raises:
        RuntimeError: shapes that do not fit, or see ``strict``.
        SecondDerivativeError: an operation in the function has no second derivative.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.jvp(lambda x: x.sum() * x, x, genesis.tensor([1.0, 0.0]))[1]
        tensor([4., 2.])
    """
    leaves = _fresh(inputs, create_graph)
    vectors = _vector(v, leaves, "jvp()")
    result, outputs = _called(func, leaves)
    probes = tuple([graph._Tensor._wrap(full(y.device, y._array.shape, 0, y.dtype)).requires_grad_() for y in outputs])
    products = _gradients(outputs, leaves, probes, True, strict, "jvp()")
    tangents = _gradients(tuple(products), probes, vectors, create_graph, strict, "jvp()")
    return _finished(result, create_graph), _finished(_like(tangents, result), create_graph)


@enable_grad()
def vhp(func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
        strict: bool = False) -> tuple[Any, Any]:
    """The product of a vector with the Hessian of a function with one value: two backwards.

    Args:
        func: takes the inputs and returns a tensor of one element.
        inputs: a tensor or a tuple of tensors.
        v: the vector, in the shapes of the inputs; not needed for an input of one element.
        create_graph: keep the history of what is returned.
        strict: raise where nothing depends on an input, instead of giving zeros.

    Returns:
        What the function returned, and the product, in the shapes of the inputs.

    Raises:
        RuntimeError: shapes that do not fit, or see ``strict``.
        SecondDerivativeError: an operation in the function has no second derivative.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.vhp(lambda x: (x ** 3).sum(), x, genesis.tensor([1.0, 1.0]))
        (tensor(9.), tensor([ 6., 12.]))
    """
    leaves = _fresh(inputs, create_graph)
    vectors = _vector(v, leaves, "vhp()")
    result, y = _scalar(func, leaves, "vhp()")
    slopes = _gradients((y,), leaves, None, True, strict, "vhp()")
    product = _gradients(tuple(slopes), leaves, vectors, create_graph, strict, "vhp()")
    return _finished(result, create_graph), _finished(_like(product, inputs), create_graph)


def hvp(func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
        strict: bool = False) -> tuple[Any, Any]:
    """The product of the Hessian of a function with one value with a vector.

    The Hessian is symmetric: this is `vhp` under its other name, and as quick.

    Args, returns and errors are those of `vhp`.

    Example:
        >>> x = genesis.tensor([1.0, 2.0])
        >>> genesis.autograd.functional.hvp(lambda x: x.prod(), x, genesis.tensor([1.0, 2.0]))
        (tensor(2.), tensor([2., 1.]))
    """
    return vhp(func, inputs, v, create_graph, strict)


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
