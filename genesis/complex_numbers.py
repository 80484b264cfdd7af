"""Complex tensors from real ones and the other way round."""

from __future__ import annotations

from typing import Any

from .autograd import apply
from .ops import complex as ops
from .tensor import Tensor


def _check(name: str, real: Any, imag: Any) -> None:
    for x in (real, imag):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}() needs tensors, not {type(x).__name__}")
    if real.dtype is not imag.dtype or real.dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() needs two tensors of float32 or two of float64, not {real.dtype} and "
                           f"{imag.dtype}")


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers from their parts, ``real + 1j * imag``.

    Args:
        real, imag: float32 (for complex64) or float64 (for complex128), shapes that broadcast.

    Raises:
        RuntimeError: another type, or two different ones.

    Example:
        >>> genesis.complex(genesis.tensor([1.0, 2.0]), genesis.tensor([0.0, -1.0]))
        tensor([1.+0.j, 2.-1.j])
    """
    _check("complex", real, imag)
    result: Tensor = apply(ops.FromParts, real, imag)
    return result


def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers from absolute values and angles, ``abs * exp(1j * angle)``.

    Args:
        abs, angle: float32 (for complex64) or float64 (for complex128), shapes that broadcast.

    Raises:
        RuntimeError: another type, or two different ones.

    Example:
        >>> genesis.polar(genesis.tensor([2.0]), genesis.tensor([0.0]))
        tensor([2.+0.j])
    """
    _check("polar", abs, angle)
    return complex(abs * angle.cos(), abs * angle.sin())


def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as real numbers (..., 2), real and imaginary parts; a view.

    Raises:
        RuntimeError: the tensor is not complex.

    Example:
        >>> genesis.view_as_real(genesis.tensor([1 + 2j]))
        tensor([[1., 2.]])
    """
    if not input.dtype.is_complex:
        raise RuntimeError(f"view_as_real() needs a complex tensor, not one of {input.dtype}")
    result: Tensor = apply(ops.ViewAsReal, input)
    return result


def view_as_complex(input: Tensor) -> Tensor:
    """Real numbers (..., 2) as a complex tensor (...); a view.

    Raises:
        RuntimeError: the last dimension's size is not 2, the type has no complex one, or the pairs do not lie in memory
            as complex numbers do.

    Example:
        >>> genesis.view_as_complex(genesis.tensor([[1.0, 2.0], [3.0, -4.0]]))
        tensor([1.+2.j, 3.-4.j])
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"view_as_complex() needs a floating-point tensor, not one of {input.dtype}")
    result: Tensor = apply(ops.ViewAsComplex, input)
    return result


def real(input: Tensor) -> Tensor:
    """The real parts, a view; of a real tensor the tensor itself. The same as ``input.real``."""
    result: Tensor = input.real
    return result


def imag(input: Tensor) -> Tensor:
    """The imaginary parts, a view. The same as ``input.imag``.

    Raises:
        RuntimeError: the tensor is real.
    """
    result: Tensor = input.imag
    return result


def of_parts(function: Any, input: Tensor) -> Tensor:
    """A real linear function of complex numbers: of their real and of their imaginary parts."""
    return complex(function(input.real), function(input.imag))


__all__ = ["complex", "imag", "polar", "real", "view_as_complex", "view_as_real"]
