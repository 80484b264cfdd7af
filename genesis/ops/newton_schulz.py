"""Newton-Schulz iterations, which make matrices nearly orthogonal by products alone."""

from __future__ import annotations

from ..dtypes import float64
from .array import Array
from .elementwise import contiguous, run
from .matmul import product, transposed
from .reduce import reduce


def orthogonalize(x: Array, coefficients: tuple[float, float, float], steps: int, eps: float, scale: float) -> None:
    """Replace matrices U S Vᵀ by ``scale`` times nearly U Vᵀ, in place.

    They are divided by their Frobenius norms, or by ``eps`` where that is larger, so that no singular value is above 1,
    and then ``steps`` times replaced by c₁ X + c₃ (X Xᵀ) X + c₅ (X Xᵀ)² X, which takes each singular value s to
    c₁ s + c₃ s³ + c₅ s⁵.

    Args:
        x: (count, rows, columns), float32 or float64, of any strides.
        coefficients: c₁, c₃ and c₅.
    """
    long = x.shape[1] > x.shape[2]         # then Xᵀ, whose X Xᵀ is the smaller one
    y = contiguous(transposed(x) if long else x)
    norm = run("sqrt", [reduce("sumsq", y, (1, 2), keepdim=True)], x.dtype)
    y = run("div", [y, run("maximum", [norm, eps], x.dtype)], x.dtype)
    for _ in range(steps):
        gram = product(y, transposed(y))                                     # (count, n, n)
        y = product(_polynomial(gram, product(gram, gram), coefficients), y)
    run("mul", [transposed(y) if long else y, scale], x.dtype, out=x)


def _polynomial(gram: Array, square: Array, coefficients: tuple[float, float, float]) -> Array:
    """The polynomial c₁ I + c₃ A + c₅ A², written over A²."""
    wide = gram.dtype is float64
    defines = (("REAL", gram.dtype.name), *([("REAL64", 1)] if wide else []))
    kernel = gram.device.programs.kernel("optim/newton_schulz.cl", "polynomial", "PPl" + ("ddd" if wide else "fff"),
                                         defines)
    kernel((gram.size,), None, gram.buffer.handle, square.buffer.handle, gram.shape[-1], *coefficients)
    return square
