"""Comparing values in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..dtypes import DType, promote_types
from ..tensor import Tensor, tensor

# Relative and absolute tolerances by type, PyTorch's; exact for all others.
TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
              "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7)}


def assert_close(actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None,
                 atol: float | None = None, equal_nan: bool = False, check_device: bool = True,
                 check_dtype: bool = True, check_layout: bool = True, check_stride: bool = False,
                 msg: str | Callable[[str], str] | None = None) -> None:
    """Check that two values are equal but for rounding: ``|actual - expected| <= atol + rtol * |expected|``.

    Args:
        actual, expected: tensors, numbers, NumPy arrays, or sequences and mappings of them.
        allow_subclasses: False: both must be of one type.
        rtol, atol: tolerances, both or neither; by default they follow from the types, the larger of both: 1.3e-6 and
            1e-5 for float32, 0 for integers.
        equal_nan: whether NaN equals NaN.
        check_device, check_dtype, check_layout, check_stride: whether tensors must agree in these, too.
        msg: the message instead of the usual one, or a function of that.

    Raises:
        AssertionError: they differ, in values, in shape or in what is to be checked.
        TypeError: a tensor is compared with what is none.
        ValueError: only one of the tolerances is given.

    Example:
        >>> genesis.testing.assert_close(genesis.ones(2) / 3 * 3, genesis.ones(2))
    """
    if (rtol is None) is not (atol is None):
        raise ValueError(f"rtol and atol are given both or neither, not {rtol} and {atol}")
    where = [("device", check_device), ("dtype", check_dtype), ("layout", check_layout), ("stride", check_stride)]
    checked = [name for name, wanted in where if wanted]
    fault = _fault(actual, expected, (rtol, atol), equal_nan, checked, allow_subclasses, "")
    if fault is not None:
        raise AssertionError(fault if msg is None else msg(fault) if callable(msg) else msg)


def _fault(actual: Any, expected: Any, tolerances: tuple[Any, Any], equal_nan: bool, checked: list[str],
           allow_subclasses: bool, where: str) -> str | None:
    """What is wrong, None if nothing is."""
    at = f"\n\nThe failure occurred for item {where}" if where else ""
    if not allow_subclasses and type(actual) is not type(expected):
        return f"The types differ: {type(actual).__name__} and {type(expected).__name__}{at}"
    pairs: list[tuple[Any, Any, Any]] | None = None
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys differ: {sorted(map(str, actual))} and {sorted(map(str, expected))}{at}"
        pairs = [(key, actual[key], expected[key]) for key in actual]
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The lengths differ: {len(actual)} and {len(expected)}{at}"
        pairs = [(i, *pair) for i, pair in enumerate(zip(actual, expected))]
    if pairs is not None:
        faults = (_fault(a, b, tolerances, equal_nan, checked, allow_subclasses, f"{where}[{key!r}]")
                  for key, a, b in pairs)
        return next((fault for fault in faults if fault is not None), None)
    if isinstance(actual, Tensor) is not isinstance(expected, Tensor):
        raise TypeError(f"assert_close() compares tensors with tensors, not {type(actual).__name__} with "
                        f"{type(expected).__name__}{at}")
    if not isinstance(actual, Tensor):
        checked = [name for name in checked if name == "dtype" and isinstance(actual, np.ndarray)]
    a, b = (x if isinstance(x, Tensor) else tensor(x) for x in (actual, expected))
    if a.shape != b.shape:
        return f"The values for attribute 'shape' do not match: {tuple(a.shape)} != {tuple(b.shape)}{at}"
    for name in checked:
        one, other = (getattr(x, name) for x in (a, b))
        one, other = (one(), other()) if name == "stride" else (one, other)
        if one != other:
            return f"The values for attribute '{name}' do not match: {one} != {other}{at}"
    return _difference(a, b, tolerances, equal_nan, at)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _difference(actual: Tensor, expected: Tensor, tolerances: tuple[Any, Any], equal_nan: bool, at: str) -> str | None:
    rtol, atol = tolerances if tolerances[0] is not None else _tolerances(actual.dtype, expected.dtype)
    wide = promote_types(actual.dtype, expected.dtype)
    one, other = (x.to_dense().detach().numpy() for x in (actual, expected))
    if wide.is_complex or wide.is_floating_point:
        kind = np.complex128 if wide.is_complex else np.float64
        one, other = one.astype(kind), other.astype(kind)
        close = np.isclose(one, other, rtol=rtol, atol=atol, equal_nan=equal_nan)
    else:
        close = one == other if rtol == atol == 0 else np.isclose(one, other, rtol=rtol, atol=atol)
    if close.all():
        return None
    with np.errstate(all="ignore"):
        apart = np.where(close, 0, np.abs(one.astype(np.complex128) - other))
        relative = np.where(close, 0, apart / np.abs(other))
    if not close.ndim:
        return (f"Scalars are not close!\n\nExpected {other.item()} but got {one.item()}.\nAbsolute difference: "
                f"{apart.item()} (up to {atol} allowed)\nRelative difference: {relative.item()} (up to {rtol} "
                f"allowed){at}")
    lines = []
    for name, x, limit in (("absolute", apart, atol), ("relative", relative, rtol)):
        index = tuple(int(i) for i in np.unravel_index(x.argmax(), x.shape))
        lines.append(f"Greatest {name} difference: {x.max()} at index {index} (up to {limit} allowed)")
    wrong = int((~close).sum())
    return (f"Tensor-likes are not close!\n\nMismatched elements: {wrong} / {close.size} ({wrong / close.size:.1%})\n"
            + "\n".join(lines) + at)


def _tolerances(*types: DType) -> tuple[float, float]:
    found = [TOLERANCES.get(dtype.name, (0.0, 0.0)) for dtype in types]
    return max(rtol for rtol, _ in found), max(atol for _, atol in found)
