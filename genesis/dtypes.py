"""Element types of tensors and the rules by which they combine.

Every type names the storage type of ``cl/include/types.h`` it stands for. ``float16`` and ``bfloat16`` are storage
types: kernels read and write them and compute in float32. ``complex64`` and ``complex128`` hold a real and an imaginary
part next to each other, as NumPy's do.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

Scalar = bool | int | float


class DType:
    """The type of a tensor's elements, such as ``genesis.float32``.

    Attributes:
        name: the name, also that of the storage type in kernels.
        itemsize: bytes an element.
        kind: ``"b"`` boolean, ``"u"``/``"i"`` integer, ``"f"`` floating point, ``"c"`` complex.
        is_floating_point: whether the type is float16, bfloat16, float32 or float64.
        is_complex: whether it is complex64 or complex128.
        has_gradients: whether it is one of either; only these are differentiated.
        numpy: the NumPy dtype with the same bytes.
        compute: the type that kernels compute in: ``float``, ``double``, ``long``, ``int`` or ``uchar``; ``float2`` or
            ``double2`` for complex numbers.
    """

    __slots__ = ("compute", "has_gradients", "is_complex", "is_floating_point", "itemsize", "kind", "name", "numpy",
                 "rank")

    def __init__(self, name: str, kind: str, numpy: Any, compute: str, rank: int):
        self.name = name
        self.kind = kind
        self.numpy = np.dtype(numpy)
        self.itemsize = self.numpy.itemsize
        self.compute = compute
        self.rank = rank
        self.is_floating_point = kind == "f"
        self.is_complex = kind == "c"
        self.has_gradients = kind in "fc"

    def to_real(self) -> DType:
        """The type of the parts of a complex type; any other type itself."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def to_complex(self) -> DType:
        """The complex type whose parts are of this floating-point type; a complex type itself.

        Raises:
            RuntimeError: there is none: of an integer type, float16 or bfloat16.
        """
        if self.is_complex:
            return self
        if self.name not in ("float32", "float64"):
            raise RuntimeError(f"there is no complex type with parts of type {self}; convert to float32")
        return complex64 if self.name == "float32" else complex128

    def __repr__(self) -> str:
        return f"genesis.{self.name}"

    def __reduce__(self) -> str:
        return self.name if self.name != "bool" else "bool_"


bool_ = DType("bool", "b", np.bool_, "uchar", 0)
uint8 = DType("uint8", "u", np.uint8, "uchar", 1)
int8 = DType("int8", "i", np.int8, "int", 1)
int16 = DType("int16", "i", np.int16, "int", 2)
int32 = DType("int32", "i", np.int32, "int", 3)
int64 = DType("int64", "i", np.int64, "long", 4)
float16 = DType("float16", "f", np.float16, "float", 5)
bfloat16 = DType("bfloat16", "f", ml_dtypes.bfloat16, "float", 5)
float32 = DType("float32", "f", np.float32, "float", 6)
float64 = DType("float64", "f", np.float64, "double", 7)
complex64 = DType("complex64", "c", np.complex64, "float2", 8)
complex128 = DType("complex128", "c", np.complex128, "double2", 9)

_default = float32       # what Python's floats become

ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)     # of real numbers
COMPLEX = (complex64, complex128)
_BY_NUMPY = {dtype.numpy: dtype for dtype in ALL + COMPLEX}
_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}      # the higher one decides


def from_numpy(dtype: Any) -> DType:
    """The genesis type with the bytes of a NumPy dtype; ``TypeError`` where there is none."""
    try:
        return _BY_NUMPY[np.dtype(dtype)]
    except (KeyError, TypeError):
        names = ", ".join(d.name for d in ALL + COMPLEX)
        raise TypeError(f"genesis has no dtype for NumPy's {dtype}; convert to one of: {names}") from None


def as_dtype(dtype: Any) -> DType:
    """``dtype`` as a `DType`; Python's and NumPy's types are accepted as PyTorch accepts them."""
    if isinstance(dtype, DType):
        return dtype
    if dtype is float:
        return float32
    if dtype is int:
        return int64
    if dtype is bool:
        return bool_
    if dtype is complex:
        return complex128
    return from_numpy(dtype)


def of_scalar(value: Scalar | complex) -> DType:
    """The dtype that a Python number becomes: bool, int64 or the default one, float32; complex64 or complex128."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    if isinstance(value, complex):
        return complex128 if _default is float64 else complex64
    return _default


def promote(a: DType, b: DType) -> DType:
    """The dtype of an operation on tensors of types ``a`` and ``b`` (PyTorch's table)."""
    if a is b:
        return a
    if {a, b} == {float16, bfloat16}:
        return float32
    if {a, b} == {uint8, int8}:
        return int16
    if float64 in (a, b) and complex64 in (a, b):
        return complex128
    return a if a.rank > b.rank else b


def promote_scalar(a: DType, value: Scalar) -> DType:
    """The dtype of an operation on a tensor of type ``a`` and a Python number.

    The number only decides when it is of a higher kind than the tensor: boolean, integer, floating point.
    """
    return promote_weak(a, of_scalar(value))


def promote_weak(strong: DType, weak: DType) -> DType:
    """The dtype of an operation on a tensor of type ``strong`` and one without dimensions of type ``weak``.

    As of a number, only the kind of the second counts, and complex numbers take the precision of the first.
    """
    if _KINDS[weak.kind] <= _KINDS[strong.kind]:
        return strong
    return promote(strong, complex64 if weak.is_complex and strong.is_floating_point else weak)


def _kind_of(x: Any) -> tuple[int, DType]:
    """How strongly a tensor or number decides about the type of a result (dimensions before numbers), and its type."""
    if hasattr(x, "_array"):
        return (2 if x.ndim else 1), x.dtype
    return 0, of_scalar(x)


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The element type of an arithmetic operation on two tensors or numbers."""
    (a, one), (b, two) = _kind_of(tensor1), _kind_of(tensor2)
    if a == b:
        return promote(one, two)
    return promote_weak(one, two) if a > b else promote_weak(two, one)


def check_fits(low: Scalar, high: Scalar, dtype: DType) -> None:
    """``RuntimeError`` where whole numbers from ``low`` to ``high`` do not fit into an integer type, as in PyTorch.

    An unsigned type takes the negatives of its numbers too, which wrap around; NaN and infinity fit into none.
    """
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.numpy)
        least = -int(limits.max) if dtype.kind == "u" and isinstance(low, int | np.integer) else int(limits.min)
        if not (least <= low and high <= int(limits.max)):
            number = high if least <= low else low
            raise RuntimeError(f"{number} does not fit into {dtype}, which holds {limits.min} to {limits.max}; take a "
                               "wider type")


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest element type that holds the values of both, by PyTorch's table."""
    return promote(as_dtype(type1), as_dtype(type2))


def can_cast(from_: DType, to: DType) -> bool:
    """Whether a conversion keeps the kind of number: floating-point to integer does not, nor integer to boolean."""
    kinds = {"b": 0, "u": 1, "i": 2, "f": 3, "c": 4}
    one, two = as_dtype(from_), as_dtype(to)
    return kinds[one.kind] <= kinds[two.kind] or (one.kind, two.kind) == ("i", "u")


def get_default_dtype() -> DType:
    """The element type of what is made from Python's floats: float32, unless `set_default_dtype` chose another."""
    return _default


def set_default_dtype(d: Any) -> None:
    """Choose the element type of what is made from Python's floats, and of what integers become in functions.

    Args:
        d: float16, bfloat16, float32 or float64.

    Raises:
        TypeError: another type.

    Example:
        >>> genesis.set_default_dtype(genesis.float16)
        >>> genesis.tensor(1.5).dtype, genesis.zeros(2).dtype, (genesis.arange(3) / 2).dtype
        (genesis.float16, genesis.float16, genesis.float16)
        >>> genesis.set_default_dtype(genesis.float32)
    """
    global _default
    kind = as_dtype(d)
    if not kind.is_floating_point:
        raise TypeError(f"only a floating-point type can be the default one, not {kind}")
    _default = kind


class finfo:
    """The limits of a floating-point type.

    Attributes:
        bits: bits an element.
        eps: distance of 1 and the next larger number.
        max, min: the largest number, and its negative.
        tiny, smallest_normal: the smallest positive number that has all digits.
        resolution: 10 to minus the number of decimal digits that are always kept.
        dtype: the type's name.

    Example:
        >>> genesis.finfo(genesis.bfloat16).eps
        0.0078125
    """

    def __init__(self, dtype: Any = None):
        kind = float32 if dtype is None else as_dtype(dtype)
        if not kind.is_floating_point:
            raise TypeError(f"finfo() takes a floating-point type, not {kind}; use iinfo()")
        limits = ml_dtypes.finfo(kind.numpy)
        self.bits, self.dtype = 8 * kind.itemsize, kind.name
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = float(f"1e-{limits.precision}")

    def __repr__(self) -> str:
        return (f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
                f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})")


class iinfo:
    """The limits of an integer type.

    Attributes:
        bits: bits an element.
        max, min: the largest and the smallest number.
        dtype: the type's name.
    """

    def __init__(self, dtype: Any):
        kind = as_dtype(dtype)
        if kind.kind not in "ui":
            raise TypeError(f"iinfo() takes an integer type, not {kind}; use finfo()")
        limits = np.iinfo(kind.numpy)
        self.bits, self.dtype, self.max, self.min = limits.bits, kind.name, int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
