"""The operations that `test_random_programs` makes its programs of: each draws what it works on, and runs it.

A method of `Draws` that has no underscore is one kind of operation; a new one is drawn by existing.
"""

import math

import numpy as np
from hypothesis import strategies as st
from random_programs import EPS, FLOATS, promoted

SIZES = (0, 1, 2, 3, 31, 32, 33, 65)
DTYPES = (*FLOATS, "bool", "uint8", "int32", "int64")
MOST = 4000                                # elements of a value

UNARY = {                                  # name -> on arrays; the tensor's method has the name
    "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "neg": np.negative, "abs": np.abs, "square": np.square,
    "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "atan": np.arctan,
    "asinh": np.arcsinh, "clone": lambda x: x.copy(),
}
JUMPS = {"floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "sign": np.sign, "round": np.round}
BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
COMPARISONS = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
               "ne": np.not_equal}
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min}


def shapes(least=0):
    """Shapes of few elements, with sizes around the edges of vectors and work-groups."""
    return st.lists(st.sampled_from(SIZES), min_size=least, max_size=3).map(tuple).filter(
        lambda s: math.prod(s) <= MOST)


class Draws:
    """Draws the operations of a program one by one; each method below is one kind."""

    def __init__(self, draw, machine):
        self._draw, self._machine = draw, machine

    def _one_of(self, options):
        return self._draw(st.sampled_from(list(options)))

    def _pick(self, accept=lambda v: True):
        """A value that is accepted, later ones more likely; None where there is none."""
        found = [v for v in self._machine.values if accept(v)]
        return found[-1 - self._draw(st.integers(0, len(found) - 1))] if found else None

    def _new(self, shape, dtype=None, needs=None):
        """A new leaf, on a grid that every type holds."""
        dtype = dtype or self._one_of(DTYPES)
        rng = np.random.default_rng(self._draw(st.integers(0, 999)))
        if dtype == "bool":
            values = rng.integers(0, 2, shape) > 0
        elif dtype in EPS:
            values = rng.integers(-24, 25, shape) / 8
        else:
            values = rng.integers(0 if dtype == "uint8" else -9, 10, shape)
        needs = self._draw(st.booleans()) if needs is None else needs
        return self._machine.leaf(values, dtype, needs and dtype in EPS)

    def _fitting(self, shape, accept=lambda v: True):
        """A value that broadcasts to a shape: one that there is, or a new one."""
        found = self._pick(lambda v: broadcasts(v.shape, shape) and accept(v))
        if found is not None and self._draw(st.booleans()):
            return found
        kept = tuple(n if self._draw(st.integers(0, 3)) else 1 for n in shape)
        return self._new(kept[self._draw(st.integers(0, len(kept))):], dtype=self._one_of(FLOATS))

    def _axis(self, value):
        return self._draw(st.integers(-len(value.shape), len(value.shape) - 1))

    def _part(self, n):
        """A slice of a dimension."""
        start, stop = sorted(self._draw(st.tuples(st.integers(0, n), st.integers(0, n))))
        return slice(start, stop, self._one_of((1, 1, 2, 3)))

    # Elementwise

    def unary(self):
        x = self._pick(lambda v: v.floating)
        name = self._one_of([*UNARY, *JUMPS] if x.certain else UNARY)
        self._machine.run(name, lambda lib, t: getattr(t, name)(), UNARY.get(name) or JUMPS[name], x,
                         rounds=name not in JUMPS and name not in ("neg", "abs", "relu", "clone"))

    def binary(self):
        name = self._one_of(BINARY)
        a = self._pick(lambda v: name not in ("sub",) or v.dtype != "bool")
        b = self._fitting(a.shape, lambda v: v.dtype != "bool")
        if self._draw(st.booleans()):
            a, b = b, a
        self._machine.run(name, lambda lib, s, t: getattr(s, name)(t), BINARY[name], a, b, dtype=promoted(a, b),
                         rounds=True)

    def scalar(self):
        x = self._pick(lambda v: v.dtype not in ("bool", "uint8"))
        number = self._one_of((-2, 3, 0.5) if x.floating else (-2, 3))
        name = self._one_of(("add", "sub", "mul", "rsub"))
        on = {"add": lambda x: x + number, "sub": lambda x: x - number, "mul": lambda x: x * number,
              "rsub": lambda x: number - x}[name]
        self._machine.run(f"{name} {number}", lambda lib, t: on(t), on, x)

    def quotient(self):
        a = self._pick(lambda v: v.floating)
        b = self._fitting(a.shape, lambda v: v.floating)
        self._machine.run("a / (|b| + 1)", lambda lib, s, t: s / (t.abs() + 1), lambda s, t: s / (np.abs(t) + 1), a, b,
                         dtype=promoted(a, b))

    def comparison(self):
        a = self._pick(lambda v: v.certain)
        b = self._fitting(a.shape, lambda v: v.certain)
        name = self._one_of(COMPARISONS)
        self._machine.run(name, lambda lib, s, t: getattr(s, name)(t), COMPARISONS[name], a, b, dtype="bool",
                         rounds=False)

    def where(self):
        a = self._pick(lambda v: v.floating)
        b = self._fitting(a.shape, lambda v: v.floating)
        mask = self._new(self._one_of((a.shape, a.shape[:-1] + (1,) * bool(a.shape))), "bool")
        self._machine.run("where", lambda lib, m, s, t: lib.where(m, s, t), np.where, mask, a, b,
                         dtype=promoted(a, b), rounds=False)

    def cast(self):
        x = self._pick()
        dtype = self._one_of([d for d in DTYPES if d != x.dtype and (d in EPS or x.certain) and d != "uint8"])
        if x.dtype in ("int32", "int64") and x.exact.size and np.abs(x.exact).max() > 2 ** 31 - 1:
            return
        self._machine.cast(x, dtype)

    # Reductions and scans

    def reduction(self):
        x = self._pick(lambda v: v.floating)
        name = self._one_of(REDUCTIONS)
        axes = self._draw(st.none() | st.sets(st.integers(0, len(x.shape) - 1), min_size=1).map(tuple)
                         if x.shape else st.none())
        if name != "sum" and not math.prod(n for i, n in enumerate(x.shape) if axes is None or i in axes):
            name = "sum"
        keep = self._draw(st.booleans()) and axes is not None
        self._machine.run(f"{name} {axes} {keep}", lambda lib, t: getattr(t, name)(*[axes] * (axes is not None),
                                                                                 **{"keepdim": True} if keep else {}),
                         lambda a: REDUCTIONS[name](a, axis=axes, keepdims=keep), x,
                         rounds=name in ("sum", "mean"))

    def whole_reduction(self):
        x = self._pick(lambda v: not v.floating)
        if x is None:
            return
        name = self._one_of(("sum", "any", "all"))
        if name != "sum" and x.dtype == "uint8":     # PyTorch keeps uint8 there, for old programs' sake
            name = "sum"
        on = {"sum": np.sum, "any": np.any, "all": np.all}[name]
        self._machine.run(name, lambda lib, t: getattr(t, name)(), on, x, dtype="int64" if name == "sum" else "bool")

    def position(self):
        x = self._pick(lambda v: v.certain and v.exact.size and v.dtype != "bool")
        if x is None:
            return
        name = self._one_of(("argmax", "argmin"))
        dim = self._axis(x) if x.shape and self._draw(st.booleans()) else None
        on = getattr(np, name)
        # Where several are equal, PyTorch may name any of them, genesis the first, like NumPy: not to be worked with.
        self._machine.run(f"{name} {dim}", lambda lib, t: getattr(t, name)(dim), lambda a: on(a, dim), x, dtype="int64")
        self._machine.values.pop()

    def rows(self):
        x = self._pick(lambda v: v.dtype == "float32" and v.shape and v.shape[-1])
        if x is None:
            return
        name = self._one_of(("softmax", "log_softmax", "cumsum", "logsumexp"))
        dim = self._axis(x)
        if name != "cumsum" and not x.exact.size:
            name = "cumsum"

        def softmax(a):
            e = np.exp(a - a.max(dim, keepdims=True))
            return e / e.sum(dim, keepdims=True)

        on = {"softmax": softmax, "log_softmax": lambda a: np.log(softmax(a)), "cumsum": lambda a: a.cumsum(dim),
              "logsumexp": lambda a: np.log(np.exp(a - a.max(dim, keepdims=True)).sum(dim)) + a.max(dim)}[name]
        self._machine.run(f"{name} {dim}", lambda lib, t: getattr(t, name)(dim), on, x)

    def product(self):
        a = self._pick(lambda v: v.dtype == "float32" and v.shape)
        if a is None:
            return
        k = a.shape[-1]
        b = self._pick(lambda v: v.dtype == "float32" and v.shape and v.shape[-2 if len(v.shape) > 1 else 0] == k
                      and (len(v.shape) < 3 or len(a.shape) < 3 or v.shape[0] == a.shape[0]))
        if b is None or self._draw(st.booleans()):
            b = self._new(self._one_of(((k,), (k, 3), (k, 33))), "float32")
        self._machine.run("matmul", lambda lib, s, t: s @ t, np.matmul, a, b)

    # Views, which share memory, and what moves elements

    def view(self):
        x = self._pick()
        n = len(x.shape)
        kinds = {"unsqueeze": True, "squeeze": 1 in x.shape, "transpose": n > 1, "permute": n > 1, "slice": n > 0,
                 "select": 0 not in x.shape and n > 0, "expand": n < 3, "flatten": n > 0, "diagonal": n > 1,
                 "unfold": n > 0 and n < 3}
        kind = self._one_of([k for k, possible in kinds.items() if possible])
        if kind == "unsqueeze":
            at = self._draw(st.integers(0, n))
            tensors, arrays = (lambda lib, t: t.unsqueeze(at)), (lambda a: np.expand_dims(a, at))
        elif kind == "squeeze":
            at = x.shape.index(1)
            tensors, arrays = (lambda lib, t: t.squeeze(at)), (lambda a: np.squeeze(a, at))
        elif kind == "transpose":
            i, j = self._axis(x), self._axis(x)
            tensors, arrays = (lambda lib, t: t.transpose(i, j)), (lambda a: np.swapaxes(a, i, j))
        elif kind == "permute":
            order = self._draw(st.permutations(range(n)))
            tensors, arrays = (lambda lib, t: t.permute(*order)), (lambda a: np.transpose(a, order))
        elif kind == "slice":
            parts = tuple(self._part(m) for m in x.shape[:self._draw(st.integers(1, n))])
            tensors, arrays = (lambda lib, t: t[parts]), (lambda a: a[(*parts, ...)])
        elif kind == "select":
            at = self._draw(st.integers(0, n - 1))
            key = (*[slice(None)] * at, self._draw(st.integers(0, x.shape[at] - 1)))
            tensors, arrays = (lambda lib, t: t[key]), (lambda a: a[(*key, ...)])
        elif kind == "expand":
            shape = (self._one_of((1, 2, 3)), *x.shape)
            tensors, arrays = (lambda lib, t: t.expand(shape)), (lambda a: np.broadcast_to(a, shape))
        elif kind == "flatten":                    # a view where the strides allow one, in all three libraries
            tensors, arrays = (lambda lib, t: t.reshape(-1)), (lambda a: a.reshape(-1))
        elif kind == "diagonal":
            offset = self._one_of((-1, 0, 1))
            tensors, arrays = (lambda lib, t: t.diagonal(offset)), (lambda a: np.diagonal(a, offset))
        else:
            at, size = self._draw(st.integers(0, n - 1)), self._one_of((1, 2))
            if x.shape[at] < size:
                return
            tensors = lambda lib, t: t.unfold(at, size, 1)                                      # noqa: E731
            arrays = lambda a: np.lib.stride_tricks.sliding_window_view(a, size, at)            # noqa: E731
        if kind != "expand" or math.prod(shape) <= MOST:
            self._machine.run(kind, tensors, arrays, x, rounds=False)

    def move(self):
        x = self._pick(lambda v: v.shape)
        if x is None:
            return
        dim = self._draw(st.integers(0, len(x.shape) - 1))
        kind = self._one_of(("flip", "roll", "repeat", "tril"))
        if kind == "tril" and len(x.shape) < 2:
            kind = "flip"
        tensors, arrays = {
            "flip": (lambda lib, t: t.flip(dim), lambda a: np.flip(a, dim).copy()),
            "roll": (lambda lib, t: t.roll(2, dim), lambda a: np.roll(a, 2, dim)),
            "repeat": (lambda lib, t: t.repeat_interleave(2, dim), lambda a: np.repeat(a, 2, dim)),
            "tril": (lambda lib, t: t.tril(), np.tril),
        }[kind]
        if x.exact.size <= MOST // 2:
            self._machine.run(f"{kind} {dim}", tensors, arrays, x, rounds=False)

    def join(self):
        x = self._pick(lambda v: v.shape and v.exact.size <= MOST // 3)
        if x is None:
            return
        others = [self._pick(lambda v: v.shape == x.shape) for _ in range(self._one_of((1, 2)))]
        dim = self._axis(x)
        name, on = self._one_of((("cat", np.concatenate), ("stack", np.stack)))
        self._machine.run(f"{name} {dim}", lambda lib, *t: getattr(lib, name)(t, dim), lambda *a: on(
            [z.astype(np.result_type(*a)) for z in a], dim), x, *others, dtype=promoted(x, *others), rounds=False)

    def index(self):
        x = self._pick(lambda v: v.shape and 0 not in v.shape)
        if x is None:
            return
        rng = np.random.default_rng(self._draw(st.integers(0, 999)))
        kind = self._one_of(("rows", "columns", "pairs", "mask", "whole mask"))
        n, last = x.shape[0], x.shape[-1]
        chosen = rng.integers(-n, n, self._one_of(((0,), (1,), (5,), (2, 2))))
        key = {"rows": (chosen,), "columns": (..., rng.integers(-last, last, 3)),
               "pairs": (chosen, *(rng.integers(-m, m, chosen.shape) for m in x.shape[1:2])),
               "mask": (rng.integers(0, 2, n) > 0,), "whole mask": (rng.integers(0, 2, x.shape) > 0,)}[kind]

        def tensors(lib, t):
            return t[tuple(k if k is ... else lib.tensor(k) for k in key)]

        self._machine.run(f"index by {kind}", tensors, lambda a: a[key], x, rounds=False)

    # In place

    def change(self):
        x = self._pick(lambda v: v.floating and self._machine.changeable(v))
        if x is None:
            return
        kind = self._one_of(("add_", "sub_", "mul_", "copy_", "tanh_", "neg_", "fill_", "part",
                            *["mask", "rows"] * bool(x.shape)))
        machine, shape = self._machine, x.shape
        if kind in ("tanh_", "neg_"):
            machine.change(kind, lambda lib, t: getattr(t, kind)(), UNARY[kind[:-1]], x, rounds=kind == "tanh_")
        elif kind == "fill_":
            machine.change(kind, lambda lib, t: t.fill_(1.5), lambda a: np.full(shape, 1.5), x, rounds=False)
        elif kind == "mask":
            mask = np.random.default_rng(self._draw(st.integers(0, 99))).integers(0, 2, shape) > 0
            machine.change("x[mask] = -1", lambda lib, t: t.__setitem__(lib.tensor(mask), -1.0),
                           lambda a: np.where(mask, -1.0, a), x, rounds=False)
        elif kind in ("add_", "sub_", "mul_", "copy_"):
            y = self._fitting(shape)
            if y.dtype == "bool":
                return
            on = {"copy_": lambda a, b: np.broadcast_to(b, shape)}.get(kind) or BINARY[kind[:-1]]
            machine.change(kind, lambda lib, t, s: getattr(t, kind)(s), on, x, y)
        elif not shape or 0 in shape:
            return
        else:
            key = self._part(shape[0]) if kind == "part" else self._draw(st.permutations(range(shape[0])))[:3]
            part = np.empty(shape)[key].shape
            y = self._fitting(part, lambda v: v.dtype != "bool")

            def put(a, b):
                a = a.copy()
                a[key] = b
                return a

            machine.change(f"x[{key}] = y", lambda lib, t, s: t.__setitem__(
                key if kind == "part" else lib.tensor(key), s.to(t.dtype)), put, x, y)


def broadcasts(shape, to):
    """Whether a shape broadcasts to another."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(to)))


KINDS = [name for name in vars(Draws) if not name.startswith("_")]
