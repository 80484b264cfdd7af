"""Derivatives of functions, as functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import autograd
from ..autograd import functional
from ..autograd.graph import source
from ..tensor import Tensor
from .trees import each, rebuilt, tensors


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of a function.

    Gradients of gradients go too. Where the function depends on other tensors that require gradients, or is called with
    such, the result has a history that leads back to them; no ``.grad`` changes.

    Args:
        func: returns a tensor of one element; with ``has_aux`` a pair of that and anything else.
        argnums: which positional arguments the gradient is of, by number: a tensor, or dicts, lists and tuples of
            them. Of several it is a tuple.
        has_aux: whether to return a pair of the gradient and what else ``func`` returned.

    Returns:
        A function of the same arguments. It returns the gradient in the form of the argument, zeros for tensors that
        were not used.

    Raises:
        RuntimeError: from that function, if ``func`` returns something else.
        TypeError: from it, too, if there is no tensor among the arguments.

    Example:
        >>> slope = genesis.func.grad(lambda x: x ** 3)
        >>> slope(genesis.tensor(2.0)), genesis.func.grad(slope)(genesis.tensor(2.0))
        (tensor(12.), tensor(12.))
        >>> model = genesis.nn.Linear(2, 1, bias=False)
        >>> loss = lambda weights, x: genesis.func.functional_call(model, weights, x).sum()
        >>> genesis.func.grad(loss)(dict(model.named_parameters()), genesis.tensor([3.0, 4.0]))["weight"].tolist()
        [[3.0, 4.0]]
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, value = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0,
                   has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, for a pair of the gradient and what ``func`` returned.

    Args:
        func, argnums, has_aux: as there.

    Example:
        >>> genesis.func.grad_and_value(lambda x: (x * x).sum())(genesis.tensor([1.0, 2.0]))
        (tensor([2., 4.]), tensor(5.))
    """
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        given, inputs = list(args), []

        def fresh(x: Tensor) -> Tensor:
            inputs.append(x.view_as(x) if x.requires_grad else x.detach().requires_grad_())
            return inputs[-1]

        with autograd.enable_grad():
            for i in numbers:
                given[i] = each(fresh, args[i])
            if not inputs:
                raise TypeError(f"no tensors are among the arguments {argnums} that a gradient is wanted of")
            result = func(*given, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.numel() != 1:
                shown = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise RuntimeError(f"grad needs a function that returns a tensor of one element, not {shown}")
            others = _leads_elsewhere(value, inputs)
            found = iter(autograd.grad(value, inputs, create_graph=others, materialize_grads=True)
                         if value.requires_grad else [x.detach() * 0 for x in inputs])
        if not others:
            value, aux = each(Tensor.detach, (value, aux))
        gradients = tuple(each(lambda _: next(found), given[i]) for i in numbers)
        return (gradients if isinstance(argnums, tuple) else gradients[0]), (value, aux) if has_aux else value

    return gradient_and_value


def _leads_elsewhere(x: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Whether a tensor was made from leaves that are not among these."""
    known = {id(leaf) for leaf in leaves}
    waiting, seen = [source(x)], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if not isinstance(node, Tensor):
            waiting += node.inputs
        elif id(node) not in known:
            return True
    return False


def _fresh(x: Tensor) -> Tensor:
    """The tensor as an input of its own: where it has a history, that goes on."""
    return x.view_as(x) if x.requires_grad else x.detach().requires_grad_()


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function and the function that pulls cotangents back through it.

    Args:
        func: returns tensors, alone or in dicts, lists and tuples; with ``has_aux`` a pair of that and anything else.
        primals: its arguments: tensors, or dicts, lists and tuples of them.
        has_aux: whether to return what else ``func`` returned as a third value.

    Returns:
        (value, pull) or (value, pull, aux). ``pull(cotangents)`` takes tensors in the form of the value, and gives a
        tuple of the gradients of the arguments, in their forms; it may be called several times.

    Raises:
        RuntimeError: from ``pull``, if the cotangents have another form than the value.

    Example:
        >>> value, pull = genesis.func.vjp(lambda x, y: x * y, genesis.tensor(2.0), genesis.tensor(3.0))
        >>> value, pull(genesis.tensor(1.0))
        (tensor(6.), (tensor(3.), tensor(2.)))
    """
    with autograd.enable_grad():
        inputs = each(_fresh, primals)
        value, aux = func(*inputs) if has_aux else (func(*inputs), None)
    leaves, outputs = tensors(inputs), tensors(value)
    others = any(_leads_elsewhere(y, leaves) for y in outputs if y.requires_grad)

    def pull(cotangents: Any) -> Any:
        vectors = tensors(cotangents)
        if [v.shape for v in vectors] != [y.shape for y in outputs]:
            raise RuntimeError(f"cotangents of shapes {[tuple(v.shape) for v in vectors]} do not fit a value of shapes "
                               f"{[tuple(y.shape) for y in outputs]}")
        used = [(y, v) for y, v in zip(outputs, vectors) if y.requires_grad]
        if not used:
            return each(lambda x: x.detach() * 0, inputs)
        found = autograd.grad([y for y, _ in used], leaves, [v for _, v in used], retain_graph=True,
                              create_graph=others or any(v.requires_grad for v in vectors), materialize_grads=True)
        return rebuilt(inputs, found)

    shown = value if others else each(Tensor.detach, value)
    return (shown, pull, aux) if has_aux else (shown, pull)


def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False,
        has_aux: bool = False) -> Any:
    """The value of a function and its derivative in a direction, by two backward passes.

    Args:
        func: as for `vjp`.
        primals: the arguments, a tuple.
        tangents: their direction, in the same form.
        strict: accepted as PyTorch has it.
        has_aux: whether to return what else ``func`` returned as a third value.

    Returns:
        (value, derivative) or (value, derivative, aux).

    Raises:
        RuntimeError: the tangents have another form than the primals.

    Example:
        >>> genesis.func.jvp(lambda x: x ** 2, (genesis.tensor(3.0),), (genesis.tensor(1.0),))
        (tensor(9.), tensor(6.))
    """
    points, directions = tensors(primals), tensors(tangents)
    if [x.shape for x in points] != [v.shape for v in directions]:
        raise RuntimeError(f"tangents of shapes {[tuple(v.shape) for v in directions]} do not fit primals of shapes "
                           f"{[tuple(x.shape) for x in points]}")
    kept: list[Any] = []

    def flat(*values: Tensor) -> tuple[Tensor, ...]:
        result = func(*rebuilt(primals, values))
        kept[:] = result if has_aux else (result, None)
        return tuple(tensors(kept[0]))

    record = autograd.is_grad_enabled() and any(x.requires_grad for x in (*points, *directions))
    outputs, slopes = functional.jvp(flat, tuple(points), tuple(directions), create_graph=record)
    value, slope = rebuilt(kept[0], outputs), rebuilt(kept[0], slopes)
    return (value, slope, kept[1]) if has_aux else (value, slope)


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *,
           chunk_size: int | None = None) -> Callable[..., Any]:
    """The function that computes the Jacobian of a function, one backward for each element of the result.

    Args:
        func: returns tensors, alone or in dicts, lists and tuples; with ``has_aux`` a pair of that and anything else.
        argnums: which positional arguments the derivatives are by: tensors, or dicts, lists and tuples of them.
        has_aux: whether to return a pair of the Jacobian and what else ``func`` returned.
        chunk_size: accepted as PyTorch has it.

    Returns:
        A function of the same arguments. It returns, in the form of the result, the derivatives in the form of the
        argument (a tuple of several), each of the shape of the result's tensor and then of the argument's.

    Example:
        >>> genesis.func.jacrev(lambda x: x ** 2)(genesis.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)

    @functools.wraps(func)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        chosen = tuple(args[i] for i in numbers)
        kept: list[Any] = []

        def flat(*values: Tensor) -> tuple[Tensor, ...]:
            given = list(args)
            for i, value in zip(numbers, rebuilt(chosen, values)):
                given[i] = value
            result = func(*given, **kwargs)
            kept[:] = result if has_aux else (result, None)
            return tuple(tensors(kept[0]))

        points = tensors(chosen)
        record = autograd.is_grad_enabled() and (
            any(x.requires_grad for x in points) or any(y.requires_grad for y in flat(*(x.detach() for x in points))))
        blocks = [rebuilt(chosen, rows) for rows in functional.jacobian(flat, tuple(points), create_graph=record)]
        jacobian = rebuilt(kept[0], blocks if isinstance(argnums, tuple) else [block[0] for block in blocks])
        return (jacobian, each(Tensor.detach, kept[1])) if has_aux else jacobian

    return jacobian_of


def jacfwd(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *,
           chunk_size: int | None = None, randomness: str = "error") -> Callable[..., Any]:
    """The same as `jacrev`: derivatives are computed backward here."""
    return jacrev(func, argnums, has_aux)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that computes the second derivatives of a function: `jacrev` of `jacrev`.

    Example:
        >>> genesis.func.hessian(lambda x: (x ** 3).sum())(genesis.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
