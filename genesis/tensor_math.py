"""The arithmetic and mathematical methods of tensors, apart from what a tensor is."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import dtypes
from .autograd import apply, same_device
from .dtypes import DType, Scalar, as_dtype
from .ops import elementwise as ew
from .ops import matmul, reduce, views
from .ops.array import Array, normalize_axis

if TYPE_CHECKING:
    from .tensor import Tensor

Dims = int | Sequence[int] | None


class Extreme(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Any
    indices: Any


_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def _operand(x: Any, like: Any) -> Any:
    """A tensor or a number, from anything that can stand beside a tensor in an expression."""
    if hasattr(x, "_array"):
        return x
    if isinstance(x, bool | int | float):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.ndarray):
        from .tensor import tensor

        return tensor(x, device=like.device)
    return NotImplemented


def _binary(operation: Any, swapped: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = _operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        return apply(operation, other, self) if swapped else apply(operation, self, other)

    return method


def _named(operator: Any, name: str) -> Any:
    """An operator as a method: what it cannot work with is an error here, not left to the other operand."""
    def method(self: Any, other: Any) -> Any:
        result = operator(self, other)
        if result is NotImplemented:
            raise TypeError(f"{name}() needs a tensor or a number, not {type(other).__name__}")
        return result

    return method


def _comparison(op: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = _operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        return _plain(ew.compare(op, self._array, _raw(other)))

    return method


def _integer(op: str, swapped: bool = False) -> Any:
    """An operation that is not differentiated."""
    def method(self: Any, other: Any) -> Any:
        other = _operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        operands = [_raw(other), self._array] if swapped else [self._array, _raw(other)]
        return _plain(ew.run(op, operands, ew.dtype_of(*operands)))

    return method


def _bitwise(op: str) -> Any:
    method = _integer(op)

    def checked(self: Any, other: Any) -> Any:
        if self.dtype.is_floating_point:
            raise TypeError(f"{op} needs integers or booleans, not {self.dtype}")
        return method(self, other)

    return checked


def _in_place(operation: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = _operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        self._check_in_place(other)
        dtype = operation.result_dtype(self._array, _raw(other))
        if _KINDS[dtype.kind] > _KINDS[self.dtype.kind]:
            raise RuntimeError(f"the result is {dtype}, which a tensor of {self.dtype} cannot hold in place")
        ew.run(operation.op, [self._array, _raw(other)], self.dtype, out=self._array, compute=dtype.compute)
        self._array.version.count += 1
        return self

    return method


def _unary(operation: Any, doc: str) -> Any:
    def method(self: Any) -> Any:
        return apply(operation, self)

    method.__doc__ = doc
    return method


def _rounding(op: str, doc: str) -> Any:
    def method(self: Any) -> Any:
        return _plain(ew.run(op, [self._array], self.dtype)) if self.dtype.is_floating_point else self.clone()

    method.__doc__ = doc
    return method


def _test(op: str, doc: str) -> Any:
    def method(self: Any) -> Any:
        return _plain(ew.run(op, [self._array], dtypes.bool_, compute=self.dtype.compute))

    method.__doc__ = doc
    return method


def _in_float32(method: Any) -> Any:
    """A method of several steps that 16-bit tensors take in float32, rounding once."""
    @functools.wraps(method)
    def wide(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype.itemsize != 2:
            return method(self, *args, **kwargs)
        return method(self.float(), *args, **kwargs).to(self.dtype)

    return wide


def _raw(x: Any) -> Any:
    return x._array if hasattr(x, "_array") else x


def _plain(array: Array) -> Any:
    from .tensor import Tensor

    return Tensor._wrap(array)


def _axes(dim: Dims, ndim: int) -> tuple[int, ...] | None:
    if dim is None:
        return None
    listed = (dim,) if isinstance(dim, int) else tuple(dim)
    if not listed:
        return None
    axes = tuple(sorted(normalize_axis(d, ndim) for d in listed))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"a dimension is named twice in {dim}")
    return axes if ndim else None


class TensorMath:
    """Mixin of :class:`genesis.Tensor`; operations follow PyTorch's names, argument order and rules."""

    __slots__ = ()
    _array: Array
    if TYPE_CHECKING:
        dtype = property(lambda self: dtypes.float32)
        ndim = property(lambda self: 0)

    __add__ = __radd__ = _binary(ew.Add)
    __sub__, __rsub__ = _binary(ew.Sub), _binary(ew.Sub, swapped=True)
    __mul__ = __rmul__ = _binary(ew.Mul)
    __truediv__, __rtruediv__ = _binary(ew.Div), _binary(ew.Div, swapped=True)
    __pow__, __rpow__ = _binary(ew.Pow), _binary(ew.Pow, swapped=True)
    __floordiv__, __rfloordiv__ = _integer("floor_divide"), _integer("floor_divide", swapped=True)
    __mod__, __rmod__ = _binary(ew.Remainder), _binary(ew.Remainder, swapped=True)
    __and__ = __rand__ = _bitwise("bitwise_and")
    __or__ = __ror__ = _bitwise("bitwise_or")
    __xor__ = __rxor__ = _bitwise("bitwise_xor")
    __eq__, __ne__ = _comparison("eq"), _comparison("ne")
    __lt__, __le__ = _comparison("lt"), _comparison("le")
    __gt__, __ge__ = _comparison("gt"), _comparison("ge")
    __iadd__, __isub__ = _in_place(ew.Add), _in_place(ew.Sub)
    __imul__, __itruediv__ = _in_place(ew.Mul), _in_place(ew.Div)
    add_, sub_ = _named(__iadd__, "add_"), _named(__isub__, "sub_")
    mul_, div_ = _named(__imul__, "mul_"), _named(__itruediv__, "div_")
    mul, div, pow = _named(__mul__, "mul"), _named(__truediv__, "div"), _named(__pow__, "pow")
    maximum, minimum = _named(_binary(ew.Maximum), "maximum"), _named(_binary(ew.Minimum), "minimum")
    eq, ne, lt = _named(__eq__, "eq"), _named(__ne__, "ne"), _named(__lt__, "lt")
    le, gt, ge = _named(__le__, "le"), _named(__gt__, "gt"), _named(__ge__, "ge")

    exp = _unary(ew.Exp, "e to the power of each element.")
    expm1 = _unary(ew.Expm1, "``exp(x) - 1``, exact near 0.")
    log = _unary(ew.Log, "Natural logarithm.")
    log1p = _unary(ew.Log1p, "``log(1 + x)``, exact near 0.")
    sqrt = _unary(ew.Sqrt, "Square root.")
    rsqrt = _unary(ew.Rsqrt, "One over the square root.")
    abs = _unary(ew.Abs, "Absolute value.")
    neg = _unary(ew.Neg, "The negative.")
    sin = _unary(ew.Sin, "Sine.")
    cos = _unary(ew.Cos, "Cosine.")
    tanh = _unary(ew.Tanh, "Hyperbolic tangent.")
    sigmoid = _unary(ew.Sigmoid, "``1 / (1 + exp(-x))``.")
    relu = _unary(ew.Relu, "``max(x, 0)``.")
    floor = _rounding("floor", "The largest integer that is not larger.")
    ceil = _rounding("ceil", "The smallest integer that is not smaller.")
    round = _rounding("round", "The nearest integer, halves to even.")
    isnan = _test("isnan", "Whether each element is not a number.")
    isinf = _test("isinf", "Whether each element is infinite.")
    isfinite = _test("isfinite", "Whether each element is finite.")
    logical_not = _test("logical_not", "Whether each element is 0.")
    __neg__ = neg
    __abs__ = abs

    def sign(self) -> Any:
        """-1, 0 or 1; 0 for NaN."""
        return _plain(ew.run("sign", [self._array], self.dtype))

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        if self.dtype.is_floating_point:
            raise TypeError(f"~ needs integers or booleans, not {self.dtype}")
        return _plain(ew.run("logical_not" if self.dtype is dtypes.bool_ else "bitwise_not", [self._array],
                             self.dtype))

    def add(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self + alpha * other``."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self - alpha * other``."""
        return self - (other if alpha == 1 else other * alpha)

    def square(self) -> Any:
        """``self ** 2``."""
        return self ** 2

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other) if hasattr(other, "_array") else NotImplemented

    def matmul(self, other: Tensor) -> Any:
        """Matrix product; vectors count as a row (left) or a column (right), leading dimensions broadcast."""
        if not self.ndim or not other.ndim:
            raise RuntimeError("a matrix product needs tensors of at least one dimension; use * for 0-d tensors")
        for x in (self, other):
            if not x.dtype.is_floating_point:
                raise RuntimeError(f"matrix products of {x.dtype} are not supported; convert to float32")
        a: Any = self if self.ndim > 1 else self.unsqueeze(0)
        b: Any = other if other.ndim > 1 else other.unsqueeze(1)
        result = apply(matmul.MatMul, a, b)
        if other.ndim == 1:
            result = result.squeeze(-1)
        return result.squeeze(-2 if other.ndim > 1 else -1) if self.ndim == 1 else result

    mm = bmm = matmul

    # Reductions ------------------------------------------------------------------------------------------------

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Sum of all elements or over dimensions."""
        return apply(reduce.Sum, self, axes=_axes(dim, self.ndim), keepdim=keepdim,
                     dtype=None if dtype is None else as_dtype(dtype))

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Mean of all elements or over dimensions."""
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"the mean of {self.dtype} is not defined; convert to float32")
        if self._array.size == 0:
            return self.sum(dim, keepdim) * math.nan
        return apply(reduce.Mean, self, axes=_axes(dim, self.ndim), keepdim=keepdim)

    @_in_float32
    def var(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> Any:
        """Variance: squared differences from the mean, over their number minus ``correction``."""
        axes = _axes(dim, self.ndim)
        count = math.prod(self._array.shape[a] for a in (range(self.ndim) if axes is None else axes))
        difference = self - self.mean(dim, keepdim=True)
        divisor = count - correction
        total = (difference * difference).sum(dim, keepdim)
        return total / divisor if divisor > 0 else total * math.nan

    @_in_float32
    def std(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> Any:
        """Standard deviation: the root of :meth:`var`."""
        return self.var(dim, keepdim, correction=correction).sqrt()

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Largest element, of all or over dimensions."""
        return apply(reduce.Amax, self, axes=_axes(dim, self.ndim), keepdim=keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Smallest element, of all or over dimensions."""
        return apply(reduce.Amin, self, axes=_axes(dim, self.ndim), keepdim=keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the largest element, the first of equal ones."""
        return self._argument("argmax", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the smallest element, the first of equal ones."""
        return self._argument("argmin", dim, keepdim)

    def _argument(self, op: str, dim: int | None, keepdim: bool) -> Any:
        axis = None if dim is None else normalize_axis(dim, self.ndim)
        return _plain(reduce.argument(op, self._array, axis, keepdim))

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Largest element; with ``dim``, the pair (values, positions)."""
        return self.amax() if dim is None else Extreme(self.amax(dim, keepdim), self.argmax(dim, keepdim))

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Smallest element; with ``dim``, the pair (values, positions)."""
        return self.amin() if dim is None else Extreme(self.amin(dim, keepdim), self.argmin(dim, keepdim))

    def all(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether all elements are not 0."""
        return self._truth("amin", dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether any element is not 0."""
        return self._truth("amax", dim, keepdim)

    def _truth(self, op: str, dim: Dims, keepdim: bool) -> Any:
        truth = ew.run("ne", [self._array, 0], dtypes.bool_, compute=self.dtype.compute)
        if truth.size == 0:
            total = reduce.reduce("sum", truth, _axes(dim, self.ndim), keepdim)
            return _plain(ew.run("eq", [total, 0 if op == "amin" else 1], dtypes.bool_, compute="long"))
        return _plain(reduce.reduce(op, truth, _axes(dim, self.ndim), keepdim))

    @_in_float32
    def norm(self, p: float = 2.0, dim: Dims = None, keepdim: bool = False) -> Any:
        """The p-norm of the elements, ``p > 0`` or infinite."""
        if p == math.inf:
            return self.abs().amax(dim, keepdim)
        total = (self * self if p == 2 else self.abs() ** p).sum(dim, keepdim)
        total = total.masked_fill(total == 0, 0.0)       # where the root has no slope its gradient is 0, not NaN
        return total.sqrt() if p == 2 else total ** (1 / p)

    def _top(self, dim: Dims) -> Any:
        """The largest elements, or 0 where they are infinite: what to subtract before taking exponentials."""
        top = self.detach().amax(dim, keepdim=True)  # type: ignore[attr-defined]
        return top.where(top.isfinite(), 0.0)

    @_in_float32
    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Any:
        """Logarithm of the sum of exponentials, without overflow."""
        top = self._top(dim)
        total = (self - top).exp().sum(dim, keepdim).log()
        return total + (top if keepdim else top.reshape(total.shape))

    @_in_float32
    def log_softmax(self, dim: int) -> Any:
        """Logarithm of :meth:`softmax`."""
        shifted = self - self._top(dim)
        return shifted - shifted.exp().sum(dim, keepdim=True).log()

    @_in_float32
    def softmax(self, dim: int) -> Any:
        """Exponentials divided by their sum over a dimension."""
        return self.log_softmax(dim).exp()

    # Choice ----------------------------------------------------------------------------------------------------

    def where(self, condition: Tensor, other: Any) -> Any:
        """``self`` where the condition holds, ``other`` elsewhere."""
        return apply(ew.Where, condition, self, _operand(other, self))

    def masked_fill(self, mask: Tensor, value: Scalar) -> Any:
        """``value`` where the mask is True."""
        return apply(ew.Where, mask, value, self)

    def clamp(self, min: Scalar | None = None, max: Scalar | None = None) -> Any:
        """Elements limited to [min, max]."""
        if min is None and max is None:
            raise RuntimeError("clamp() needs min, max or both")
        return apply(ew.Clamp, self, low=-math.inf if min is None else min, high=math.inf if max is None else max)

    # Shape -----------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Any:
        """The elements in another shape; one size may be -1."""
        return apply(views.Reshape, self, shape=_new_shape(self._array, shape))

    def view(self, *shape: Any) -> Any:
        """As :meth:`reshape`, but an error where the layout would need a copy."""
        wanted = _new_shape(self._array, shape)
        if self._array.reshape_view(wanted) is None:
            raise RuntimeError(f"a tensor of shape {self._array.shape} and strides {self._array.strides} has no view "
                               f"of shape {wanted}; use reshape()")
        return apply(views.Reshape, self, shape=wanted)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Dimensions from ``start_dim`` to ``end_dim`` merged into one."""
        first, last = normalize_axis(start_dim, self.ndim), normalize_axis(end_dim, self.ndim)
        shape = self._array.shape
        return self.reshape(*shape[:first], math.prod(shape[first:last + 1]), *shape[last + 1:])

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two dimensions swapped."""
        axes = list(range(self.ndim))
        a, b = normalize_axis(dim0, self.ndim), normalize_axis(dim1, self.ndim)
        if axes:
            axes[a], axes[b] = axes[b], axes[a]
        return apply(views.Permute, self, axes=tuple(axes))

    def permute(self, *dims: Any) -> Any:
        """The dimensions in another order."""
        listed = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
        axes = tuple(normalize_axis(d, self.ndim) for d in listed)
        if sorted(axes) != list(range(self.ndim)):
            raise RuntimeError(f"permute needs each of the {self.ndim} dimensions once, got {tuple(listed)}")
        return apply(views.Permute, self, axes=axes)

    def t(self) -> Any:
        """The transpose of a matrix."""
        if self.ndim > 2:
            raise RuntimeError(f"t() needs at most two dimensions, not {self.ndim}")
        return self if self.ndim < 2 else self.transpose(0, 1)

    @property
    def T(self) -> Any:
        """The dimensions in reverse order."""
        return self.permute(*reversed(range(self.ndim))) if self.ndim else self

    @property
    def mT(self) -> Any:
        """The last two dimensions swapped."""
        return self.transpose(-2, -1)

    def expand(self, *sizes: Any) -> Any:
        """Dimensions of size 1 repeated without copying; -1 keeps a size."""
        wanted = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        added = len(wanted) - self.ndim
        shape = tuple(self._array.shape[i - added] if n == -1 and i >= added else n for i, n in enumerate(wanted))
        return apply(views.Expand, self, shape=shape)

    def squeeze(self, dim: Dims = None) -> Any:
        """Dimensions of size 1 removed, all or those named."""
        named = range(self.ndim) if dim is None else _axes(dim, self.ndim) or ()
        shape = tuple(n for a, n in enumerate(self._array.shape) if n != 1 or a not in named)
        return self.reshape(shape)

    def unsqueeze(self, dim: int) -> Any:
        """A new dimension of size 1."""
        axis = normalize_axis(dim, self.ndim + 1)
        return self.reshape((*self._array.shape[:axis], 1, *self._array.shape[axis:]))


def _new_shape(x: Array, given: tuple[Any, ...]) -> tuple[int, ...]:
    wanted = [int(n) for n in (given[0] if len(given) == 1 and not isinstance(given[0], int) else given)]
    if wanted.count(-1) == 1:
        known = math.prod(n for n in wanted if n != -1)
        if known and x.size % known == 0:
            wanted[wanted.index(-1)] = x.size // known
    if math.prod(wanted) != x.size or any(n < 0 for n in wanted):
        raise RuntimeError(f"a tensor of shape {x.shape} ({x.size} elements) does not fit shape {tuple(wanted)}")
    return tuple(wanted)
