"""Rows of the table of `operations` for products of matrices and vectors, and for what is made of several others."""

import numpy as np
from operations import Call, Input, called, case


@case("addmm", "addmv", "addr", "baddbmm", "addbmm")
def _added_products(d, name):
    n, k, m, b = (d.number(1, 9) for _ in range(4))
    result, *factors = {"addmm": ((n, m), (n, k), (k, m)), "addmv": ((n,), (n, k), (k,)), "addr": ((n, m), (n,), (m,)),
                        "baddbmm": ((b, n, m), (b, n, k), (b, k, m)),
                        "addbmm": ((n, m), (b, n, k), (b, k, m))}[name]
    added = result if name == "baddbmm" and b == 1 else d.broadcast(result)
    options = d.of({}, {"beta": 2}, {"alpha": 3}, {"beta": 0, "alpha": 2})
    return Call(called(name, **options), [Input(added), *map(Input, factors)], steps=3)


@case("mv", "vdot", "inner", "kron", "trace", "matrix_power", "cross")
def _products(d, name):
    n, m = d.number(1, 9), d.number(1, 9)
    shapes = {"mv": ((n, m), (m,)), "vdot": ((n,), (n,)), "trace": ((n, m),), "matrix_power": ((2, n, n),),
              "inner": d.of(((2, n, m), (3, m)), ((m,), (m,)), ((), (n, m))),
              "kron": d.of(((n, 2), (3, m)), ((n,), (2, m)), ((2, 1, n), (m,))),
              "cross": d.of(((3,), (3,)), ((n, 3), (n, 3)), ((2, 3, n), (2, 3, 1)))}[name]
    power = d.number(0, 5)
    options = {"matrix_power": (power,), "cross": (len(shapes[0]) - 2 if len(shapes[0]) > 2 else -1,)}.get(name, ())
    bounds = {"low": -0.5, "high": 0.5} if name == "matrix_power" else {}
    return Call(called(name, *options), [Input(shape, **bounds) for shape in shapes],
                steps=max(power, 1) if name == "matrix_power" else 2)


@case("ldexp", "logaddexp2", "sinc", "dist", "renorm")
def _composed(d, name):
    shape = d.shape(2 if name == "renorm" else 0, smallest=1)
    if name in ("sinc", "renorm"):
        return Call(called(name, *((2, d.dim(shape), 1.5) if name == "renorm" else ())), [Input(shape)], steps=4)
    return Call(called(name), [Input(shape), Input(d.broadcast(shape))], steps=6)


@case("diff", "trapezoid", "trapz", "cumulative_trapezoid")
def _differences(d, name):
    shape = d.shape(1, smallest=1)
    dim = d.dim(shape)
    if name == "diff":
        n = d.number(0, 3)
        edge = list(shape)
        edge[dim] = 2
        both = d.flag()
        return Call(lambda lib, x, *edges: lib.diff(x, n, dim, *edges),
                    [Input(shape), *([Input(tuple(edge))] * 2 if both else [])], steps=max(n, 1))
    way = d.of("", "dx", "x", "points")
    if way in ("", "dx"):
        return Call(called(name, dim=dim, **({"dx": 0.5} if way else {})), [Input(shape)], steps=4)
    points = (shape[dim],) if way == "points" else shape
    return Call(lambda lib, y, x: getattr(lib, name)(y, x, dim=dim), [Input(shape), Input(points)], steps=5)


@case("cov", "corrcoef", "nanmedian")
def _statistics(d, name):
    shape = d.of((5,), (3, 8), (4, 33))
    if name == "cov":
        weights = d.flag()
        correction = d.number(0, 1)
        often = Input(shape[-1:], values=np.arange(shape[-1]) % 3 + 1)
        return Call(lambda lib, x, *w: lib.cov(x, correction=correction, fweights=w[0] if w else None),
                    [Input(shape), *([often] if weights else [])], steps=4)
    if name == "nanmedian":
        return Call(lambda lib, x: lib.nanmedian(x, -1), [Input(shape, distinct=True)])
    return Call(called(name), [Input(shape, distinct=True)], steps=8)


@case("cdist")
def _distances(d):
    n, m, k = d.of(1, 3, 30), d.of(2, 26), d.of(1, 3, 8)
    p = d.of(2.0, 1.0, 3.0, float("inf"))
    batch = d.of((), (2,))
    mode = d.of("use_mm_for_euclid_dist_if_necessary", "donot_use_mm_for_euclid_dist")
    # Apart from one another: where the differences of squares are taken, near vectors lose digits.
    return Call(called("cdist", p, mode), [Input((*batch, n, k), 0, 1), Input((m, k), 3, 5)], steps=8)


@case("block_diag", "cartesian_prod", "combinations", "vander", "diagflat")
def _combined(d, name):
    n, m = d.number(1, 6), d.number(1, 6)
    if name == "block_diag":
        return Call(called(name), [Input((n, m)), Input((m,)), Input(())])
    if name == "cartesian_prod":
        return Call(called(name), [Input((n,)), Input((m,)), Input((2,))][:d.number(1, 3)])
    if name == "combinations":
        return Call(called(name, d.number(1, 3), d.flag()), [Input((n,))])
    if name == "vander":
        powers, rising = d.of(None, 1, 4), d.flag()
        return Call(lambda lib, x: lib.vander(x.detach(), powers, rising), [Input((n,), -1.5, 1.5)], steps=4)
    return Call(called(name, d.number(-2, 2)), [Input((n, m))])


@case("atleast_1d", "atleast_2d", "atleast_3d")
def _at_least(d, name):
    return Call(called(name), [Input(d.shape())])


@case("select_scatter", "slice_scatter", "diagonal_scatter", "split_with_sizes")
def _replaced(d, name):
    n, m = d.number(2, 9), d.number(2, 9)
    start, step = d.number(0, 1), d.number(1, 3)
    shape = (n, m)
    if name == "split_with_sizes":
        return Call(lambda lib, x: x.split_with_sizes((1, m - 1), 1), [Input(shape)])
    part, arguments = {"select_scatter": ((n,), (1, start)),
                       "slice_scatter": ((n, len(range(start, m, step))), (1, start, m, step)),
                       "diagonal_scatter": ((min(n - 1, m),), (-1,))}[name]
    return Call(called(name, *arguments), [Input(shape), Input(part)])
