"""Rows of the table of operations: special functions, running extrema, statistics, looks at memory."""

import warnings

from operations import Call, Input, called, case

# Where the functions are defined and not too steep.
DOMAINS = {"erfinv": (-0.9, 0.9), "i0": (-3, 3), "lgamma": (0.3, 9)}


@case(*DOMAINS)
def _special(d, name):
    return Call(called(name), [Input(d.shape(), *DOMAINS[name])], steps=2)


@case("polygamma")
def _polygamma(d):
    n = d.of(2, 3)               # of PyTorch's trigamma, the first one, ten digits are right in float64
    return Call(lambda lib, x: lib.polygamma(n, x), [Input(d.shape(), 1, 6)], steps=2)


@case("mvlgamma")
def _mvlgamma(d):
    return Call(called("mvlgamma", d.of(1, 3)), [Input(d.shape(), 2, 6)], steps=3)


@case("frexp")
def _frexp(d):
    return Call(called("frexp"), [Input(d.shape(), -99, 99)])


@case("cummax", "cummin", "logcumsumexp")
def _running(d, name):
    shape = d.shape()
    return Call(called(name, d.dim(shape)), [Input(shape, grid=name != "logcumsumexp")], steps=3)


@case("mode", "nanquantile")
def _statistic(d, name):
    shape = d.shape(1, 3, smallest=1, elements=200)
    dim = d.dim(shape)
    if name == "mode":            # all different, since PyTorch does not say which of several places it gives
        return Call(called(name, dim, d.flag()), [Input(shape, distinct=True)])
    options = {"q": d.of(0.0, 0.3, 1.0), "interpolation": d.of("linear", "lower", "higher", "midpoint", "nearest")}
    return Call(called(name, dim=dim, keepdim=d.flag(), **options), [Input(shape, distinct=True)], steps=2)


@case("index_reduce")
def _index_reduce(d):
    shape = d.shape(1, 3, smallest=1, elements=200)
    dim = d.number(0, len(shape) - 1)
    count = d.number(1, 5)
    options = {"reduce": d.of("prod", "mean", "amax", "amin"), "include_self": d.flag()}
    source = Input((*shape[:dim], count, *shape[dim + 1:]), 0.5, 2)

    def function(lib, x, index, source):
        with warnings.catch_warnings():             # PyTorch says that it may change
            warnings.simplefilter("ignore")
            return x.index_reduce(dim, index, source, **options)

    return Call(function, [Input(shape, 0.5, 2), d.indices((count,), 0, shape[dim]), source], steps=4)


@case("conj", "adjoint")
def _conjugate(d, name):
    return Call(called(name), [Input(d.shape(2))])


@case("put")
def _put(d):
    shape = d.shape(smallest=1, elements=200)
    size = 1
    for n in shape:
        size *= n
    count = min(size, 7)
    index = d.indices((1, count), -size, size)
    if not (accumulate := d.flag()):
        index = index._replace(values=index.values * 0 + range(-count, 0))     # each place once
    return Call(lambda lib, x, index, source: x.put(index, source, accumulate), [Input(shape), index, Input((count,))],
                steps=2)


@case("as_strided")
def _as_strided(d):
    size, stride = (2, 3), (d.of(0, 1, 4), d.of(1, 2))
    return Call(lambda lib, x: lib.as_strided(x.contiguous(), size, stride), [Input((3, 5))], steps=2)
