"""Rows of the table of `operations` for what moves elements: shapes, parts, joints, indices."""

import math

import numpy as np
from operations import CASES, SIZES, Call, Input, called, case

# Shapes and parts ----------------------------------------------------------------------------------------------------


@case("flatten", "ravel", "reshape", "view", "unflatten", "clone", "contiguous", "reshape_as", "expand_as")
def _reshaped(d, name):
    shape = d.shape(1, 3, smallest=1)
    last = shape[-1]
    function = {"reshape": lambda lib, x: x.reshape(last, -1), "view": lambda lib, x: x.clone().view(-1),
                "unflatten": lambda lib, x: x.unflatten(-1, (last, 1)),
                "reshape_as": lambda lib, x: x.reshape_as(lib.zeros(math.prod(shape))),
                "expand_as": lambda lib, x: x.expand_as(lib.zeros(2, *shape))}.get(name)
    return Call(function or called(name), [Input(shape)])


@case("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "unsqueeze", "squeeze",
      "expand", "broadcast_to", "rot90", "fliplr", "flipud", "flip", "roll", "tile", "repeat", "repeat_interleave",
      "tril", "triu", "diag", "diagonal", "diag_embed")
def _arranged(d, name):
    shape = d.shape(2, 2 if name in ("t", "T", "diag") else 3, elements=800)
    i, j = d.dim(shape), d.dim(shape)
    other = (i + 1) % len(shape)
    k = d.number(-2, 2)
    function = {
        "permute": lambda lib, x: x.permute(*reversed(range(len(shape)))), "T": lambda lib, x: x.T,
        "mT": lambda lib, x: x.mT, "t": lambda lib, x: x.t(), "unsqueeze": lambda lib, x: x.unsqueeze(i),
        "squeeze": lambda lib, x: x[:, :1].squeeze(1), "expand": lambda lib, x: x.expand(2, *shape),
        "broadcast_to": lambda lib, x: lib.broadcast_to(x, (3, *shape)), "rot90": lambda lib, x: lib.rot90(x, k),
        "flip": lambda lib, x: x.flip(i), "roll": lambda lib, x: x.roll(k, i), "tile": lambda lib, x: x.tile(2),
        "repeat": lambda lib, x: x.repeat(2, *[1] * (len(shape) - 1), 2),
        "repeat_interleave": lambda lib, x: x.repeat_interleave(3, i), "tril": lambda lib, x: x.tril(k),
        "triu": lambda lib, x: x.triu(k), "diag": lambda lib, x: x.diag(k),
        "diagonal": lambda lib, x: x.diagonal(k, i, other), "diag_embed": lambda lib, x: x[0].diag_embed(k)
        if shape[0] else x, "fliplr": lambda lib, x: x.fliplr(), "flipud": lambda lib, x: x.flipud(),
    }.get(name)
    return Call(function or called(name, i, j), [Input(shape)])


@case("narrow", "select", "split", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "unfold",
      "__getitem__")
def _part(d, name):
    shape = d.shape(3, 3, smallest=1, elements=800)
    dim = d.dim(shape)
    n = shape[dim]
    start = d.number(0, n - 1)
    step = d.of(1, 2, 3)
    function = {
        "narrow": lambda lib, x: x.narrow(dim, start, n - start), "select": lambda lib, x: x.select(dim, start),
        "split": lambda lib, x: x.split(step, dim), "chunk": lambda lib, x: x.chunk(step, dim),
        "tensor_split": lambda lib, x: x.tensor_split(step, dim), "hsplit": lambda lib, x: x.hsplit((1, 2)),
        "vsplit": lambda lib, x: x.vsplit((1, 2)), "dsplit": lambda lib, x: x.dsplit((1, 2)),
        "unbind": lambda lib, x: x.unbind(dim), "unfold": lambda lib, x: x.unfold(dim, min(2, n), step),
        "__getitem__": lambda lib, x: x[:, None, ::step, start % shape[2]:],
    }[name]
    return Call(function, [Input(shape)])


@case("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack",
      "broadcast_tensors", "meshgrid")
def _joined(d, name):
    shape = (d.of(*SIZES[:6]),) if name == "meshgrid" else d.shape(1, 3, elements=800)
    inputs = [Input(shape) for _ in range(d.number(1, 3))]
    if name == "broadcast_tensors":
        inputs[0] = Input(d.broadcast(shape))
        return Call(lambda lib, *x: lib.broadcast_tensors(*x), inputs)
    if name == "meshgrid":
        return Call(lambda lib, *x: lib.meshgrid(*x, indexing="ij"), inputs)
    dim = (d.dim(shape),) if name in ("cat", "concat", "concatenate", "stack") else ()
    return Call(lambda lib, *x: getattr(lib, name)(x, *dim), inputs)


# Indices -------------------------------------------------------------------------------------------------------------


@case("gather", "take_along_dim", "scatter", "scatter_add", "scatter_reduce")
def _along(d, name):
    shape = d.shape(1, 3, smallest=1, elements=800)
    dim = d.dim(shape)
    wanted = list(shape)
    wanted[dim] = d.of(0, 1, 3)
    if name == "scatter":                   # of equal indices any may win in PyTorch
        wanted[dim] = 1
    index = d.indices(tuple(wanted), 0, shape[dim])
    if name in ("gather", "take_along_dim"):
        function = (lambda lib, x, i: x.gather(dim, i)) if name == "gather" else (
            lambda lib, x, i: x.take_along_dim(i, dim))
        return Call(function, [Input(shape), index])
    reduce = (d.of("sum", "amax", "amin", "mean"),) if name == "scatter_reduce" else ()
    return Call(lambda lib, x, i, s: getattr(x, name)(dim, i, s, *reduce),
                [Input(shape, distinct=bool(reduce)), index, Input(tuple(wanted), distinct=bool(reduce))],
                steps=3)


@case("index_select", "index_add", "index_copy", "index_fill", "take", "index_put", "masked_select", "masked_scatter",
      "F.embedding", "embedding", "__getitem__ of indices")
def _indexed(d, name):
    shape = d.shape(1, 3, smallest=1, elements=800)
    if "embedding" in name:
        shape = (d.of(1, 5, 33), d.of(1, 3, 65))
    dim, n = d.dim(shape), d.number(1, 4)
    index = d.indices((n,), 0, shape[dim])
    if name in ("index_copy", "index_put"):
        index = Input((1,), values=np.array([d.number(0, shape[dim] - 1)]))
    rows = list(shape)
    rows[dim] = index.shape[0]
    first = d.indices((2, n), 0, shape[0])
    x = Input(shape)
    if name == "masked_scatter":
        return Call(lambda lib, x, m, s: x.masked_scatter(m, s), [x, d.mask(shape), Input((math.prod(shape),))])
    return {
        "index_select": Call(lambda lib, x, i: x.index_select(dim, i), [x, index]),
        "index_add": Call(lambda lib, x, i, s: x.index_add(dim, i, s), [x, index, Input(tuple(rows))], 3),
        "index_copy": Call(lambda lib, x, i, s: x.index_copy(dim, i, s), [x, index, Input(tuple(rows))]),
        "index_fill": Call(lambda lib, x, i: x.index_fill(dim, i, 2), [x, index]),
        "take": Call(lambda lib, x, i: x.take(i), [x, d.indices((2, n), 0, math.prod(shape))]),
        "index_put": Call(lambda lib, x, i, s: x.index_put((i % shape[0],), s), [x, index, Input((1, *shape[1:]))]),
        "masked_select": Call(lambda lib, x, m: x.masked_select(m), [x, d.mask(d.broadcast(shape))]),
        "F.embedding": Call(lambda lib, w, i: lib.nn.functional.embedding(i, w), [x, first], 3),
        "embedding": Call(lambda lib, w, i: lib.embedding(w, i), [x, first], 3),
        "__getitem__ of indices": Call(lambda lib, x, i: x[i], [x, first], 3),
    }[name]


__all__ = ["CASES"]      # with the rows of this file
