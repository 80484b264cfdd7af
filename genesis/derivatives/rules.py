"""The table of rules, and what rules are written with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import functions
from ..autograd import apply, grad
from ..autograd.graph import RESULT
from ..dtypes import DType
from ..ops.array import Array
from ..ops.complex import allow
from ..ops.elementwise import full
from ..ops.operation import Context, Operation
from ..ops.views import Expand
from ..tensor import Tensor

__all__ = ["RESULT", "LinearMap", "Rule", "conj", "constant", "find", "fitted", "linear", "passing", "rule", "vjp",
           "where", "zeros"]


class Rule(NamedTuple):
    """How an operation's backward is differentiated.

    Attributes:
        apply: takes a `genesis.autograd.recorded.Recorded` context and the gradient of each result (None where there is
            none), and returns those of the inputs as backward does; ``NotImplemented`` where it does not cover the
            options that the operation was called with.
        roles: for each array that the operation saves, the number of the input that it is, `RESULT`, or None for
            something else that does not depend on the inputs. What is not named has no role.
    """

    apply: Callable[..., Any]
    roles: tuple[int | None, ...]


_rules: dict[type[Operation], Rule] = {}


def rule(*operations: type[Operation], saved: tuple[int | None, ...] = ()) -> Callable[[Any], Any]:
    """Enter a function as the rule of operations; ``saved`` are the roles of what they save."""
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for operation in operations:
            _rules[operation] = Rule(function, saved)
        return function

    return enter


def find(operation: type[Operation]) -> Rule | None:
    """An operation's rule, perhaps that of a class whose backward it inherits."""
    for base in operation.__mro__:
        if base in _rules:
            return _rules[base]
        if "backward" in vars(base):
            return None
    return None


@allow
class LinearMap(Operation):
    """A linear function of an array, given as functions on arrays: itself, and its transpose for the gradient."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, there: Callable[[Array], Array],
                back: Callable[[Array], Array]) -> Array:
        """Apply the function."""
        ctx.there, ctx.back = there, back
        return there(x)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Apply the transpose."""
        result: Array = ctx.back(g)
        return result


@rule(LinearMap)
def _linear_map(ctx: Any, g: Tensor) -> Tensor:
    return linear(g, ctx.back, ctx.there)


def linear(x: Tensor, there: Callable[[Array], Array], back: Callable[[Array], Array]) -> Tensor:
    """A linear function of a tensor, stated on arrays; ``back`` is its transpose. It has derivatives of all orders."""
    result: Tensor = apply(LinearMap, x, there=there, back=back)
    return result


def vjp(formula: Callable[..., Any], inputs: Sequence[Any], g: Any) -> tuple[Any, ...]:
    """The gradients of an operation's inputs, by way of the same operation put together from simpler ones.

    Args:
        formula: takes the inputs and returns what the operation does; a tuple for several results.
        inputs: tensors, numbers, or None.
        g: the gradient of the result; for several a tuple, with None where there is none.

    Returns:
        For each input a tensor, None for those that need none.
    """
    # Other names for the inputs: the search for them ends there, instead of going through all that they were made from.
    names = [apply(Expand, x, shape=x._array.shape) if isinstance(x, Tensor) and x.requires_grad else x for x in inputs]
    wanted = [i for i, x in enumerate(names) if isinstance(x, Tensor) and x.requires_grad]
    results: list[Any] = [None] * len(names)
    if wanted:
        y = formula(*names)
        pairs = [(y, g)] if isinstance(y, Tensor) else [pair for pair in zip(y, g) if pair[1] is not None]
        outputs, given = zip(*pairs)
        found = grad(outputs, [names[i] for i in wanted], given, create_graph=True, allow_unused=True)
        for i, x in zip(wanted, found):
            results[i] = x
    return tuple(results)


def fitted(g: Tensor, shape: Sequence[int], dtype: DType) -> Tensor:
    """A gradient summed over what was broadcast, and in its operand's type."""
    if g._array.shape != shape:
        g = g.sum_to_size(shape)
    return (g.real if g.dtype.is_complex and not dtype.is_complex else g).to(dtype)


def conj(x: Any) -> Any:
    """The conjugate of a tensor, which of a real one is itself; a number as it is."""
    return x.conj() if isinstance(x, Tensor) else x


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """``a`` where a condition (a tensor of booleans) holds, ``b`` elsewhere."""
    return functions.where(condition, a, b)


def passing(condition: Any, g: Any) -> Tensor:
    """The gradient where a condition holds, 0 elsewhere."""
    return where(condition, g, 0.0)


def constant(value: float, like: Tensor) -> Tensor:
    """A number as a 0-d tensor of another's element type."""
    return Tensor._wrap(full(like.device, (), value, like.dtype))


def zeros(g: Tensor) -> Tensor:
    """Zeros in a gradient's shape, which depend on nothing."""
    return constant(0.0, g).expand(*g.shape)
