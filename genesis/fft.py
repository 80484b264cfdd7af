"""Discrete Fourier transforms, by the names of ``torch.fft``.

Lengths may be any; those that are products of primes up to 13 are quickest. Real and complex tensors in single or
double precision are taken, integers become floating point. All transforms have derivatives of every order. ``norm`` is
``"backward"`` (the default: the inverse transform divides by the length), ``"forward"`` (the forward one does) or
``"ortho"`` (both divide by its square root).

Example:
    >>> x = genesis.tensor([1.0, 0.0, -1.0, 0.0])
    >>> genesis.fft.rfft(x).real
    tensor([0., 2., 0.])
    >>> genesis.fft.irfft(genesis.fft.rfft(x), n=4)
    tensor([ 1.,  0., -1.,  0.])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .autograd import apply
from .creation import arange
from .dtypes import as_dtype, float32, float64, get_default_dtype
from .ops.array import normalize_axis
from .ops.fft import Transform
from .ops.views import Pad
from .tensor import Tensor

Sizes = Sequence[int] | int | None
_OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _scale(norm: str | None, inverse: bool, n: int) -> float:
    """The factor of a transform of ``n`` elements."""
    norm = norm or "backward"
    if norm not in _OTHER:
        raise RuntimeError(f"norm must be 'backward', 'forward' or 'ortho', not {norm!r}")
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if (norm == "backward") == inverse else 1.0


def _prepared(name: str, input: Tensor, real: bool = False) -> Tensor:
    """The tensor as a transform takes it."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}() needs a tensor, not {type(input).__name__}")
    if real and input.is_complex():
        raise RuntimeError(f"{name}() needs a real tensor, not one of {input.dtype}")
    if not input.dtype.has_gradients:
        input = input.to(get_default_dtype())
    if not input.dtype.is_complex and input.dtype not in (float32, float64):
        raise RuntimeError(f"{name}() takes float32, float64 and complex tensors, not {input.dtype}; convert it first")
    return input


def _sized(name: str, x: Tensor, axis: int, n: int) -> Tensor:
    """The tensor cut or filled up with zeros to ``n`` elements along a dimension."""
    if n < 1:
        raise RuntimeError(f"{name}() needs at least one element along the dimension, not {n}")
    size = x._array.shape[axis]
    if size > n:
        return x.narrow(axis, 0, n)
    return x if size == n else apply(Pad, x, pads=((axis, 0, n - size),), value=0.0)


def _along(name: str, x: Tensor, n: int | None, dim: int, norm: str | None, kind: str, inverse: bool) -> Tensor:
    """One transform along one dimension."""
    x = _prepared(name, x, real=kind == "half")
    if not x.ndim:
        raise IndexError(f"{name}() needs a tensor with at least one dimension")
    axis = normalize_axis(dim, x.ndim)
    if kind == "real":
        n = 2 * (x._array.shape[axis] - 1) if n is None else n
        x = _sized(name, x if x.is_complex() else x.to(x.dtype.to_complex()), axis, n // 2 + 1 if n > 0 else n)
    else:
        n = x._array.shape[axis] if n is None else n
        x = _sized(name, x, axis, n)
    result: Tensor = apply(Transform, x, axis=axis, n=n, kind=kind, inverse=inverse, scale=_scale(norm, inverse, n))
    return result


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The transform along a dimension: ``out[k] = sum over j of input[j] exp(-2 pi i j k / n)``.

    Args:
        input: real or complex.
        n: the length, to which the tensor is cut or filled up with zeros; by default the dimension's size.
        dim: the dimension.
        norm: see the module.

    Raises:
        RuntimeError: the length is not positive, ``norm`` is another word, or the type is float16 or bfloat16.
        IndexError: no such dimension.

    Example:
        >>> genesis.fft.fft(genesis.tensor([1.0, 2.0]))
        tensor([ 3.+0.j, -1.+0.j])
    """
    return _along("fft", input, n, dim, norm, "complex", False)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`; arguments as there."""
    return _along("ifft", input, n, dim, norm, "complex", True)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first ``n // 2 + 1`` elements of the `fft` of a real tensor; the others are their conjugates.

    Raises:
        RuntimeError: the tensor is complex; and as `fft`.
    """
    return _along("rfft", input, n, dim, norm, "half", False)


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`: real numbers, ``n`` of them, by default ``2 * (size - 1)``. Give an odd ``n``."""
    return _along("irfft", input, n, dim, norm, "real", True)


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The `fft`, which is real, of a signal given by its first half, its other half being conjugates."""
    return _along("hfft", input, n, dim, norm, "real", False)


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`: the first half of the `ifft` of a real tensor."""
    return _along("ihfft", input, n, dim, norm, "half", True)


def _dims(name: str, x: Tensor, s: Sizes, dim: Sizes) -> list[tuple[int, int | None]]:
    """Dimensions, counted from the front, each with its length or None."""
    sizes = None if s is None else [s] if isinstance(s, int) else list(s)
    if dim is None:
        if sizes is not None and len(sizes) > x.ndim:
            raise RuntimeError(f"{name}() got {len(sizes)} sizes for a tensor of {x.ndim} dimensions")
        axes = list(range(x.ndim if sizes is None else len(sizes)))
        axes = [a + x.ndim - len(axes) for a in axes]
    else:
        axes = [normalize_axis(d, x.ndim) for d in ([dim] if isinstance(dim, int) else dim)]
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"{name}() got a dimension twice in {dim}")
    if sizes is None:
        return [(a, None) for a in axes]
    if len(sizes) != len(axes):
        raise RuntimeError(f"{name}() got {len(sizes)} sizes for {len(axes)} dimensions")
    return [(a, None if n == -1 else n) for a, n in zip(axes, sizes)]


def _over(name: str, x: Tensor, s: Sizes, dim: Sizes, norm: str | None, kind: str, inverse: bool) -> Tensor:
    """A transform along several dimensions; the last of them is the one that has halves."""
    x = _prepared(name, x, real=kind == "half")
    places = _dims(name, x, s, dim)
    if kind != "complex" and not places:
        raise RuntimeError(f"{name}() needs at least one dimension")
    order = [(a, n, "complex") for a, n in places[:-1]]
    order = [*order, (*places[-1], kind)] if places else []
    if kind == "half":
        order = order[::-1]
    for axis, n, each in order:
        x = _along(name, x, n, axis, norm, each, inverse)
    return x if order else x.to(x.dtype.to_complex())


def fftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """`fft` along several dimensions.

    Args:
        input: real or complex.
        s: the lengths, -1 for the dimension's size; by default all sizes.
        dim: the dimensions; by default the last ones, as many as there are sizes in ``s``, or all.
        norm: see the module.

    Raises:
        RuntimeError: a dimension is named twice, or there are not as many sizes as dimensions; and as `fft`.
    """
    return _over("fftn", input, s, dim, norm, "complex", False)


def ifftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`."""
    return _over("ifftn", input, s, dim, norm, "complex", True)


def rfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """`fftn` of a real tensor; the last of the dimensions has only the first half of the result, as in `rfft`."""
    return _over("rfftn", input, s, dim, norm, "half", False)


def irfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`, a real tensor."""
    return _over("irfftn", input, s, dim, norm, "real", True)


def hfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """`fftn`, which is real, of a signal of which the last dimension has the first half, as in `hfft`."""
    return _over("hfftn", input, s, dim, norm, "real", False)


def ihfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`."""
    return _over("ihfftn", input, s, dim, norm, "half", True)


def fft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`fftn` along two dimensions.

    Example:
        >>> genesis.fft.fft2(genesis.ones(2, 2)).real
        tensor([[4., 0.],
                [0., 0.]])
    """
    return _over("fft2", input, s, dim, norm, "complex", False)


def ifft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`ifftn` along two dimensions."""
    return _over("ifft2", input, s, dim, norm, "complex", True)


def rfft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfftn` along two dimensions."""
    return _over("rfft2", input, s, dim, norm, "half", False)


def irfft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`irfftn` along two dimensions."""
    return _over("irfft2", input, s, dim, norm, "real", True)


def hfft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfftn` along two dimensions."""
    return _over("hfft2", input, s, dim, norm, "real", False)


def ihfft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: str | None = None) -> Tensor:
    """`ihfftn` along two dimensions."""
    return _over("ihfft2", input, s, dim, norm, "half", True)


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of the elements of an `fft` of ``n`` samples, in cycles a unit of their distance ``d``.

    Example:
        >>> genesis.fft.fftfreq(4)
        tensor([ 0.  ,  0.25, -0.5 , -0.25])
    """
    whole = arange(n, dtype=as_dtype(dtype or get_default_dtype()), device=device)
    wrapped: Any = (whole + n // 2) % n - n // 2
    result: Tensor = wrapped * (1.0 / (n * d))
    return result.requires_grad_(requires_grad)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of the elements of an `rfft` of ``n`` samples.

    Example:
        >>> genesis.fft.rfftfreq(4)
        tensor([0.  , 0.25, 0.5 ])
    """
    whole = arange(n // 2 + 1, dtype=as_dtype(dtype or get_default_dtype()), device=device)
    result: Tensor = whole * (1.0 / (n * d))
    return result.requires_grad_(requires_grad)


def fftshift(input: Tensor, dim: Sizes = None) -> Tensor:
    """The elements of a transform in the order of their frequencies, 0 in the middle, along dimensions or all of them.

    Example:
        >>> genesis.fft.fftshift(genesis.fft.fftfreq(4))
        tensor([-0.5 , -0.25,  0.  ,  0.25])
    """
    axes = [a for a, _ in _dims("fftshift", input, None, dim)]
    return input.roll([input._array.shape[a] // 2 for a in axes], axes)


def ifftshift(input: Tensor, dim: Sizes = None) -> Tensor:
    """The inverse of `fftshift`."""
    axes = [a for a, _ in _dims("ifftshift", input, None, dim)]
    return input.roll([-(input._array.shape[a] // 2) for a in axes], axes)


__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn",
           "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq",
           "rfftn"]
