"""Functions of one tensor or several that PyTorch has at the top level alone: distances, combinations, integrals."""

from __future__ import annotations

import builtins
import functools
import itertools
import operator
from typing import TYPE_CHECKING, Any

from .autograd import same_device
from .dtypes import int64
from .joining import cat, meshgrid, stack
from .methods.support import real_only
from .ops.array import normalize_axis

if TYPE_CHECKING:
    from .tensor import Tensor


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    """A function of one tensor applied to one or, given several or a list, to each."""
    if len(tensors) == 1 and hasattr(tensors[0], "_array"):
        return change(tensors[0])
    return tuple(change(x) for x in (tensors[0] if len(tensors) == 1 else tensors))


def atleast_1d(*tensors: Any) -> Any:
    """A tensor with at least one dimension: 0-d becomes (1,). Several tensors, or a list, give a tuple."""
    return _each(tensors, lambda x: x if x.ndim else x.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """A tensor with at least two dimensions, new ones first. Several tensors, or a list, give a tuple."""
    return _each(tensors, lambda x: x if x.ndim > 1 else x.reshape(1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """A tensor with at least three dimensions: (n,) becomes (1, n, 1) and (n, m) becomes (n, m, 1)."""
    return _each(tensors, lambda x: x if x.ndim > 2 else x.unsqueeze(2) if x.ndim == 2 else x.reshape(1, -1, 1))


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a larger one that is 0 elsewhere; vectors count as rows.

    Raises:
        RuntimeError: a tensor has more than two dimensions.
    """
    from .creation import zeros

    blocks: list[Any] = list(atleast_2d(list(tensors)))
    if not blocks:
        return zeros(1, 0)
    wrong = [x.ndim for x in blocks if x.ndim > 2]
    if wrong:
        raise RuntimeError(f"block_diag() needs matrices or vectors, not {wrong[0]} dimensions")
    columns = sum(x.shape[1] for x in blocks)
    kind = cat([x.detach().reshape(-1)[:0] for x in blocks]).dtype
    rows, left = [], 0
    for x in blocks:
        right = columns - left - x.shape[1]
        sides = [x.new_zeros(x.shape[0], n, dtype=kind) for n in (left, right)]
        rows.append(cat([sides[0], x.to(kind), sides[1]], 1))
        left += x.shape[1]
    return cat(rows, 0)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element from each vector, one a row: n vectors give (product of sizes, n); one, itself.

    Raises:
        RuntimeError: a tensor is no vector.
    """
    if not tensors or any(x.ndim != 1 for x in tensors):
        raise RuntimeError("cartesian_prod() needs vectors")
    if len(tensors) == 1:
        return tensors[0]
    grids = meshgrid(*tensors, indexing="ij")
    return stack([x.reshape(-1) for x in grids], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of ``r`` elements of a vector, one a row, in the order of ``itertools.combinations``.

    Raises:
        RuntimeError: ``input`` is no vector, or ``r`` is negative.
    """
    from .tensor import tensor

    if input.ndim != 1 or r < 0:
        raise RuntimeError(f"combinations() needs a vector and r >= 0, not {input.ndim} dimensions and r = {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = [i for row in choose(range(input.shape[0]), r) for i in row]
    if not r:
        return input.new_empty(0)
    return input.index_select(0, tensor(chosen, dtype=int64, device=input.device)).reshape(len(chosen) // r, r)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among others; booleans in the shape of ``elements``.

    Args:
        elements: a tensor, or a number.
        test_elements: a tensor of any shape, or a number; one of both is a tensor.
        assume_unique: accepted for PyTorch's sake; the result is the same.
        invert: whether each is not among them.
    """
    from .functions import searchsorted
    from .tensor import tensor

    if not hasattr(elements, "_array"):
        elements = tensor(elements, device=test_elements.device)
    if not hasattr(test_elements, "_array"):
        test_elements = tensor(test_elements, device=elements.device)
    same_device(elements, test_elements)
    if not test_elements.numel():
        return elements.new_full(elements.shape, invert, dtype=bool)
    both = cat([elements.detach().reshape(-1), test_elements.detach().reshape(-1)])      # of one type
    values, among = both[:elements.numel()], both[elements.numel():].sort().values
    if values.dtype.kind == "b":
        values, among = values.long(), among.long()
    at = searchsorted(among, values).clamp(max=among.shape[0] - 1)
    found = (among[at] == values).reshape(elements.shape)
    return found.logical_not() if invert else found


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0,
          compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances of each vector of one set to each of another: (..., n, k), (..., m, k) -> (..., n, m).

    Args:
        x1, x2: rows of vectors; leading dimensions broadcast.
        p: the order of the norm, at least 0 (0 counts elements that differ), or infinity.
        compute_mode: for p = 2: ``"use_mm_for_euclid_dist"`` takes a matrix product and little memory, and near vectors
            lose digits; ``"donot_use_mm_for_euclid_dist"`` forms all differences, (..., n, m, k) of them; the default
            takes the product where a set has more than 25 vectors. Other orders always form the differences.

    Raises:
        RuntimeError: sizes do not fit, or ``p`` is negative.
        ValueError: a ``compute_mode`` that is not known.
    """
    modes = {"use_mm_for_euclid_dist_if_necessary": None, "use_mm_for_euclid_dist": True,
             "donot_use_mm_for_euclid_dist": False}
    if compute_mode not in modes:
        raise ValueError(f"compute_mode must be one of {', '.join(modes)}, not {compute_mode!r}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError("cdist() needs two tensors (..., n, k) and (..., m, k), not of shapes "
                           f"{tuple(x1.shape)} and {tuple(x2.shape)}")
    real_only("cdist", x1, x2)
    if not p >= 0:
        raise RuntimeError(f"cdist() needs p >= 0, got {p}")
    products = modes[compute_mode]
    if products is None:
        products = max(x1.shape[-2], x2.shape[-2]) > 25
    if p != 2 or not products:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)
    squares: Any = x1.square().sum(-1, keepdim=True) + x2.square().sum(-1).unsqueeze(-2) - 2 * (x1 @ x2.mT)
    apart = squares.detach() > 0                  # the root has no derivative at 0: there it counts as 0
    return squares.where(apart, 1.0).sqrt().where(apart, 0.0)


def _areas(y: Any, x: Any, dx: float | None, dim: int, name: str) -> Any:
    """Areas of the trapezoids between neighbours along a dimension."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}() takes x or dx, not both")
    axis = normalize_axis(dim, y.ndim)
    size = y.shape[axis]
    gaps = max(size - 1, 0)
    heights = (y.narrow(axis, size - gaps, gaps) + y.narrow(axis, 0, gaps)) * 0.5
    if x is None:
        return heights if dx in (None, 1) else heights * dx
    if x.ndim == 1:
        if x.shape[0] != size:
            raise RuntimeError(f"{name}() needs {size} points x, not {x.shape[0]}")
        x = x.reshape([-1 if i == axis else 1 for i in range(y.ndim)])
    else:
        axis = axis - y.ndim + x.ndim
    return heights * x.diff(dim=axis)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral along a dimension, by the trapezoidal rule.

    Args:
        y: the values.
        x: where they lie, a vector or a shape that broadcasts; or else
        dx: the distance of neighbours, 1 by default.
        dim: the dimension.
    """
    return _areas(y, x, dx, dim, "trapezoid").sum(dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Integrals up to each point but the first along a dimension, as `trapezoid`."""
    return _areas(y, x, dx, dim, "cumulative_trapezoid").cumsum(dim)


trapz = trapezoid


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements: (n,) -> (n, N), from the (N-1)-th to the 0-th, or the other way round."""
    if x.ndim != 1:
        raise RuntimeError(f"vander() needs a vector, not {x.ndim} dimensions")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError(f"vander() needs N >= 0, got {N}")
    x = x if x.dtype.is_floating_point else x.long()
    columns: list[Any] = [x.new_ones(x.shape[0])]
    while len(columns) < count:
        columns.append(columns[-1] * x)
    if not count:
        return x.new_empty(x.shape[0], 0)
    return stack(columns if increasing else columns[::-1], 1)


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimated derivatives of a function along dimensions, from its values on a grid.

    Inside differences of both neighbours, exact for parabolas; at the edges one-sided ones.

    Args:
        input: the values.
        spacing: the distance of neighbours, or a list with one for each dimension; or a list of vectors with the
            rising or falling coordinates along each.
        dim: a dimension or several; by default all.
        edge_order: 1, or 2 for differences of three values at the edges, exact for parabolas too.

    Returns:
        For each dimension a tensor in the shape of the input, floating-point or complex.

    Raises:
        RuntimeError: a dimension is too short or named twice, or the spacing does not fit.

    Example:
        >>> genesis.gradient(genesis.tensor([1.0, 4.0, 9.0]), spacing=0.5)
        (tensor([ 6.,  8., 10.]),)
    """
    axes = list(builtins.range(input.ndim)) if dim is None else [
        normalize_axis(d, input.ndim) for d in ([dim] if isinstance(dim, int) else dim)]
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"gradient(): a dimension is named twice in {dim}")
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient() has edges of order 1 or 2, not {edge_order}")
    spacing = 1 if spacing is None else spacing
    each = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(each) != len(axes):
        raise RuntimeError(f"gradient() needs a spacing for each of {len(axes)} dimensions, got {len(each)}")
    return tuple(_slopes(input, axis, h, edge_order) for axis, h in zip(axes, each))


def _slopes(f: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    n = f.shape[axis]
    if n <= edge_order:
        raise RuntimeError(f"gradient() needs at least {edge_order + 1} values along a dimension, not {n}")
    if getattr(spacing, "ndim", 0):
        if spacing.shape != (n,):
            raise RuntimeError(f"gradient() needs {n} coordinates along dimension {axis}, not {tuple(spacing.shape)}")
        steps = spacing.diff().reshape(-1, *(1,) * (f.ndim - 1 - axis))

        def step(start: int, count: int) -> Any:
            return steps.narrow(0, start, count)
    else:
        def step(start: int, count: int) -> Any:
            return spacing

    def along(start: int, count: int, *weights: Any) -> Any:
        """Sums of ``count`` values from each of the starts on, times weights."""
        parts = [f.narrow(axis, start + i, count) * w for i, w in enumerate(weights)]
        return functools.reduce(operator.add, parts)

    first, last = 1 / step(0, 1), 1 / step(n - 2, 1)
    if edge_order == 1:
        edges = [along(0, 1, -first, first), along(n - 2, 1, -last, last)]
    else:
        h, k = step(0, 1), step(1, 1)
        edges = [along(0, 1, -(2 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k)))]
        h, k = step(n - 3, 1), step(n - 2, 1)
        edges.append(along(n - 3, 1, k / (h * (h + k)), -(h + k) / (h * k), (h + 2 * k) / (k * (h + k))))
    if n > 2:
        h, k = step(0, n - 2), step(1, n - 2)
        edges.insert(1, along(0, n - 2, -k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))))
    return cat(edges, axis)


__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cdist", "combinations",
           "cumulative_trapezoid", "isin", "trapezoid", "trapz", "vander"]
