"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd import apply
from ...complex_numbers import complex
from ...joining import cat
from ...ops.conv import Convolution, Geometry, TransposedConvolution
from ...ops.fold import Blocks, Col2Im
from ...tensor import Tensor
from .padding import pad

Ints = int | Sequence[int]


def spread(name: str, value: Any, n: int) -> tuple[int, ...]:
    """A size for each of n spatial dimensions, from one for all or a sequence of them.

    Raises:
        RuntimeError: a sequence of another length.
        TypeError: what is neither an integer nor a sequence of integers.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * n
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(i, int) for i in value):
        raise TypeError(f"{name} must be an integer or {n} of them, not {value!r}")
    if len(value) not in (1, n):
        raise RuntimeError(f"{name} must be an integer or {n} of them, one a spatial dimension, not {tuple(value)}")
    return tuple(value) * (n // len(value))


def _at_least(least: int, **sizes: tuple[int, ...]) -> None:
    for name, values in sizes.items():
        if min(values) < least:
            raise RuntimeError(f"{name} must be at least {least}, not {values}")


def _check(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int,
           transposed: bool) -> None:
    """The shapes and types that fit; ``RuntimeError`` for others."""
    x, w = tuple(input.shape), tuple(weight.shape)
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name} needs an input of {n + 1} (unbatched) or {n + 2} (batched) dimensions, "
                           f"not of shape {x}")
    if weight.ndim != n + 2:
        raise RuntimeError(f"{name} needs a weight of {n + 2} dimensions, not of shape {w}")
    if not input.dtype.has_gradients:
        raise RuntimeError(f"{name} of {input.dtype.name} is not supported; convert to float32")
    for kind, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype is not input.dtype and (input.is_complex() or other.is_complex()):
            raise RuntimeError(f"{name} needs an input and a {kind} of one type, not {input.dtype} and {other.dtype}")
    if groups < 1:
        raise RuntimeError(f"groups must be at least 1, not {groups}")
    if w[0] % groups:
        raise RuntimeError(f"groups={groups} does not divide the {w[0]} channels of the weight's first dimension; its "
                           f"shape is {w}")
    if min(w[2:]) < 1:
        raise RuntimeError(f"{name} needs a filter of at least one element along each dimension, not of shape {w}")
    inputs, outputs = (w[0], w[1] * groups) if transposed else (w[1] * groups, w[0])
    if x[-n - 1] != inputs:
        raise RuntimeError(f"with groups={groups}, a weight of shape {w} needs an input of {inputs} channels, not "
                           f"{x[-n - 1]}; the input's shape is {x}")
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(f"a weight of shape {w} needs a bias of shape ({outputs},), not {tuple(bias.shape)}")


def _complex(convolve: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of complex numbers: those of both parts of the input, as one batch, with both of the weight."""
    n = weight.ndim - 2
    x = input if input.ndim == n + 2 else input.unsqueeze(0)
    parts = cat([x.real, x.imag])
    (a, b), (c, d) = (convolve(parts, w, None).chunk(2) for w in (weight.real, weight.imag))
    y = complex(a - d, b + c)
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * n)
    return y if input.ndim == n + 2 else y.squeeze(0)


def _run(operation: Any, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...],
         padding: tuple[int, ...], dilation: tuple[int, ...], groups: int, size: tuple[int, ...]) -> Tensor:
    batched = input.ndim == n + 2
    x = input if batched else input.unsqueeze(0)
    if n == 1:
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    elif n == 3:
        x = _depth_as_channels(x, weight.shape[2], stride[0], padding[0], dilation[0], size[0])
        weight, stride, padding, dilation = weight.flatten(1, 2), stride[1:], padding[1:], dilation[1:]
    geometry = Geometry(stride, padding, dilation, groups)  # type: ignore[arg-type]
    result: Tensor = apply(operation, x, weight, bias, geometry=geometry, size=size[-2:] if n == 3 else size)
    if n == 3:
        result = result.unflatten(0, (x.shape[0] // size[0], size[0])).transpose(1, 2)
    return result if batched else result.squeeze(0)


def _depth_as_channels(x: Tensor, taps: int, stride: int, padding: int, dilation: int, size: int) -> Tensor:
    """(N, C, D, H, W) -> (N * D', C * taps, H, W): for each depth of the result, what a filter meets along the depth.

    A convolution over three dimensions is then one over two, whose sums are as long; the input is copied as often as
    filters are deep.
    """
    samples, channels, depth, height, width = x.shape
    after = (size - 1) * stride + dilation * (taps - 1) + 1 - depth - padding
    if padding or after > 0:
        x = pad(x, (0, 0, 0, 0, padding, max(0, after)))
    windows = x.unfold(2, dilation * (taps - 1) + 1, stride)[:, :, :size, :, :, ::dilation]     # (N, C, D', H, W, taps)
    taken: Tensor = windows.permute(0, 2, 1, 5, 3, 4).reshape(samples * size, channels * taps, height, width)
    return taken


def _convolve(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: str | Ints,
              dilation: Ints, groups: int) -> Tensor:
    steps, spacing = spread("stride", stride, n), spread("dilation", dilation, n)
    _check(name, n, input, weight, bias, groups, False)
    if input.is_complex():
        return _complex(lambda x, w, b: _convolve(name, n, x, w, b, stride, padding, dilation, groups), input, weight,
                        bias)
    _at_least(1, stride=steps, dilation=spacing)
    sizes = tuple(input.shape)[-n:]
    reach = [d * (k - 1) for d, k in zip(spacing, tuple(weight.shape)[2:])]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"padding must be 'same', 'valid' or numbers, not {padding!r}")
        if padding == "same":
            if max(steps) > 1:
                raise RuntimeError(f"padding='same' does not go with a stride of {steps}: give the padding as numbers")
            half = tuple(r // 2 for r in reach)
            return _run(Convolution, n, input, weight, bias, steps, half, spacing, groups, sizes)
        padding = 0
    before = spread("padding", padding, n)
    _at_least(0, padding=before)
    padded = [size + 2 * p for size, p in zip(sizes, before)]
    if any(size < r + 1 for size, r in zip(padded, reach)):
        raise RuntimeError(f"{name}: the filter reaches over {tuple(r + 1 for r in reach)} elements, more than the "
                           f"padded input has: {tuple(padded)}")
    after = tuple((size - r - 1) // s + 1 for size, r, s in zip(padded, reach, steps))
    return _run(Convolution, n, input, weight, bias, steps, before, spacing, groups, after)


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: str | Ints = 0,
           dilation: Ints = 1, groups: int = 1) -> Tensor:
    """Convolution over one dimension; as `conv2d` without the height.

    Args:
        input: (N, C, L), or (C, L) without a batch.
        weight: (O, C / groups, k).
        bias: (O,).
        stride: as for `conv2d`, as are the arguments after it.
        padding: zeros before and after.
        dilation: distance between the filter's elements.
        groups: number of groups of channels.

    Returns:
        (N, O, L') or (O, L').

    Example:
        >>> genesis.nn.functional.conv1d(genesis.ones(1, 1, 5), genesis.ones(1, 1, 3), padding=1).tolist()
        [[[2.0, 3.0, 3.0, 3.0, 2.0]]]
    """
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: str | Ints = 0,
           dilation: Ints = 1, groups: int = 1) -> Tensor:
    """Convolution (cross-correlation, as everywhere in deep learning) over two dimensions.

    Args:
        input: (N, C, H, W), or (C, H, W) without a batch; floating point, or complex as the weight and the bias are.
        weight: (O, C / groups, kh, kw).
        bias: (O,).
        stride: distance between the filter's positions; a number, or (height, width).
        padding: zeros on each side of height and width; ``"valid"`` for none, ``"same"`` for as many as keep the size
            (with stride 1; an odd one goes after the last element).
        dilation: distance between the filter's elements.
        groups: the channels are split into so many groups, each with filters of its own.

    Returns:
        (N, O, H', W') or (O, H', W'), where H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.

    Raises:
        RuntimeError: shapes, types or sizes that do not fit.

    Example:
        >>> x = genesis.arange(9.).reshape(1, 1, 3, 3)
        >>> genesis.nn.functional.conv2d(x, genesis.ones(1, 1, 2, 2)).tolist()
        [[[[8.0, 12.0], [20.0, 24.0]]]]
    """
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: str | Ints = 0,
           dilation: Ints = 1, groups: int = 1) -> Tensor:
    """Convolution over three dimensions: that over two, of the depths that a filter meets as further channels.

    Args:
        input: (N, C, D, H, W), or (C, D, H, W) without a batch. It is copied as often as filters are deep.
        weight: (O, C / groups, kd, kh, kw).
        bias: (O,).
        stride: as for `conv2d`, as are the arguments after it: a number, or one each for depth, height and width.
        padding: zeros on each side.
        dilation: distance between the filter's elements.
        groups: number of groups of channels.

    Returns:
        (N, O, D', H', W') or (O, D', H', W').

    Raises:
        RuntimeError: shapes, types or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.conv3d(genesis.ones(1, 1, 2, 2, 2), genesis.ones(1, 1, 2, 2, 2)).tolist()
        [[[[[8.0]]]]]
    """
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _transpose(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints,
               output_padding: Ints, groups: int, dilation: Ints) -> Tensor:
    steps, spacing = spread("stride", stride, n), spread("dilation", dilation, n)
    before, extra = spread("padding", padding, n), spread("output_padding", output_padding, n)
    _check(name, n, input, weight, bias, groups, True)
    if input.is_complex():
        return _complex(lambda x, w, b: _transpose(name, n, x, w, b, stride, padding, output_padding, groups, dilation),
                        input, weight, bias)
    _at_least(1, stride=steps, dilation=spacing)
    _at_least(0, padding=before, output_padding=extra)
    if any(e >= s and e >= d for e, s, d in zip(extra, steps, spacing)):
        raise RuntimeError(f"output_padding must be smaller than stride or dilation; it is {extra}, they are {steps} "
                           f"and {spacing}")
    sizes, filters = tuple(input.shape)[-n:], tuple(weight.shape)[2:]
    after = tuple((size - 1) * s - 2 * p + d * (k - 1) + e + 1
                  for size, s, p, d, k, e in zip(sizes, steps, before, spacing, filters, extra))
    if min(sizes) < 1 or min(after) < 1:
        raise RuntimeError(f"{name}: an input of size {sizes} gives an output of size {after}, which is too small")
    if n == 3:
        return _transpose_depth(input, weight, bias, steps, before, spacing, groups, after)
    return _run(TransposedConvolution, n, input, weight, bias, steps, before, spacing, groups, after)


def _transpose_depth(input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...],
                     padding: tuple[int, ...], dilation: tuple[int, ...], groups: int, size: tuple[int, ...]) -> Tensor:
    """Over three dimensions: over two for all depths and depths of the filters, which are then added up in place.

    Of 16 bits only the sums are made, not what is added up.
    """
    if input.dtype.itemsize == 2:
        wide = _transpose_depth(input.float(), weight.float(), None if bias is None else bias.float(), stride, padding,
                                dilation, groups, size)
        return wide.to(input.dtype)
    x = input if input.ndim == 5 else input.unsqueeze(0)
    samples, depth, taps = x.shape[0], x.shape[2], weight.shape[2]
    planes = _run(TransposedConvolution, 2, x.transpose(1, 2).flatten(0, 1), weight.flatten(1, 2), None, stride[1:],
                  padding[1:], dilation[1:], groups, size[1:])                      # (N * D, O * taps, H', W')
    outputs, area = planes.shape[1] // taps, size[1] * size[2]
    blocks = planes.reshape(samples, depth, outputs, taps, area).permute(0, 2, 3, 1, 4)
    y: Tensor = apply(Col2Im, blocks.reshape(samples * outputs, taps, depth * area), blocks=Blocks(
        (size[0], area), (depth, area), (taps, 1), (stride[0], 1), (padding[0], 0), (dilation[0], 1)))
    y = y.reshape(samples, outputs, *size)
    if bias is not None:
        y = y + bias.reshape(-1, 1, 1, 1)
    return y if input.ndim == 5 else y.squeeze(0)


def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
                     output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1) -> Tensor:
    """Transposed convolution over one dimension; as `conv_transpose2d` without the height.

    Args:
        input: (N, C, L) or (C, L).
        weight: (C, O / groups, k).
        bias: (O,).
        stride: as for `conv_transpose2d`, as are the arguments after it.
        padding: elements cut off on both sides.
        output_padding: elements more at the end.
        groups: number of groups of channels.
        dilation: distance between the filter's elements.

    Returns:
        (N, O, L') or (O, L').
    """
    return _transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
                     output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1) -> Tensor:
    """Transposed convolution: what takes a convolution's output back to the size of its input, as its gradient does.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, kh, kw).
        bias: (O,).
        stride: distance in the output of the areas that neighbouring pixels are spread over.
        padding: rows and columns cut off on each side: the padding of the convolution that this goes back from.
        output_padding: rows and columns more at the end, to choose among the sizes that a stride makes equal.
        groups: number of groups of channels.
        dilation: distance between the filter's elements.

    Returns:
        (N, O, H', W') or (O, H', W'), where H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.

    Raises:
        RuntimeError: shapes, types or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.conv_transpose2d(genesis.ones(1, 1, 2, 2), genesis.ones(1, 1, 2, 2)).tolist()
        [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    return _transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
                     output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1) -> Tensor:
    """Transposed convolution over three dimensions; as `conv_transpose2d` with a depth.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W). The result is formed once for each depth of the filters, and added up.
        weight: (C, O / groups, kd, kh, kw).
        bias: (O,).
        stride: as for `conv_transpose2d`, as are the arguments after it: a number, or one each for depth, height and
            width.
        padding: elements cut off on each side.
        output_padding: elements more at the end.
        groups: number of groups of channels.
        dilation: distance between the filter's elements.

    Returns:
        (N, O, D', H', W') or (O, D', H', W').

    Raises:
        RuntimeError: shapes, types or sizes that do not fit.

    Example:
        >>> ones = genesis.ones(1, 1, 2, 1, 1)
        >>> genesis.nn.functional.conv_transpose3d(ones, ones).flatten().tolist()
        [1.0, 2.0, 1.0]
    """
    return _transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
