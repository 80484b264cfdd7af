"""Blocks of images as columns, and columns added up to images again."""

from __future__ import annotations

import math

from ...autograd import apply
from ...complex_numbers import of_parts
from ...ops.fold import Blocks, Col2Im, Im2Col
from ...tensor import Tensor
from .conv import Ints, spread

Pair = tuple[int, ...]


def _counts(name: str, size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Pair:
    """How many blocks fit along height and width; ``RuntimeError`` when none do."""
    for what, values, least in (("kernel_size", kernel, 1), ("dilation", dilation, 1), ("padding", padding, 0),
                                ("stride", stride, 1)):
        if min(values) < least:
            raise RuntimeError(f"{name}: {what} must be at least {least}, not {values}")
    counts = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1
                   for n, k, d, p, s in zip(size, kernel, dilation, padding, stride))
    if min(counts) < 1:
        raise RuntimeError(f"{name}: no block of size {kernel} with dilation {dilation} fits images of size {size} "
                           f"with padding {padding}")
    return counts


def unfold(input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Tensor:
    """The blocks that a convolution would multiply by its filters, as columns.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: height and width of the blocks; one number for both.
        dilation: distance between a block's elements.
        padding: rows and columns of zeros on each side.
        stride: distance between blocks.

    Returns:
        (N, C * kh * kw, L), or without N: column l is block l, row by row of the image.

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.unfold(genesis.arange(6.0).view(1, 2, 3), 2)
        tensor([[0., 1.],
                [1., 2.],
                [3., 4.],
                [4., 5.]])
    """
    if input.is_complex():
        return of_parts(lambda x: unfold(x, kernel_size, dilation, padding, stride), input)
    if input.ndim not in (3, 4):
        raise RuntimeError(f"unfold needs an input (N, C, H, W) or (C, H, W), not of shape {tuple(input.shape)}")
    kernel, spacing = spread("kernel_size", kernel_size, 2), spread("dilation", dilation, 2)
    before, steps = spread("padding", padding, 2), spread("stride", stride, 2)
    counts = _counts("unfold", tuple(input.shape)[-2:], kernel, spacing, before, steps)
    lead = tuple(input.shape)[:-2]
    columns: Tensor = apply(Im2Col, input.reshape(math.prod(lead), *input.shape[-2:]), blocks=Blocks(
        tuple(input.shape)[-2:], counts, kernel, steps, before, spacing))  # type: ignore[arg-type]
    return columns.reshape(*lead[:-1], lead[-1] * math.prod(kernel), math.prod(counts))


def fold(input: Tensor, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0,
         stride: Ints = 1) -> Tensor:
    """Columns of `unfold` put back into images; where blocks overlap, they are added.

    Args:
        input: (N, C * kh * kw, L) or (C * kh * kw, L).
        output_size: (H, W); one number for both.
        kernel_size: height and width of the blocks.
        dilation: distance between a block's elements.
        padding: rows and columns of the blocks that lie outside of the image, on each side.
        stride: distance between blocks.

    Returns:
        (N, C, H, W), or without N.

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.fold(genesis.ones(4, 2), (2, 3), 2)        # how many blocks each element is in
        tensor([[[1., 2., 1.],
                 [1., 2., 1.]]])
    """
    if input.is_complex():
        return of_parts(lambda x: fold(x, output_size, kernel_size, dilation, padding, stride), input)
    size = spread("output_size", output_size, 2)
    kernel, spacing = spread("kernel_size", kernel_size, 2), spread("dilation", dilation, 2)
    before, steps = spread("padding", padding, 2), spread("stride", stride, 2)
    counts = _counts("fold", size, kernel, spacing, before, steps)
    if input.ndim not in (2, 3) or input.shape[-2] % math.prod(kernel) or input.shape[-1] != math.prod(counts):
        raise RuntimeError(f"fold needs an input (N, C * {math.prod(kernel)}, {math.prod(counts)}), or without N, for "
                           f"blocks of {kernel} and images of {size}, not of shape {tuple(input.shape)}")
    lead = (*input.shape[:-2], input.shape[-2] // math.prod(kernel))
    columns = input.reshape(math.prod(lead), math.prod(kernel), math.prod(counts))
    image: Tensor = apply(Col2Im, columns, blocks=Blocks(
        size, counts, kernel, steps, before, spacing))  # type: ignore[arg-type]
    return image.reshape(*lead, *size)


__all__ = ["fold", "unfold"]
