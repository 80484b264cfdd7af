"""What operations refuse: the error says what is wrong, and PyTorch refuses it too."""

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis.nn import functional as F

X, SCALAR, WHOLE, TRUTH = np.zeros((4, 6), np.float32), np.float32(1), np.arange(4), np.array([True, False])

REFUSED = {        # (library, x, scalar, whole, truth) -> an error of this type, with these words in genesis
    "select of a 0-d tensor": (lambda t, x, s, w, b: s.select(0, 0), IndexError, "at least one dimension"),
    "no sections": (lambda t, x, s, w, b: x.tensor_split(0), RuntimeError, "at least one section"),
    "vsplit of a vector": (lambda t, x, s, w, b: w.vsplit(2), RuntimeError, "at least 2 dimensions"),
    "diag of three dimensions": (lambda t, x, s, w, b: x.reshape(2, 2, 6).diag(), RuntimeError, "vector or a matrix"),
    "diag_embed in one": (lambda t, x, s, w, b: x.diag_embed(0, 1, 1), RuntimeError, "different dimensions"),
    "flipud of a 0-d tensor": (lambda t, x, s, w, b: s.flipud(), RuntimeError, "at least one dimension"),
    "rot90 of a vector": (lambda t, x, s, w, b: w.rot90(), RuntimeError, "two dimensions"),
    "mm of batches": (lambda t, x, s, w, b: x.reshape(2, 2, 6).mm(x), RuntimeError, "dimensions"),
    "bmm of two sizes": (lambda t, x, s, w, b: x.reshape(2, 2, 6).bmm(x.reshape(1, 6, 4)), RuntimeError, "one size"),
    "narrow from a boolean": (lambda t, x, s, w, b: x.narrow(0, b[0], 1), RuntimeError, "integers"),
    "arange to infinity": (lambda t, x, s, w, b: t.arange(float("inf")), RuntimeError, "finite"),
    "linspace of fewer than none": (lambda t, x, s, w, b: t.linspace(0, 1, -1), RuntimeError, "negative"),
    "linspace from a vector": (lambda t, x, s, w, b: t.linspace(w, 1, 3), RuntimeError, "0-d"),
    "largest of nothing": (lambda t, x, s, w, b: x[:0].amax(), RuntimeError, "no value"),
    "largest of no dimension": (lambda t, x, s, w, b: x[:0].amax(0), IndexError, "no value"),
    "isclose to a number": (lambda t, x, s, w, b: x.isclose(2), TypeError, "two tensors"),
    "complex numbers for whole ones": (lambda t, x, s, w, b: w.masked_fill(w > 1, t.tensor(1j)), RuntimeError,
                                      "complex"),
    "half a size": (lambda t, x, s, w, b: t.zeros(7 / 2), TypeError, "whole numbers"),
    "half a size in a shape": (lambda t, x, s, w, b: x.reshape(2, 24 / 2), TypeError, "whole numbers"),
    "half a size to expand to": (lambda t, x, s, w, b: s.expand(7 / 2), TypeError, "whole numbers"),
    "half a place": (lambda t, x, s, w, b: x.select(0, 1.5), TypeError, "whole number"),
    "half a start": (lambda t, x, s, w, b: x.narrow(0, 0.5, 1), TypeError, "whole number"),
    "half a part": (lambda t, x, s, w, b: x.split(1.5), TypeError, "whole number"),
    "half of the largest": (lambda t, x, s, w, b: x.topk(1.5), TypeError, "whole number"),
    "half a diagonal": (lambda t, x, s, w, b: x.diagonal(0.5), TypeError, "whole number"),
    "half a number drawn": (lambda t, x, s, w, b: t.randint(0, 2.5, (3,)), TypeError, "whole number"),
    "roll of a 0-d tensor": (lambda t, x, s, w, b: s.roll(1, 0), IndexError, "0-d"),
    "eye of fewer than none": (lambda t, x, s, w, b: t.eye(-1), RuntimeError, "negative"),
    "shares of shares": (lambda t, x, s, w, b: x.quantile([[0.5]]), (RuntimeError, TypeError), "a vector"),
    "rot90 in one": (lambda t, x, s, w, b: t.rot90(x, 1, (0,)), RuntimeError, "two dimensions"),
    "rot90 in one twice": (lambda t, x, s, w, b: t.rot90(x, 1, (0, 0)), RuntimeError, "different"),
    "roll without a dimension": (lambda t, x, s, w, b: x.roll((1, 2), (0,)), RuntimeError, "as many shifts"),
    "negative repeats": (lambda t, x, s, w, b: x.repeat_interleave(-1, 0), RuntimeError, "not negative"),
    "too few repeats": (lambda t, x, s, w, b: x.repeat_interleave(t.tensor([1, 2]), 0), RuntimeError, "4 numbers"),
    "no sizes": (lambda t, x, s, w, b: x.unflatten(0, ()), RuntimeError, "at least one size"),
    "median of nothing": (lambda t, x, s, w, b: x[:0].median(0), IndexError, "empty"),
    "quantile of integers": (lambda t, x, s, w, b: w.quantile(0.5), RuntimeError, "floating-point"),
    "quantile of nothing": (lambda t, x, s, w, b: x[:0].quantile(0.5), RuntimeError, "no elements"),
    "unknown interpolation": (lambda t, x, s, w, b: x.quantile(0.5, interpolation="best"), (ValueError, RuntimeError),
                              "best"),
    "weights of another size": (lambda t, x, s, w, b: w.bincount(x[0]), RuntimeError, "weights of shape"),
    "histc of integers": (lambda t, x, s, w, b: w.histc(4), RuntimeError, "floating-point"),
    "histc of a reversed range": (lambda t, x, s, w, b: x.histc(4, 2, 1), RuntimeError, "min <= max"),
    "histc of an infinite range": (lambda t, x, s, w, b: (x + float("inf")).histc(4), RuntimeError, "finite"),
    "indices of fewer dimensions": (lambda t, x, s, w, b: x.take_along_dim(w, 0), RuntimeError, "as many dimensions"),
    "rows of another type": (lambda t, x, s, w, b: x.index_add(0, w, x.to(t.float16)), RuntimeError, "type"),
    "fill with a vector": (lambda t, x, s, w, b: x.index_fill(0, w, x[0]), RuntimeError, "0-d"),
    "scatter a string": (lambda t, x, s, w, b: x.scatter(0, w.reshape(4, 1), "1"), TypeError, "tensor or a number"),
    "masked_scatter of another type": (lambda t, x, s, w, b: x.masked_scatter(x > 0, x.to(t.float16)), RuntimeError,
                                       "type"),
    "norm of integers": (lambda t, x, s, w, b: w.norm(), RuntimeError, "norm"),
    "softmax of integers": (lambda t, x, s, w, b: w.softmax(0), (RuntimeError, NotImplementedError), "not defined"),
    "a sign of booleans": (lambda t, x, s, w, b: b.positive(), RuntimeError, "booleans"),
    "lerp of two types": (lambda t, x, s, w, b: x.lerp(x.to(t.float16), 0.5), RuntimeError, "one type"),
    "addcdiv of integers": (lambda t, x, s, w, b: w.addcdiv(w, w + 1), RuntimeError, "integers"),
    "closeness of two types": (lambda t, x, s, w, b: t.isclose(x, x.to(t.float16)), RuntimeError, "one type"),
    "negative closeness": (lambda t, x, s, w, b: t.isclose(x, x, rtol=-1), RuntimeError, "negative"),
    "einsum of a sign": (lambda t, x, s, w, b: t.einsum("ij->i!", x), RuntimeError, "letters"),
    "einsum of a high number": (lambda t, x, s, w, b: t.einsum(x, [0, 77]), (RuntimeError, ValueError), "0 to 51"),
    "tensordot of too many": (lambda t, x, s, w, b: t.tensordot(x, x, 3), RuntimeError, "3 dimensions"),
    "tensordot of unlike lists": (lambda t, x, s, w, b: t.tensordot(x, x, ([0, 1], [0])), RuntimeError, "both sides"),
    "correction twice": (lambda t, x, s, w, b: x.var(0, True, correction=1), TypeError, "unbiased or correction"),
    "a sum with a string": (lambda t, x, s, w, b: t.add(x, "1", alpha=2), TypeError, "tensor or a number"),
    "a quotient with a string": (lambda t, x, s, w, b: t.div(x, "1"), TypeError, "tensor or a number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_words_that_say_why(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call(genesis, *(genesis.tensor(v) for v in (X, SCALAR, WHOLE, TRUTH)))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_torch_too(name):
    torch = pytest.importorskip("torch")
    with pytest.raises((RuntimeError, IndexError, ValueError, TypeError, NotImplementedError)):
        REFUSED[name][0](torch, *(torch.tensor(v) for v in (X, SCALAR, WHOLE, TRUTH)))


def test_whole_numbers_where_floating_point_is_usual():
    torch = pytest.importorskip("torch")
    for call in (lambda t, x: t.nansum(x, 0), lambda t, x: t.round(x), lambda t, x: t.positive(x),
                 lambda t, x: t.nan_to_num(x), lambda t, x: t.count_nonzero(x, 0), lambda t, x: x.repeat_interleave(
                     t.tensor([2]), 0), lambda t, x: x.softmax(0, dtype=t.float32), lambda t, x: x.view_as(x.T),
                 lambda t, x: x.masked_fill(x > 4, True), lambda t, x: t.nonzero(x[1, 1], as_tuple=True)[0]):
        values = np.arange(9).reshape(3, 3)
        mine, its = call(genesis, genesis.tensor(values)), call(torch, torch.tensor(values))
        assert str(mine.dtype).split(".")[1] == str(its.dtype).split(".")[1]
        close(mine, its.numpy())


def test_hardshrink_of_a_tensor_is_that_of_functional():
    x = f32(normal(65))
    assert x.hardshrink(0.25).tolist() == F.hardshrink(x, 0.25).tolist()
