"""Compares optimizers, and rules in files of the user's, with float64 NumPy at sizes where kernels go wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import dtypes
from ..creation import zeros
from ..opencl import Device, device
from ..optim import Optimizer, implementation
from ..optim import rule as rules
from ..sparse import sparse_coo_tensor
from ..tensor import Tensor, tensor

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (31,), (33,), (65,), (17, 59), (1024,), (1025,), (70001,))
MATRICES: tuple[tuple[int, ...], ...] = ((1, 1), (1, 33), (31, 1), (17, 59), (59, 17), (65, 64), (59, 17), (64, 129))
_STEPS = 6
_BOUND = 40                 # in units of float32 rounding; the optimizers here stay below 13 over 100 steps

Reference = Callable[[np.ndarray, np.ndarray, dict[str, Any], Any], np.ndarray]


def _wide(x: Tensor) -> np.ndarray:
    return x.detach().numpy().astype(np.float64)


def misplaced(values: np.ndarray, dtype: Any, where: Device, pad: int) -> Tensor:
    """A tensor that begins ``pad`` elements into its memory, with NaN before and after it."""
    around = np.full(values.size + 2 * pad, np.nan)
    around[pad:pad + values.size] = values.ravel()
    return tensor(around, dtype=dtype, device=where)[pad:pad + values.size].reshape(values.shape).detach()


def compare(make: Callable[[list[Tensor]], Optimizer], reference: Reference | None = None, *,
            shapes: Sequence[tuple[int, ...]] = SHAPES, steps: int = _STEPS, dtype: Any = dtypes.float32,
            on: Device | str | None = None, bound: float = _BOUND) -> tuple[list[str], float]:
    """Update parameters of many sizes with an optimizer and with its reference; both see the same gradients.

    Args:
        make: parameters -> optimizer.
        reference: ``(param, grad, state, group) -> new param`` in float64, changing the dict ``state``; the optimizer's
            own if None. Weight decay and ``maximize`` are done around it.
        shapes: of the parameters.
        steps: how many updates; in the second one the parameters with odd positions have no gradient.
        dtype: ``genesis.float32`` or ``genesis.float64``.
        on: the device.
        bound: largest error allowed, in units of the type's rounding of a parameter and of the way it has gone.

    Returns:
        A line for each parameter that differs, and the largest error in those units.
    """
    where, rng = device(on), np.random.default_rng(0)
    starts = [rng.standard_normal(shape).astype(np.float32).astype(np.float64) for shape in shapes]
    params = [misplaced(x, dtype, where, i % 4).requires_grad_() for i, x in enumerate(starts)]
    optimizer = make(params)
    group = optimizer.param_groups[0]
    own = type(optimizer).reference if reference is None else reference       # type: ignore[attr-defined]
    states: list[dict[str, Any]] = [{} for _ in params]
    now, size, path = list(starts), [np.abs(x) for x in starts], [np.zeros_like(x) for x in starts]
    for step in range(steps):
        for i, p in enumerate(params):
            # Of either sign and not small: where a gradient and the weight decay cancel, an optimizer that divides by
            # averages makes a difference of its own out of the rounding.
            g = (rng.choice([-1.0, 1.0], p.shape) * rng.uniform(0.5, 2, p.shape)).astype(np.float32).astype(np.float64)
            if step == 1 and i % 2:
                p.grad = None
                continue
            given = misplaced(g, dtype, where, (i + 1) % 4)
            if optimizer.rows_only:
                order = rng.permutation(len(g))
                given = sparse_coo_tensor(order[None], given[tensor(order, device=where)], given.shape)
            p.grad = given
            kind, old = optimizer._rule(group).weight_decay, now[i]
            g = -g if group.get("maximize") else g
            if kind == "L2":
                g = g + group["weight_decay"] * old
            shrunk = old * (1 - group["lr"] * group["weight_decay"]) if kind == "DECOUPLED" else old
            now[i] = own(shrunk, g, states[i], group)
            path[i] = path[i] + np.abs(now[i] - old)
            size[i] = np.maximum(size[i], np.abs(now[i]))
        optimizer.step()
    eps = 2.0 ** -52 if dtype is dtypes.float64 else 2.0 ** -23
    failures, worst = [], 0.0
    for p, want, large, way in zip(params, now, size, path):
        got = _wide(p)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.abs(got - want) / (eps * (large + way))
        error = np.where(got == want, 0, np.where(np.isfinite(error), error, np.inf))
        worst = max(worst, float(error.max(initial=0)))
        if (error > bound).any():
            at = tuple(int(i) for i in np.argwhere(error > bound)[0])
            count = int((error > bound).sum())
            failures.append(f"parameter of shape {tuple(p.shape)}: {count} of {got.size} elements are wrong "
                            f"after {steps} steps; at {at} it is {got[at]!s} instead of {want[at]!s}")
    return failures, worst


def shapes_for(cls: type[Optimizer]) -> tuple[tuple[int, ...], ...]:
    """Awkward shapes that an optimizer takes."""
    return MATRICES if cls.matrices_only or cls.rows_only else SHAPES


def variants(cls: type[Optimizer]) -> Iterator[dict[str, Any]]:
    """Arguments to try an optimizer with: its defaults, and as much as can be switched on at once."""
    known = {"weight_decay": 0.1, "momentum": 0.9}
    arguments = inspect.signature(cls).parameters
    rate = arguments.get("lr")
    given: dict[str, Any] = {} if rate is None or isinstance(rate.default, float) else {"lr": 0.01}
    base = dict(given)
    yield base
    probe = zeros(1, 1).requires_grad_()
    for name, parameter in arguments.items():
        value = known.get(name, True if parameter.default is False else None)
        if value is None or name in implementation.DEFAULTS:
            continue
        try:
            cls([probe], **{**given, name: value})
        except (ValueError, RuntimeError):         # does not go with the others
            continue
        given[name] = value
    if given != base:
        yield given


def check_optimizer(cls: type[Optimizer], reference: Reference | None = None, *, on: Device | str | None = None,
                    **arguments: Any) -> float:
    """Assert that an optimizer computes what its float64 NumPy reference does, at awkward sizes.

    Args:
        cls: the optimizer's class.
        reference: see `compare`; the static method ``cls.reference`` if None.
        on: the device.
        arguments: of the optimizer, such as ``lr``; without any, its defaults and all that can be switched on.

    Returns:
        The largest error, in units of float32 rounding.

    Raises:
        AssertionError: naming arguments, parameter, element and both values.

    Example:
        >>> from genesis.testing import check_optimizer
        >>> check_optimizer(genesis.optim.AdamW, lr=0.01) < 20
        True
    """
    worst = 0.0
    for case in ([arguments] if arguments else variants(cls)):
        failures, error = compare(lambda params, case=case: cls(params, **case), reference,  # type: ignore[misc]
                                  shapes=shapes_for(cls), on=on)
        if failures:
            raise AssertionError(f"{cls.__name__}({case}) differs from its reference:\n  " + "\n  ".join(failures))
        worst = max(worst, error)
    return worst


def check_rule(path: str | Path, reference: Callable[[np.ndarray, np.ndarray, dict[str, Any], Mapping[str, float]],
                                                     np.ndarray], scalars: Mapping[str, float] | None = None, *,
               name: str | None = None, weight_decay: float = 0.0, on: Device | str | None = None,
               shapes: Sequence[tuple[int, ...]] = SHAPES, steps: int = _STEPS, bound: float = _BOUND) -> float:
    """Assert that a rule in a ``.cl`` file computes what a float64 NumPy reference does, at awkward sizes.

    Parameters and gradients begin at odd offsets between NaNs, some have no gradient in one of the steps, and their
    sizes lie around the edges of vectors, chunks and work-groups.

    Args:
        path: the rule's file; see ``cl/optim`` for what one looks like.
        reference: ``(param, grad, state, scalars) -> new param``; ``state`` is a dict to keep averages in, empty at
            the first step. Weight decay is done around it.
        scalars: a value for each ``float`` of the rule's signature.
        name: the C function; by default that named like the file.
        weight_decay: for a rule that defines ``WEIGHT_DECAY``; ``DECOUPLED`` needs a scalar ``lr``.
        on: the device.
        shapes: of the parameters.
        steps: how many updates.
        bound: largest error allowed, in units of float32 rounding of a parameter and the way it has gone.

    Returns:
        The largest error, in those units.

    Raises:
        AssertionError: the rule differs; says where.
        KernelError: the file is no rule, or does not compile.
        ValueError: a scalar has no value.
    """
    file, values = Path(path).resolve(), dict(scalars or {})
    function = name or file.stem
    missing = set(rules.parse(str(file), function).scalars) - set(values)
    if missing:
        raise ValueError(f"rule {function} takes the scalars {', '.join(sorted(missing))}; give their values")

    class Ruled(Optimizer):
        source = str(file)

        def rule(self, group: dict[str, Any]) -> str:
            return function

        def scalars(self, group: dict[str, Any], step: int) -> Mapping[str, float]:
            return values

    defaults = {"lr": values.get("lr", 0.0), "weight_decay": weight_decay}
    failures, worst = compare(lambda params: Ruled(params, defaults), lambda p, g, state, group: reference(
        p, g, state, values), on=on, shapes=shapes, steps=steps, bound=bound)
    if failures:
        raise AssertionError(f"rule {function} of {file} differs from its reference:\n  " + "\n  ".join(failures))
    return worst
