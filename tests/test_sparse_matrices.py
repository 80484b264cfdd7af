"""Sparse tensors of several sparse dimensions, as graphs are given."""

import copy

import numpy as np
import pytest
from helpers import f32

import genesis

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")       # PyTorch's advice

AT = np.int64([[0, 3, 1, 2, 3, 1], [1, 0, 0, 2, 0, 1]])                     # (3, 0) comes twice
GIVEN = f32([1.0, -2.0, 0.5, 3.0, 4.0, -1.5])
WHOLE = np.zeros((4, 3), np.float32)
np.add.at(WHOLE, tuple(AT), GIVEN)
X = np.arange(6, dtype=np.float32).reshape(3, 2) - 2


def values(x):
    return x.detach().numpy()


def made():
    return genesis.sparse_coo_tensor(AT, GIVEN, (4, 3))


def test_elements_at_places():
    a = made()
    assert (a.shape, a.ndim, a.dtype, a.numel()) == ((4, 3), 2, genesis.float32, 12)
    assert (a.is_sparse, a.layout, a._nnz(), a.sparse_dim(), a.dense_dim()) == (True, genesis.sparse_coo, 6, 2, 0)
    np.testing.assert_array_equal(values(a.to_dense()), WHOLE)
    assert genesis.sparse_coo_tensor(AT, GIVEN).shape == (4, 3)
    with pytest.raises(RuntimeError, match="coalesce"):
        a.indices()
    joined = a.coalesce()
    assert joined.is_coalesced()
    assert joined.coalesce() is joined
    np.testing.assert_array_equal(values(joined.indices()), np.stack(WHOLE.nonzero()))
    np.testing.assert_array_equal(values(joined.values()), WHOLE[WHOLE.nonzero()])
    again = genesis.tensor(WHOLE).to_sparse()
    np.testing.assert_array_equal(values(again.indices()), values(joined.indices()))
    np.testing.assert_array_equal(values(again.values()), values(joined.values()))
    assert repr(joined).endswith("size=(4, 3), nnz=5, layout=genesis.sparse_coo)")
    old = genesis.sparse.FloatTensor(genesis.tensor(AT), genesis.tensor(GIVEN), genesis.Size([4, 3]))
    np.testing.assert_array_equal(values(old.to_dense()), WHOLE)


def test_products_with_gradients_equal_torch():
    torch = pytest.importorskip("torch")

    def run(library):
        given, x = (library.tensor(v, requires_grad=True) for v in (GIVEN, X))
        a = library.sparse_coo_tensor(library.tensor(AT), given, (4, 3))
        found = [a @ x, library.sparse.mm(a, x), library.spmm(a, x), a.mm(x), library.mm(a, x), library.matmul(a, x),
                 a @ x[:, 0], x.T @ a.t(), (a * 2).t().to_dense(), library.sparse.sum(a), (a + a).to_dense(),
                 library.sparse.sum(a, dim=1).to_dense(), (a / 2 - a).to_dense(), a.coalesce().values()]
        sum((i + 1.5) * (y ** 2).sum() for i, y in enumerate(found)).backward()
        return [y.detach().numpy() for y in (*found, given.grad, x.grad)]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=2e-6)


def test_dense_factors_and_terms():
    a, dense = made(), genesis.tensor(np.arange(12, dtype=np.float32).reshape(4, 3))
    np.testing.assert_allclose(values((dense * a).to_dense()), values(dense) * WHOLE)
    np.testing.assert_allclose(values(dense + a), values(dense) + WHOLE)
    np.testing.assert_allclose(values(dense - a), values(dense) - WHOLE)
    np.testing.assert_allclose(values(genesis.sparse.sum(a, 0).to_dense()), WHOLE.sum(0))


def test_values_may_have_dimensions_of_their_own():
    torch = pytest.importorskip("torch")
    given = np.arange(12, dtype=np.float32).reshape(6, 2)
    a = genesis.sparse_coo_tensor(AT, given, (4, 3, 2))
    b = torch.sparse_coo_tensor(torch.tensor(AT), torch.tensor(given), (4, 3, 2))
    for one, other in ((a, b), (a.coalesce(), b.coalesce()), (a.transpose(0, 1), b.transpose(0, 1)),
                       (a.sum(0), b.sum(0)), (a.sum(-1), b.sum(-1)),
                       (genesis.tensor(WHOLE).to_sparse(1), torch.tensor(WHOLE).to_sparse(1))):
        assert one.shape == tuple(other.shape)
        np.testing.assert_array_equal(values(one.to_dense()), other.to_dense().numpy())
    with pytest.raises(NotImplementedError, match="to_dense"):
        a @ genesis.tensor(X)


def test_copies_and_moves():
    a = made()
    for other in (a.clone(), copy.deepcopy(a), a.to(genesis.device()), a.detach(), a.half().float()):
        np.testing.assert_array_equal(values(other.to_dense()), WHOLE)
    assert a.half().dtype is genesis.float16
    layer = genesis.nn.Linear(3, 2)
    layer.register_buffer("adjacency", a)
    assert layer.to(genesis.float16).adjacency.dtype is genesis.float16
    with pytest.raises(TypeError, match="to_dense"):
        a.numpy()
    with pytest.raises(NotImplementedError, match="to_dense"):
        a.exp()


@pytest.mark.parametrize(("at", "given", "size", "match"), [
    ([[0, 4], [0, 0]], [1.0, 2.0], (4, 3), "dim 0, size is 4 but found index 4"),
    ([[0, 1], [-1, 0]], [1.0, 2.0], (4, 3), "dim 1, size is 3 but found index -1"),
    ([[0, 1], [0, 0]], [1.0], (4, 3), "same nnz"), ([[0], [0]], [1.0], (4,), "incorrect size")])
def test_places_that_do_not_fit_are_errors(at, given, size, match):
    with pytest.raises(RuntimeError, match=match):
        genesis.sparse_coo_tensor(at, given, size)


def test_products_that_do_not_fit_are_errors():
    a = made()
    for other in (genesis.ones(4, 2), genesis.ones(3, 2).long()):
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            a @ other
    for wrong in (lambda: a @ a.t(), lambda: a * genesis.ones(4, 1), lambda: a + genesis.ones(3), lambda: a / a):
        with pytest.raises(NotImplementedError, match=r"sparse|shape"):
            wrong()
    with pytest.raises(RuntimeError, match="sparse_dim"):
        genesis.ones(2, 2).to_sparse(3)


@pytest.mark.parametrize("call", [lambda a: a.sum(2), lambda a: a.sum(-3), lambda a: a.transpose(0, 2)])
def test_dimensions_that_do_not_exist_are_errors(call):
    with pytest.raises(IndexError, match="does not exist in a tensor of 2 dimensions"):
        call(made())
