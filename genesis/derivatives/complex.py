"""Rules of operations on complex numbers, and of Fourier transforms."""

from __future__ import annotations

from typing import Any

from ..autograd import apply
from ..complex_numbers import view_as_complex, view_as_real
from ..ops import complex as ops
from ..ops.fft import Transform, doubling
from ..tensor import Tensor, tensor
from .rules import fitted, rule, vjp, where


@rule(ops.Conj)
def _conj(ctx: Any, g: Tensor) -> Tensor:
    return g.conj()


@rule(ops.ViewAsReal)
def _view_as_real(ctx: Any, g: Tensor) -> Tensor:
    return view_as_complex(g.clone() if g._array.as_complex() is None else g)


@rule(ops.ViewAsComplex)
def _view_as_complex(ctx: Any, g: Tensor) -> Tensor:
    return view_as_real(g)


@rule(ops.FromParts)
def _from_parts(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    return tuple([fitted(part, shape, dtype) if need else None
                  for part, shape, dtype, need in zip((g.real, g.imag), ctx.shapes, ctx.dtypes, ctx.needs)])


@rule(ops.Abs, saved=(0,))
def _abs(ctx: Any, g: Tensor) -> Tensor:
    return g * ctx.saved[0].sgn()


@rule(ops.Angle, saved=(0,))
def _angle(ctx: Any, g: Tensor) -> Any:
    return vjp(lambda x: x.imag.atan2(x.real), ctx.saved, g)[0]


@rule(ops.Sgn, saved=(0,))
def _sgn(ctx: Any, g: Tensor) -> Any:
    return vjp(lambda x: x / where(x == 0, 1.0, x.abs()), ctx.saved, g)[0]


@rule(ops.Product, saved=(0, 1))
def _product(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    a, b = ctx.saved
    return (fitted(g @ b.mH, a._array.shape, a.dtype) if ctx.needs[0] else None,
            fitted(a.mH @ g, b._array.shape, b.dtype) if ctx.needs[1] else None)


@rule(Transform)
def _transform(ctx: Any, g: Tensor) -> Tensor:
    axis, n, kind, inverse, scale = ctx.options
    options = {"axis": axis, "n": n, "inverse": not inverse, "scale": scale}
    if kind == "complex":
        result: Tensor = apply(Transform, g, kind=kind, **options)
        return result if ctx.kind.is_complex else result.real
    weights = tensor(doubling(n), dtype=g.dtype.to_real(), device=g.device).reshape((-1,) + (1,) * (g.ndim - 1 - axis))
    if kind == "half":
        real: Tensor = apply(Transform, g / weights, kind="real", **options)
        return real
    half: Tensor = apply(Transform, g, kind="half", **options)
    return half * weights
