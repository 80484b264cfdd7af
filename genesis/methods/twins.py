"""The in-place twins of methods: ``x.exp_()`` beside ``x.exp()``, ``x *= y`` beside ``x * y``.

Every method that a family of elementwise functions (`ELEMENTWISE` in the package) names in ``FUNCTIONS`` gets one,
unless the family has its own or PyTorch has none. Another family names those of its methods that are to have one in
``IN_PLACE``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from .. import tracing
from ..autograd import inplace, same_device
from ..autograd.graph import tick
from ..ops import binary, pointwise
from ..ops import elementwise as ew
from .support import Methods, operand

# No twins: their results are of another type or shape than what they are made from, or PyTorch has none.
WITHOUT = frozenset("""fmax fmin hardshrink isclose isfinite isinf isnan isneginf isposinf isreal logaddexp logaddexp2
    maximum minimum positive prelu signbit where""".split())
OPERATORS = {"__iadd__": "__add__", "__isub__": "__sub__", "__imul__": "__mul__", "__itruediv__": "__truediv__",
             "__ipow__": "__pow__", "__ifloordiv__": "__floordiv__", "__imod__": "__mod__", "__iand__": "__and__",
             "__ior__": "__or__", "__ixor__": "__xor__", "__ilshift__": "__lshift__", "__irshift__": "__rshift__"}
_DIRECT = {"add": binary.Add, "sub": binary.Sub, "mul": binary.Mul, "div": binary.Div,
           "__add__": binary.Add, "__sub__": binary.Sub, "__mul__": binary.Mul, "__truediv__": binary.Div}


def _operation(name: str, method: Any) -> Any:
    """The operation of two operands or of one that a method consists of, where it can write into its operand."""
    if name in _DIRECT:
        return _DIRECT[name]
    unary = getattr(pointwise, name.capitalize(), None)
    if not (isinstance(unary, type) and issubclass(unary, pointwise.Unary)):
        return None
    own = inspect.getattr_static(unary, "forward") is not inspect.getattr_static(pointwise.Unary, "forward")
    return None if own or list(inspect.signature(method).parameters) != ["self"] else unary


def _write(operation: Any, x: Any, others: tuple[Any, ...]) -> bool:
    """Do a change that is not recorded in one launch, without memory for the result; False where that is impossible."""
    array = x._array
    if issubclass(operation, pointwise.Unary):
        if others or not array.dtype.is_floating_point:
            return False
        ew.run(operation.op, [array], array.dtype, out=array)
    else:
        other = operand(others[0], x) if len(others) == 1 else NotImplemented
        if other is NotImplemented:
            return False
        if hasattr(other, "_array"):
            if other._array.buffer.device is not array.buffer.device:
                same_device(x, other)
            other = other._array
            if other.shape != array.shape:
                _check_shape(array.shape, other.shape)
        dtype = operation.result_dtype(array, other)
        if dtype is not array.dtype:
            inplace.check_kind(x, dtype)
        ew.run(operation.op, [array, other], array.dtype, out=array, compute=dtype.compute)
    array.version.count += 1
    return True


def _check_shape(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    if len(other) > len(shape) or any(n not in (1, m) for n, m in zip(reversed(other), reversed(shape))):
        raise RuntimeError(f"a tensor of shape {other} does not broadcast to {shape}, the shape of the tensor that is "
                           "to be changed in place")


def twin(name: str, of: Any) -> Any:
    """The in-place form of the method ``of`` called ``name``."""
    operation = _operation(name, of)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tracing.recorder is not None and tracing.recorder.takes():
            return tracing.recorder.method(f"aten::{name.strip('_')}_", method, self, *args, **kwargs)
        if not inplace.check(self, *args, *kwargs.values()) and operation is not None and not kwargs and (
                _write(operation, self, args)):
            return self
        since = tick()
        try:
            result = getattr(self, name)(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}_(): {error}") from None
        if result is self or result is NotImplemented:
            return result
        return inplace.change(self, inplace.fitting(self, result), since)

    method.__doc__ = f"`{name}` in place: the tensor takes the result's values. Returns the tensor."
    return method


def in_place(families: Iterable[type[Methods]], elementwise: Iterable[type[Methods]]) -> type[Methods]:
    """A mixin with the in-place twins of the methods of some families, of which some are all elementwise."""
    members: dict[str, Any] = {"__slots__": (), "__doc__": "In-place forms of the methods of other families.",
                               "__module__": __name__}
    have = {name: method for family in families for name, method in vars(family).items()}
    for family in families:
        names = set(family.IN_PLACE.split())
        if family in elementwise:
            names |= set(family.FUNCTIONS.split()) - WITHOUT
        members.update({f"{name}_": twin(name, have[name]) for name in sorted(names) if f"{name}_" not in have})
    members.update({to: twin(name, have[name]) for to, name in OPERATORS.items() if name in have})
    for name, method in members.items():
        if callable(method):
            method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    return type("InPlace", (Methods,), members)
