"""Functions of several tensors that are made of others: what tests over generated arguments do not reach."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.int64, genesis.uint8, genesis.bool])
def test_isin_is_numpys(dtype):
    rng = np.random.default_rng(0)
    end = 2 if dtype is genesis.bool else 9
    x, among = (rng.integers(0, end, shape).astype(dtype.numpy) for shape in ((4, 5), (3,)))
    for invert in (False, True):
        found = genesis.isin(genesis.tensor(x), genesis.tensor(among), invert=invert)
        assert found.dtype is genesis.bool
        np.testing.assert_array_equal(found.numpy(), np.isin(x, among, invert=invert))
        assert genesis.isin(genesis.tensor(x), genesis.tensor(among)[:0], invert=invert).tolist() == [[invert] * 5] * 4


def test_isin_takes_numbers_and_mixed_types():
    assert genesis.isin(2, genesis.tensor([1, 2])).item()
    assert genesis.isin(genesis.tensor([1, 2]), 2).tolist() == [False, True]
    assert genesis.isin(genesis.tensor([1, 2]), f32([2.0, 1.5])).tolist() == [False, True]
    assert not genesis.isin(f32(np.nan), f32([np.nan])).item()


def test_distances_to_itself_have_a_gradient_of_zero_there():
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        x = leaf(np.eye(3))
        d = genesis.cdist(x, x, compute_mode=mode)
        close(d, np.sqrt(2) * (1 - np.eye(3)))
        d.sum().backward()
        assert np.isfinite(x.grad.numpy()).all()


def test_lists_and_single_tensors_are_taken_alike():
    x, y = f32(3.0), f32([1.0, 2.0])
    for result in (genesis.atleast_2d(x, y), genesis.atleast_2d([x, y])):
        assert isinstance(result, tuple)
        assert [r.shape for r in result] == [(1, 1), (1, 2)]
    assert genesis.atleast_3d(x).shape == (1, 1, 1)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (9, 3), (2, 5), (7, 1)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal_is_numpys(rows, columns, wrap):
    x, expected = genesis.zeros(rows, columns), np.zeros((rows, columns))
    assert x.fill_diagonal_(2, wrap) is x
    np.fill_diagonal(expected, 2, wrap)
    close(x, expected)
    cube = genesis.zeros(3, 3, 3).fill_diagonal_(1)
    assert cube.sum().item() == cube[0, 0, 0] + cube[1, 1, 1] + cube[2, 2, 2] == 3


def test_weighted_covariances_are_numpys():
    x, often, important = normal(3, 8), np.arange(8) % 3, np.linspace(0.1, 1, 8)
    for correction in (0, 1):
        found = f32(x).cov(correction=correction, fweights=genesis.tensor(often), aweights=f32(important))
        close(found, np.cov(x, ddof=correction, fweights=often, aweights=important.astype(np.float32)), rtol=1e-4)


def test_products_into_a_tensor():
    x = f32(np.ones((2, 2)))
    x.addmm_(f32(normal(2, 3)), f32(normal(3, 2)), beta=2)
    close(x, 2 + normal(2, 3) @ normal(3, 2), rtol=1e-4)
    nan = f32(np.full((2, 2), np.nan))
    close(nan.addmm(f32(normal(2, 3)), f32(normal(3, 2)), beta=0), normal(2, 3) @ normal(3, 2), rtol=1e-4)
    with pytest.raises(RuntimeError, match="in place"):
        f32(np.ones(2)).addmm_(f32(normal(2, 3)), f32(normal(3, 2)))


ADDED = {"addmm": ((9, 8), (9, 20), (20, 8)), "addmm with a row": ((8,), (9, 20), (20, 8)),
         "addmv": ((9,), (9, 20), (20,)), "addr": ((9, 8), (9,), (8,)),
         "baddbmm": ((2, 9, 8), (2, 9, 20), (2, 20, 8)), "addbmm": ((9, 8), (2, 9, 20), (2, 20, 8))}
FACTORS = ({}, {"beta": 0.7, "alpha": 1.3}, {"beta": 0, "alpha": -2})


@pytest.mark.parametrize(("kind", "cases"), [("bfloat16", ADDED), ("float16", ["baddbmm"])])
def test_products_are_rounded_once_after_the_addition(kind, cases):
    torch = pytest.importorskip("torch")
    for case in cases:
        shapes = ADDED[case]
        held = [f32(normal(*shape, seed=i)).to(getattr(genesis, kind)) for i, shape in enumerate(shapes)]
        exact = [torch.tensor(x.float().numpy()).double() for x in held]
        for factors in FACTORS:
            found = getattr(genesis, case.split()[0])(*held, **factors)
            wanted = getattr(torch, case.split()[0])(*exact, **factors).to(getattr(torch, kind))
            assert found.dtype.name == kind
            # But for numbers that lie between two of the type's within float32's precision.
            assert (found.float().numpy() != wanted.float().numpy()).mean() < 0.04, (case, factors)


def test_products_into_a_tensor_have_derivatives():
    torch = pytest.importorskip("torch")
    for factors in FACTORS[1:]:
        grads = []
        for lib, kind in ((genesis, "float32"), (torch, "float64")):
            inputs = [lib.tensor(normal(*shape, seed=i) / 4, dtype=getattr(lib, kind), requires_grad=True)
                      for i, shape in enumerate(ADDED["addmm"])]
            first = lib.autograd.grad(lib.addmm(*inputs, **factors).square().sum(), inputs, create_graph=True)
            sum((g ** 2).sum() for g in first).backward()
            grads.append([*first, *(x.grad for x in inputs)])
        for mine, its in zip(*grads):
            close(mine, its.detach().numpy(), rtol=1e-3, atol=1e-3)


def test_autocast_adds_products_in_16_bits():
    a, x = f32(normal(4, 4)), f32(normal(4, 4, seed=1))
    with genesis.autocast(dtype=genesis.bfloat16):
        y = x.addmm(a, a)
    assert y.dtype is genesis.bfloat16         # as PyTorch's
    close(y.float(), x.numpy() + a.numpy() @ a.numpy(), rtol=2e-2, atol=5e-2)


X = genesis.ones(2, 3)


@pytest.mark.parametrize(("call", "match"), [
    (lambda: X.addmm(X, X), "cannot multiply"), (lambda: genesis.ones(4, 2, 3).addmm(X, X.T), "broadcast"),
    (lambda: X.addmm(X[0], X), "dimensions"), (lambda: X.mv(X), "dimensions"),
    (lambda: X.trace().outer(X), "dimensions"), (lambda: X.inner(genesis.ones(2)), "last dimensions"),
    (lambda: X.matrix_power(2), "square"), (lambda: genesis.zeros(2, 2).matrix_power(-1), "singular"),
    (lambda: X.cross(X, 0), "size 3"), (lambda: genesis.ones(2).cross(genesis.ones(2)), "size 3"),
    (lambda: X.cross(X[0]), "dimensions"), (lambda: genesis.ones(1, 2, 3).addbmm(X, X), "dimensions"),
    (lambda: X.diff(-1), "times"), (lambda: genesis.tensor(1.0).diff(), "dimension"),
    (lambda: genesis.ones(1, 1, 1).cov(), "dimensions"), (lambda: X.cov(fweights=genesis.ones(3)), "integer"),
    (lambda: X.cov(aweights=genesis.ones(2)), "shape"), (lambda: X.renorm(0, 0, 1), "p > 0"),
    (lambda: X[0].renorm(2, 0, 1), "dimensions"), (lambda: X.select_scatter(X, 0, 0), "shape"),
    (lambda: X[0].fill_diagonal_(1), "matrix"), (lambda: genesis.ones(2, 2, 3).fill_diagonal_(1), "matrix"),
    (lambda: genesis.block_diag(X.unsqueeze(0)), "matrices"), (lambda: genesis.cartesian_prod(X), "vectors"),
    (lambda: genesis.combinations(X), "vector"), (lambda: genesis.combinations(X[0], -1), "r >= 0"),
    (lambda: genesis.cdist(X, X.T), "shapes"), (lambda: genesis.cdist(X, X, -1), "p >= 0"),
    (lambda: genesis.vander(X), "vector"), (lambda: genesis.trapezoid(X, genesis.ones(2)), "points"),
])
def test_what_does_not_fit_is_refused(call, match):
    with pytest.raises(RuntimeError, match=match):
        call()


def test_names_of_modes_and_spacings_are_checked():
    with pytest.raises(ValueError, match="compute_mode"):
        genesis.cdist(X, X, compute_mode="fast")
    with pytest.raises(TypeError, match="x or dx"):
        genesis.trapezoid(X, X, dx=1)
