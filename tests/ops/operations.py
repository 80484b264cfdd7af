"""A table of the operations that have gradients: for each, how to draw arguments that it takes.

A row is a function from `Draws` to a `Call`; ``@case`` enters it under one name or several, which it is then given.
Functions of one element or two have their rows by existing: everything that `genesis.methods` lists as pointwise or
arithmetic, and every activation of ``nn.functional`` that needs no argument but the input. For what has no row,
`WITHOUT` says why; a test sees to it that every public operation is in one or the other.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import genesis
from genesis.methods.arithmetic import Arithmetic
from genesis.methods.pointwise import Pointwise

F = genesis.nn.functional
SIZES = (0, 1, 2, 3, 5, 31, 32, 33, 65)
MOST = 2500


class Input(NamedTuple):
    """A tensor that an operation gets.

    Attributes:
        shape: its shape.
        low, high: the interval of its values.
        grid: multiples of 1/8, which every type holds: for functions with jumps.
        distinct: no two values equal: for what orders them.
        values: the values themselves: integers or booleans, which are not converted to the tested type.
    """

    shape: tuple[int, ...]
    low: float = -3.0
    high: float = 3.0
    grid: bool = False
    distinct: bool = False
    values: np.ndarray | None = None


class Call(NamedTuple):
    """A call of an operation.

    Attributes:
        function: (library, *tensors) -> tensor or tuple of tensors.
        inputs: what it gets.
        steps: how many roundings to a 16-bit type follow one another, where the operation is made of others.
    """

    function: Callable[..., Any]
    inputs: list[Input]
    steps: int = 1


class Draws:
    """Draws arguments."""

    def __init__(self, draw):
        self.draw = draw

    def of(self, *options):
        """One of some values."""
        return self.draw(st.sampled_from(options))

    def number(self, low, high):
        """An integer, both ends included."""
        return self.draw(st.integers(low, high))

    def flag(self):
        """True or False."""
        return self.draw(st.booleans())

    def shape(self, least=0, most=3, smallest=0, elements=MOST):
        """A shape of so many dimensions, none smaller than ``smallest``, of few elements."""
        sizes = st.sampled_from([n for n in SIZES if n >= smallest])
        return self.draw(st.lists(sizes, min_size=least, max_size=most).map(tuple).filter(
            lambda s: math.prod(s) <= elements))

    def broadcast(self, shape):
        """A shape that broadcasts to another."""
        kept = tuple(n if self.number(0, 2) else 1 for n in shape)
        return kept[self.number(0, len(kept)):]

    def dim(self, shape):
        """A dimension, counted from either end."""
        return self.number(-len(shape), len(shape) - 1) if shape else self.of(0, -1)

    def dims(self, shape):
        """None or several dimensions."""
        if not shape or self.flag():
            return None
        return tuple(sorted(self.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))

    def indices(self, shape, low, high):
        """An input of integers, low included and high not."""
        rng = np.random.default_rng(self.number(0, 99))
        return Input(shape, values=rng.integers(low, max(high, low + 1), shape))

    def mask(self, shape):
        """An input of booleans."""
        return Input(shape, values=np.random.default_rng(self.number(0, 99)).integers(0, 2, shape) > 0)


CASES: dict[str, Callable[[Draws], Call]] = {}


def case(*names):
    """Enter a function into the table; with several names it gets the name as its second argument."""
    def enter(function):
        for name in names:
            CASES[name] = function if len(inspect.signature(function).parameters) == 1 else (
                lambda d, name=name: function(d, name))
        return function

    return enter


def called(name, *args, **options):
    """The function of a name in a library, or of ``F.name`` in its ``nn.functional``, with further arguments."""
    def function(lib, *tensors):
        where, short = (lib.nn.functional, name[2:]) if name.startswith("F.") else (lib, name)
        where = where if hasattr(where, short) else lib.Tensor
        return getattr(where, short)(*tensors, *args, **options)

    return function


# Functions of corresponding elements ---------------------------------------------------------------------------------

INTERVALS = {"acos": (-0.9, 0.9), "arccos": (-0.9, 0.9), "asin": (-0.9, 0.9), "arcsin": (-0.9, 0.9),
             "atanh": (-0.9, 0.9), "arctanh": (-0.9, 0.9), "acosh": (1.2, 9), "arccosh": (1.2, 9), "log": (0.1, 9),
             "log10": (0.1, 9), "log2": (0.1, 9), "log1p": (-0.8, 9), "sqrt": (0.1, 9), "rsqrt": (0.1, 9),
             "logit": (0.1, 0.9), "reciprocal": (0.2, 3), "tan": (-1.2, 1.2), "pow": (0.3, 3), "div": (0.3, 3),
             "divide": (0.3, 3), "true_divide": (0.3, 3), "hypot": (0.2, 3), "atan2": (0.3, 3), "arctan2": (0.3, 3),
             "xlogy": (0.1, 9)}
JUMPS = {"ceil", "fix", "floor", "frac", "round", "sign", "trunc", "floor_divide", "fmod", "remainder", "heaviside",
         "copysign", *"eq ge greater greater_equal gt le less less_equal lt ne not_equal".split()}


def _takes(function, count):
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    return len(required) == count


@case(*(n for n in Pointwise.FUNCTIONS.split() if _takes(getattr(genesis.Tensor, n), 1)))
def _unary(d, name):
    low, high = INTERVALS.get(name, (-3, 3))
    return Call(called(name), [Input(d.shape(), low, high, grid=name in JUMPS)])


@case(*(n for n in Arithmetic.FUNCTIONS.split() if _takes(getattr(genesis.Tensor, n), 2)))
def _binary(d, name):
    low, high = INTERVALS.get(name, (-3, 3))
    shape = d.shape()
    inputs = [Input(shape, low, high, grid=name in JUMPS), Input(d.broadcast(shape), low, high, grid=name in JUMPS)]
    if name in ("floor_divide", "fmod", "remainder") or "shift" in name:
        inputs[1] = inputs[1]._replace(low=1)
    elif d.flag():
        inputs.reverse()
    return Call(called(name), inputs)


@case(*(f"F.{n}" for n, f in vars(genesis.nn.functional.activation).items()
        if inspect.isfunction(f) and not n.startswith("_") and _takes(f, 1)
        and "dim" not in inspect.signature(f).parameters))
def _activation(d, name):
    return Call(called(name), [Input(d.shape(), -5, 5)])


@case("addcmul", "addcdiv", "lerp")
def _ternary(d, name):
    shape = d.shape()
    inputs = [Input(shape), Input(d.broadcast(shape)), Input(d.broadcast(shape), 0.3, 3)]
    return Call(called(name, **({} if name == "lerp" else {"value": 2})), inputs, steps=2)


@case("where")
def _where(d):
    shape = d.shape()
    return Call(lambda lib, m, a, b: lib.where(m, a, b), [d.mask(d.broadcast(shape)), Input(shape),
                                                          Input(d.broadcast(shape))])


@case("masked_fill")
def _masked_fill(d):
    shape = d.shape()
    return Call(lambda lib, x, m: x.masked_fill(m, 2), [Input(shape), d.mask(d.broadcast(shape))])


@case("clamp", "clip")
def _clamp(d, name):
    shape = d.shape()
    if d.flag():
        return Call(called(name, -1, 2), [Input(shape)])
    return Call(called(name), [Input(shape), Input(d.broadcast(shape), -2, 0), Input(d.broadcast(shape), 1, 2)])


@case("clamp_min", "clamp_max")
def _clamp_one(d, name):
    return Call(called(name, 1), [Input(d.shape())])


@case("nan_to_num", "hardshrink", "F.threshold")
def _with_number(d, name):
    return Call(called(name, *(0.5, 0.25) if name == "F.threshold" else ()), [Input(d.shape())])


@case("prelu", "F.prelu")
def _prelu(d, name):
    shape = d.shape(1, 3)
    n = shape[1] if len(shape) > 1 else 1
    return Call(called(name), [Input(shape), Input((d.of(1, n),))])


# Reductions and scans ------------------------------------------------------------------------------------------------


@case("sum", "mean", "nansum", "nanmean", "logsumexp", "norm", "all", "any", "count_nonzero")
def _reduction(d, name):
    shape = d.shape()
    dims = d.dims(shape)
    if name == "logsumexp" and dims is None:
        dims = tuple(range(len(shape))) if shape else 0
    options = {} if name == "count_nonzero" else {"keepdim": d.flag()} if dims is not None else {}
    if name == "norm":
        options["p"] = d.of(1, 2, 3, math.inf)
        shape = tuple(max(n, 1) for n in shape)
    return Call(called(name, **({} if dims is None else {"dim": dims}), **options), [Input(shape, 0.25, 3)], steps=3)


@case("amax", "amin")
def _extreme(d, name):
    shape = d.shape(smallest=1, elements=200)
    dims = d.dims(shape)
    return Call(called(name, **({} if dims is None else {"dim": dims, "keepdim": d.flag()})),
                [Input(shape, distinct=d.flag(), grid=True)])


@case("max", "min", "median", "argmax", "argmin", "aminmax")
def _ordered(d, name):
    shape = d.shape(smallest=1, elements=200)
    dim = None if not shape or d.flag() else d.dim(shape)
    return Call(called(name, **({} if dim is None else {"dim": dim, "keepdim": d.flag()})),
                [Input(shape, distinct=True)])


@case("var", "std", "var_mean", "std_mean")
def _variance(d, name):
    shape = d.shape(1, 3, smallest=3)
    dims = d.dims(shape)
    return Call(called(name, **({} if dims is None else {"dim": dims, "keepdim": d.flag()}), correction=d.of(0, 1)),
                [Input(shape)], steps=2)


@case("prod")
def _prod(d):
    shape = d.shape(elements=65)
    return Call(called("prod", *() if not shape or d.flag() else (d.dim(shape),)), [Input(shape, -1.3, 1.3)], steps=3)


@case("cumsum", "cumprod")
def _scan(d, name):
    shape = d.shape()
    high = 3 if name == "cumsum" else 1.1
    return Call(called(name, d.dim(shape)), [Input(shape, -high, high)], steps=3)


@case("softmax", "log_softmax", "F.softmax", "F.log_softmax", "F.softmin")
def _softmax(d, name):
    shape = d.shape()
    return Call(called(name, d.dim(shape)), [Input(shape)], steps=2)


@case("sort", "argsort", "msort", "topk", "kthvalue", "quantile")
def _sorted(d, name):
    shape = d.shape(1, 3, smallest=1, elements=200)
    dim = d.dim(shape)
    options: dict[str, Any] = {"dim": dim}
    if name in ("sort", "argsort"):
        options["descending"] = d.flag()
    if name in ("topk", "kthvalue"):
        options["k"] = d.number(1, shape[dim])
    if name == "quantile":
        options["q"] = d.of(0.0, 0.3, 0.5, 1.0)
    return Call(called(name, **({} if name == "msort" else options)), [Input(shape, distinct=True)], steps=2)


# Matrix products -----------------------------------------------------------------------------------------------------


@case("matmul", "mm", "bmm", "dot", "outer", "ger", "F.linear", "F.bilinear", "einsum", "tensordot")
def _product(d, name):
    m, k, n = (d.of(*SIZES) for _ in range(3))
    batch = d.of((), (2,), (3, 1))
    shapes = {"matmul": d.of(((k,), (k,)), ((m, k), (k,)), ((k,), (k, n)), ((*batch, m, k), (k, n)),
                             ((*batch, m, k), (2, k, n)), ((m, k), (k, n))),
              "mm": ((m, k), (k, n)), "bmm": ((2, m, k), (2, k, n)), "dot": ((k,), (k,)), "outer": ((m,), (n,)),
              "ger": ((m,), (n,)), "F.linear": ((*batch, m, k), (n, k), (n,)),
              "F.bilinear": ((m, 3), (m, 2), (5, 3, 2), (5,)), "einsum": ((2, m, k), (k, n, 2)),
              "tensordot": ((2, m, k), (m, k, n))}[name]
    inputs = [Input(s, -1, 1) for s in shapes]
    if name == "einsum":
        return Call(lambda lib, a, b: lib.einsum("amk,kna->nm", a, b), inputs, steps=2)
    return Call(called(name, **{"dims": 2} if name == "tensordot" else {}), inputs, steps=2)
