"""Functions on lists of tensors with PyTorch's names, ``genesis._foreach_add`` and so on.

They are for optimizers and averages written for PyTorch, which has them to launch less. Here each is a loop over the
tensors' methods, one launch a tensor or more: a rule of one's own in `genesis.optim` is what takes one launch a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .tensor import Tensor

# The method -> what its function takes after the list of tensors, each as names, of which the first is the method's
# and the others are those of PyTorch's forms; "=" for what may be left out.
OTHER = "other scalar scalars"
OF_ONE = ("abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal "
          "round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc")
BOTH: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(OF_ONE.split(), ()),
    **dict.fromkeys(("add", "sub"), (OTHER, "alpha=")),
    **dict.fromkeys("mul div maximum minimum clamp_min clamp_max".split(), (OTHER,)),
    "pow": ("exponent",),
    **dict.fromkeys(("addcmul", "addcdiv"), ("tensor1", "tensor2", "value scalars=")),
    "lerp": ("tensors1", "weight weights"),
}
MADE: dict[str, tuple[str, ...]] = {"clone": (), "max": (), "norm": ("p ord=", "dtype=")}
CHANGED: dict[str, tuple[str, ...]] = {"copy_": ("src", "non_blocking="), "zero_": ()}
LISTS = {"tensor1", "tensor2", "tensors1", "src"}


def _tensors(name: str, given: Any) -> Sequence[Tensor]:
    if not isinstance(given, list | tuple) or not all(isinstance(x, Tensor) for x in given):
        raise TypeError(f"{name}() works on a list of tensors, not on {type(given).__name__}: {given!r:.80}")
    if not given:
        raise RuntimeError(f"{name}() needs at least one tensor")
    return given


def _bound(name: str, places: list[tuple[list[str], bool]], args: tuple[Any, ...],
           kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by the first of their names."""
    if len(args) > len(places):
        raise TypeError(f"{name}() takes {len(places) + 1} arguments at most, not {len(args) + 1}")
    given = {names[0]: value for (names, _), value in zip(places, args)}
    for key, value in kwargs.items():
        first = next((names[0] for names, _ in places if key in names), None)
        if first is None or first in given:
            raise TypeError(f"{name}() takes no {key!r}, or has it already")
        given[first] = value
    for names, needed in places:
        if needed and names[0] not in given:
            raise TypeError(f"{name}() needs {' or '.join(names)}")
    return given


def _each(name: str, key: str, value: Any, count: int) -> Sequence[Any]:
    """An argument for each of the tensors: from a list, or the same for all."""
    if key in LISTS:
        _tensors(name, value)
    elif isinstance(value, Tensor) and key == "value":
        if value.ndim != 1:
            raise RuntimeError(f"{name}() takes its factors as a tensor of one dimension, not of {value.ndim}")
        value = value.tolist()
    elif isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"{name}() takes one tensor for all only if it has no dimensions, not {value.ndim}: give a "
                           "list of tensors")
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise RuntimeError(f"{name}() needs one of {key} for each of the {count} tensors, got {len(value)}")
    return value


def _made(method: str, takes: tuple[str, ...], in_place: bool) -> Callable[..., Any]:
    name = "_foreach_" + method
    own = hasattr(Tensor, method)
    places = [(text.rstrip("=").split(), not text.endswith("=")) for text in takes]
    needed = [names[0] for names, is_needed in places if is_needed]

    def one(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if own:
            return getattr(x, method)(*args, **kwargs)
        return x.copy_(getattr(x, method[:-1])(*args, **kwargs))

    def function(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = _bound(name, places, args, kwargs)
        if method == "pow" and isinstance(self, int | float | complex):
            return tuple(self ** exponent for exponent in _tensors(name, given["exponent"]))
        tensors = _tensors(name, self)
        columns = {key: _each(name, key, value, len(tensors)) for key, value in given.items()}
        results = tuple(one(x, *(columns[key][i] for key in needed),
                            **{key: column[i] for key, column in columns.items() if key not in needed})
                        for i, x in enumerate(tensors))
        return self if in_place else results

    described = "".join(f"\n        {' or '.join(names)}: a list of one for each"
                        + (", or one for all." if names[0] not in LISTS else ".") for names, _ in places)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""``{method}`` of each tensor of a list: a loop, with one launch a tensor or more.

    Args:
        self: list of tensors.{described}

    Returns:
        {'The list, whose tensors are changed in place' if in_place else 'A tuple of tensors'}.

    Raises:
        RuntimeError: there are no tensors, or not as many of something else.
        TypeError: something is no list of tensors, or arguments are missing.
    """
    return function


_FUNCTIONS = [_made(method, places, False) for method, places in (BOTH | MADE).items()]
_FUNCTIONS += [_made(method, places, True)
               for method, places in ({f"{name}_": places for name, places in BOTH.items()} | CHANGED).items()]
globals().update({function.__name__: function for function in _FUNCTIONS})

__all__ = [function.__name__ for function in _FUNCTIONS]
