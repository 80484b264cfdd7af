"""Sums of products over named dimensions: einsum and tensordot, by way of matrix products."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .ops.array import normalize_axis
from .tensor import Tensor

# A dimension's label is a letter, or the number of a dimension of the ellipsis counted from its end (-1 the last).
Label = str | int


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sum of products of elements whose dimensions are named by letters.

    Args:
        equation: such as ``"bij,bjk->bik"``: a letter for each dimension of each operand, then those of the result. A
            letter twice in an operand takes its diagonal; one that the result lacks is summed over; ``...`` stands for
            any further dimensions, which broadcast. Without ``->``, the result has the letters that appear once, in
            alphabetical order.
        operands: tensors, one by one or in a list. Instead of an equation, operands may alternate with lists of numbers
            that name their dimensions: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Raises:
        RuntimeError: the equation does not fit the operands.

    Example:
        >>> genesis.einsum("ij,j->i", genesis.tensor([[1.0, 2.0], [3.0, 4.0]]), genesis.tensor([1.0, 10.0]))
        tensor([21., 43.])
    """
    if isinstance(equation, Tensor):
        equation, operands = _of_lists((equation, *operands))
    elif len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    inputs, output = _parse(equation, operands)
    terms = [_tidy(x, labels, sizes := _sizes(inputs, operands)) for x, labels in zip(operands, inputs)]
    x, labels = terms[0]
    # Products of integers keep their type; the sums of one operand are int64, as those of `sum`.
    x, labels = _sum_out(x, labels, {*output, *(m for _, more in terms[1:] for m in more)}, len(terms) > 1)
    for i, (y, other) in enumerate(terms[1:], 1):
        kept = {*output, *(m for _, more in terms[i + 1:] for m in more)}
        x, labels = _product(x, labels, *_sum_out(y, other, {*labels, *kept}), kept)
    # What all operands had in size 1 only is still missing where the result asks for it.
    missing = [m for m in output if m not in labels]
    for label in missing:
        x, labels = x.unsqueeze(-1), [*labels, label]
    x = x.permute([labels.index(m) for m in output]) if labels != output else x
    return x.expand([sizes[m] for m in output]) if missing else x


def _of_lists(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The equation that operands and lists of numbers stand for."""
    letters = string.ascii_uppercase + string.ascii_lowercase

    def text(numbers: Sequence[Any]) -> str:
        if any(n is not Ellipsis and not 0 <= n < 52 for n in numbers):
            raise RuntimeError(f"einsum() names dimensions by numbers from 0 to 51, got {list(numbers)}")
        return "".join("..." if n is Ellipsis else letters[n] for n in numbers)

    operands, names = given[0:len(given) // 2 * 2:2], given[1::2]
    equation = ",".join(text(n) for n in names)
    return equation + ("->" + text(given[-1]) if len(given) % 2 else ""), operands


def _parse(equation: str, operands: Sequence[Any]) -> tuple[list[list[Label]], list[Label]]:
    """The labels of each operand's dimensions and those of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum(): {equation!r} names {len(terms)} operands, got {len(operands)}")
    inputs = [_labels(term, x.ndim, equation) for term, x in zip(terms, operands)]
    extra = sorted({m for labels in inputs for m in labels if isinstance(m, int)})
    if arrow:
        if not _valid(right):
            raise RuntimeError(f"einsum(): {right!r} in {equation!r} has something else than letters and one '...'")
        before, dots, after = right.partition("...")
        output: list[Label] = [*before, *(extra if dots else []), *after]
        known = {m for labels in inputs for m in labels}
        if len(set(output)) != len(output) or not set(output) <= known:
            raise RuntimeError(f"einsum(): the result {right!r} of {equation!r} has a letter twice, or one that no "
                               "operand has")
    else:
        counts = Counter(m for labels in inputs for m in labels if isinstance(m, str))
        output = [*extra, *sorted(m for m, n in counts.items() if n == 1)]
    return inputs, output


def _valid(term: str) -> bool:
    return term.count(".") in (0, 3) and all(c in string.ascii_letters for c in term.replace("...", ""))


def _labels(term: str, ndim: int, equation: str) -> list[Label]:
    if not _valid(term):
        raise RuntimeError(f"einsum(): {term!r} in {equation!r} has something else than letters and one '...'")
    before, dots, after = term.partition("...")
    more = ndim - len(before) - len(after)
    if more < 0 or (more and not dots):
        raise RuntimeError(f"einsum(): {term!r} in {equation!r} does not fit a tensor of {ndim} dimensions")
    return [*before, *range(-more, 0), *after]


def _sizes(inputs: list[list[Label]], operands: Sequence[Any]) -> dict[Label, int]:
    """The size of each label; operands of size 1 broadcast."""
    sizes: dict[Label, int] = {}
    for labels, x in zip(inputs, operands):
        for label, n in zip(labels, x._array.shape):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            elif n not in (1, sizes[label]):
                raise RuntimeError(f"einsum(): dimension {label!r} has sizes {sizes[label]} and {n}")
    return sizes


def _tidy(x: Any, labels: list[Label], sizes: dict[Label, int]) -> tuple[Any, list[Label]]:
    """The operand with each label once, without dimensions of size 1 that others have in full."""
    for label in [m for m, n in Counter(labels).items() if n > 1]:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = x.diagonal(0, first, second)
            labels = [m for a, m in enumerate(labels) if a not in (first, second)] + [label]
    narrow = [a for a, m in enumerate(labels) if x._array.shape[a] == 1 and sizes[m] != 1]
    if narrow:
        x, labels = x.squeeze(narrow), [m for a, m in enumerate(labels) if a not in narrow]
    return x, labels


def _sum_out(x: Any, labels: list[Label], needed: set[Label], same_type: bool = True) -> tuple[Any, list[Label]]:
    axes = [a for a, m in enumerate(labels) if m not in needed]
    if not axes:
        return x, labels
    return x.sum(axes, dtype=x.dtype if same_type else None), [m for m in labels if m in needed]


def _product(x: Any, first: list[Label], y: Any, second: list[Label], kept: set[Label]) -> tuple[Any, list[Label]]:
    """The product of two operands, summed over labels that are not kept."""
    both = [m for m in first if m in second]
    batch, summed = [m for m in both if m in kept], [m for m in both if m not in kept]
    left, right = [m for m in first if m not in both], [m for m in second if m not in both]
    size = dict(zip((*first, *second), (*x._array.shape, *y._array.shape)))

    def arranged(z: Any, labels: list[Label], *groups: list[Label]) -> Any:
        z = z.permute([labels.index(m) for group in groups for m in group])
        return z.reshape([math.prod(size[m] for m in group) for group in groups])

    result = [*batch, *left, *right]
    if not summed or not x.dtype.has_gradients or not y.dtype.has_gradients:
        order = [*result, *summed]

        def spread(z: Any, labels: list[Label]) -> Any:
            z = z.permute([labels.index(m) for m in order if m in labels])
            return z.reshape([size[m] if m in labels else 1 for m in order])

        product = spread(x, first) * spread(y, second)
        return (product.sum(list(range(len(result), len(order))), dtype=product.dtype) if summed else product), result
    if x.dtype is not y.dtype:
        raise RuntimeError(f"einsum() needs operands of one type, not {x.dtype} and {y.dtype}")
    if batch:
        product = arranged(x, first, batch, left, summed) @ arranged(y, second, batch, summed, right)
    else:
        product = arranged(x, first, left, summed) @ arranged(y, second, summed, right)
    return product.reshape([size[m] for m in result]), result


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum of products over several dimensions of two tensors.

    Args:
        a, b: tensors.
        dims: how many dimensions, the last of ``a`` with the first of ``b``; or two lists of dimensions. Where one
            of two has size 1, the other is summed.
    """
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot() cannot contract {dims} dimensions of {a.ndim} and {b.ndim}")
        mine, its = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        listed = [[d] if isinstance(d, int) else list(d) for d in dims]
        mine = [normalize_axis(d, a.ndim) for d in listed[0]]
        its = [normalize_axis(d, b.ndim) for d in listed[1]]
        if len(mine) != len(its):
            raise RuntimeError(f"tensordot() needs as many dimensions on both sides, not {dims}")
    names: list[Label] = [f"a{i}" for i in range(a.ndim)]
    others: list[Label] = [f"b{i}" for i in range(b.ndim)]
    for i, (d, e) in enumerate(zip(mine, its)):
        if a._array.shape[d] != b._array.shape[e]:
            if a._array.shape[d] == 1:
                b = b.sum(e, keepdim=True, dtype=b.dtype)
            elif b._array.shape[e] == 1:
                a = a.sum(d, keepdim=True, dtype=a.dtype)
        if a._array.shape[d] != b._array.shape[e]:
            raise RuntimeError(f"tensordot(): dimension {d} of size {a._array.shape[d]} does not fit dimension {e} of "
                               f"size {b._array.shape[e]}")
        names[d] = others[e] = f"s{i}"
    kept = {m for m in (*names, *others) if not str(m).startswith("s")}
    result: Tensor = _product(a, names, b, others, kept)[0]
    return result


__all__ = ["einsum", "tensordot"]
