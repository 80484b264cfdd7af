"""Comparing the gradients that backward computes with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import GenesisError
from ..ops.complex import ViewAsComplex, ViewAsReal
from .engine import grad
from .graph import apply
from .modes import enable_grad, no_grad


class GradcheckError(GenesisError):
    """A gradient is not what finite differences say that it is."""


def gradcheck(func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
              raise_exception: bool = True, nondet_tol: float = 0.0) -> bool:
    """Compare the gradients of a function with central differences, element by element.

    Args:
        func: takes the inputs and returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple; those that require gradients are checked and must be float64 or complex128. Complex
            numbers are checked as pairs of real ones.
        eps: step of the differences.
        atol, rtol: a gradient may differ by ``atol + rtol * abs(difference quotient)``.
        raise_exception: raise when the check fails, instead of returning False.
        nondet_tol: how much two runs of backward may differ.

    Returns:
        Whether all gradients agree.

    Raises:
        GradcheckError: they do not, and ``raise_exception`` is True.
        ValueError: no input requires a gradient.
        TypeError: an input to be checked is neither. On a device without float64 there is nothing to check with;
            choose another (``genesis.devices()``).

    Example:
        >>> x = genesis.tensor([1.0, 2.0], dtype=genesis.float64, requires_grad=True)
        >>> genesis.autograd.gradcheck(lambda x: x.exp().sum(), x)
        True
    """
    listed = (inputs,) if hasattr(inputs, "_array") else tuple(inputs)
    checked = [i for i, x in enumerate(listed) if hasattr(x, "_array") and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck needs at least one input that requires a gradient")
    for i in checked:
        if listed[i].dtype not in (dtypes.float64, dtypes.complex128):
            where = listed[i].device
            hint = "" if where.fp64 else f"; {where.name} has no float64: check on another device"
            raise TypeError(f"gradcheck needs float64 or complex128 inputs, as differences of {listed[i].dtype} are "
                            f"too coarse; input {i} is {listed[i].dtype}{hint}")
    func, listed = _of_pairs(func, listed)
    try:
        _check(func, listed, checked, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6,
                  atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True,
                  nondet_tol: float = 0.0) -> bool:
    """Compare second derivatives with differences: `gradcheck` of the gradients of a function.

    Args:
        func: takes the inputs and returns a tensor or a tuple of tensors.
        inputs: as for `gradcheck`.
        grad_outputs: the gradient that backward starts with for each output of ``func``, a tensor or a tuple; those
            that require gradients are checked too. By default they are drawn from a normal distribution.
        eps, atol, rtol, raise_exception, nondet_tol: as for `gradcheck`.

    Returns:
        Whether all second derivatives agree.

    Raises:
        GradcheckError: they do not, and ``raise_exception`` is True.
        SecondDerivativeError: an operation in ``func`` has none.
        ValueError, TypeError: as for `gradcheck`.

    Example:
        >>> x = genesis.tensor([1.0, 2.0], dtype=genesis.float64, requires_grad=True)
        >>> genesis.autograd.gradgradcheck(lambda x: x.exp().sum(), x)
        True
    """
    listed = (inputs,) if hasattr(inputs, "_array") else tuple(inputs)
    wanted = [i for i, x in enumerate(listed) if hasattr(x, "_array") and x.requires_grad]
    func, listed = _of_pairs(func, listed)
    if grad_outputs is None:
        with no_grad():
            outputs = _outputs(func, listed)
        rng = np.random.default_rng(0)
        given = tuple([_tensor_like(rng.standard_normal(tuple(y.shape)), y).requires_grad_() for y in outputs])
    else:
        given = (grad_outputs,) if hasattr(grad_outputs, "_array") else tuple(grad_outputs)
        given = tuple([_pairs(x, True) for x in given])

    def gradients(*args: Any) -> tuple[Any, ...]:
        leaves = list(args[:len(listed)])
        for i in wanted:
            if not leaves[i].requires_grad:
                leaves[i] = leaves[i].detach().requires_grad_()
        with enable_grad():
            pairs = [(y, g) for y, g in zip(_outputs(func, leaves), args[len(listed):]) if y.requires_grad]
            return grad([y for y, _ in pairs], [leaves[i] for i in wanted], [g for _, g in pairs], create_graph=True,
                        allow_unused=True, materialize_grads=True)

    return gradcheck(gradients, (*listed, *given), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
                     nondet_tol=nondet_tol)


def _outputs(func: Callable[..., Any], inputs: Iterable[Any]) -> list[Any]:
    result = func(*inputs)
    results = [result] if hasattr(result, "_array") else list(result)
    return [y for y in results if hasattr(y, "_array") and y.dtype.is_floating_point]


def _of_pairs(func: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function that takes and gives complex numbers as pairs of real ones, and its inputs."""
    places = {i for i, x in enumerate(inputs) if hasattr(x, "_array") and x.dtype.is_complex}

    def of_pairs(*args: Any) -> list[Any]:
        result = func(*[apply(ViewAsComplex, x) if i in places else x for i, x in enumerate(args)])
        return [_pairs(y) for y in ([result] if hasattr(result, "_array") else result)]

    return of_pairs, tuple([_pairs(x, True) for x in inputs])


def _pairs(x: Any, leaf: bool = False) -> Any:
    """A complex tensor as pairs of real numbers, as a leaf if wanted; anything else as it is."""
    if not hasattr(x, "_array") or not x.dtype.is_complex:
        return x
    return apply(ViewAsReal, x.detach().contiguous()).requires_grad_(x.requires_grad) if leaf else apply(ViewAsReal, x)


def _check(func: Callable[..., Any], inputs: tuple[Any, ...], checked: list[int], eps: float, atol: float, rtol: float,
           nondet_tol: float) -> None:
    analytic, again = (_analytic(func, inputs, checked) for _ in range(2))
    for (o, i), jacobian in analytic.items():
        if jacobian.size and np.abs(jacobian - again[o, i]).max() > nondet_tol:
            raise GradcheckError(f"two runs of backward gave different gradients of output {o} for input {i}, by up to "
                                 f"{np.abs(jacobian - again[o, i]).max():.3g}; nondet_tol allows {nondet_tol:.3g}")
    for i in checked:
        for o, numeric in enumerate(_numeric(func, inputs, i, eps)):
            jacobian = analytic[o, i]
            wrong = ~(np.abs(jacobian - numeric) <= atol + rtol * np.abs(numeric))
            if wrong.any():
                row, column = np.argwhere(wrong)[0]
                raise GradcheckError(
                    f"the gradient of output {o} for input {i} is wrong in {wrong.sum()} of {wrong.size} places, first "
                    f"for element {column} of the output and {row} of the input: backward says "
                    f"{jacobian[row, column]:.8g}, differences say {numeric[row, column]:.8g}")


def _analytic(func: Callable[..., Any], inputs: tuple[Any, ...],
              checked: list[int]) -> dict[tuple[int, int], np.ndarray]:
    """For each output and input the matrix (input elements, output elements) that backward gives."""
    leaves = list(inputs)
    for i in checked:
        leaves[i] = inputs[i].detach().clone().requires_grad_()
    with enable_grad():
        outputs = _outputs(func, leaves)
    found: dict[tuple[int, int], np.ndarray] = {}
    for o, y in enumerate(outputs):
        for i in checked:
            found[o, i] = np.zeros((leaves[i].numel(), y.numel()))
        if not y.requires_grad:
            continue
        for column in range(y.numel()):
            seed = np.zeros(y.numel(), y.dtype.numpy)
            seed[column] = 1
            given = _tensor_like(seed.reshape(tuple(y.shape)), y)
            grads = grad(y, [leaves[i] for i in checked], given, retain_graph=True, allow_unused=True)
            for i, g in zip(checked, grads):
                if g is not None and g.is_sparse:
                    raise GradcheckError(f"the gradient of output {o} for input {i} is sparse; check the function with "
                                         "sparse=False, which computes the same")
                if g is not None:
                    found[o, i][:, column] = g.numpy().reshape(-1)
    return found


def _numeric(func: Callable[..., Any], inputs: tuple[Any, ...], i: int, eps: float) -> list[np.ndarray]:
    """For each output the matrix (elements of input i, output elements) of difference quotients."""
    values = inputs[i].detach().numpy()
    rows: list[list[np.ndarray]] = []
    shapes: list[int] = []
    for k in range(values.size):
        sides = []
        for sign in (1, -1):
            moved = values.copy()
            moved.reshape(-1)[k] += sign * eps
            with no_grad():
                outputs = _outputs(func, [*inputs[:i], _tensor_like(moved, inputs[i]), *inputs[i + 1:]])
            sides.append([y.detach().numpy().astype(np.float64).reshape(-1) for y in outputs])
        rows.append([(up - down) / (2 * eps) for up, down in zip(*sides)])
    if not rows:
        with no_grad():
            shapes = [y.numel() for y in _outputs(func, inputs)]
        return [np.zeros((0, n)) for n in shapes]
    return [np.stack(columns) for columns in zip(*rows)]


def _tensor_like(values: np.ndarray, x: Any) -> Any:
    from ..tensor import tensor

    return tensor(values, dtype=x.dtype, device=x.device)


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
