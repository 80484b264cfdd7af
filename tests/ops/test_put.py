"""index_put, assignment by masks, and what else writes at indices, against PyTorch and without waiting."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis.opencl import Device

torch = pytest.importorskip("torch")
X = normal(5, 4, 6)
MASK = np.random.default_rng(0).random((5, 4)) > 0.5

PUTS = {
    "rows": (([3, 0, 3],), (3, 4, 6)),
    "negative": (([-1, 0, -5, 4],), (4, 4, 6)),
    "pairs": (([0, 1, 0], [2, 3, 2]), (3, 6)),
    "crossed": (([[0], [4]], [1, 1, 2]), (2, 3, 6)),
    "later": ((None, [1, 1, 0]), (5, 3, 6)),
    "apart": (([0, 0], None, [5, 5]), (2, 4)),
    "0d": ((2,), (4, 6)),
    "broadcast": (([0, 1, 1],), (6,)),
    "mask": ((MASK,), (int(MASK.sum()), 6)),
    "mask broadcast": ((MASK,), (6,)),
}


def indices(lib, places):
    return tuple(None if i is None else lib.tensor(i if isinstance(i, np.ndarray) else np.array(i, np.int64))
                 for i in places)


@pytest.mark.parametrize("accumulate", [True, False])
@pytest.mark.parametrize("name", PUTS)
def test_index_put_like_torch(name, accumulate):
    places, shape = PUTS[name]
    value, weight = normal(*shape, seed=1), normal(*X.shape, seed=2)
    if not accumulate and name in ("rows", "pairs", "crossed", "later", "apart", "negative"):
        value = np.ones(shape)             # which of several values wins is not said in PyTorch
    found, expected = [], []
    for lib, results in ((genesis, found), (torch, expected)):
        x, v = (lib.tensor(a.astype(np.float32), requires_grad=True) for a in (X, value))
        put, put_ = ((genesis.index_put, genesis.Tensor.index_put_) if lib is genesis else
                     (torch.ops.aten.index_put, torch.ops.aten.index_put_))      # these take None too
        y = put(x, indices(lib, places), v, accumulate)
        (y * lib.tensor(weight.astype(np.float32))).sum().backward()
        z = x.detach().clone()
        assert put_(z, indices(lib, places), v.detach(), accumulate) is z
        results += [y.detach(), z, x.grad, v.grad]
    for i, (a, b) in enumerate(zip(found, expected)):
        if i < 3 or accumulate:
            close(a, b.numpy(), 1e-5, 1e-5)


def test_index_put_of_duplicates_repeats_and_the_last_value_wins():
    at, value = np.random.default_rng(0).integers(-50, 50, 3000), normal(3000)
    index, values = genesis.tensor(at), f32(value)
    first = genesis.zeros(50).index_put_((index,), values, accumulate=True).numpy()
    expected = np.zeros(50)
    np.add.at(expected, at, value)
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-4)
    for _ in range(3):
        assert (genesis.zeros(50).index_put((index,), values, accumulate=True).numpy() == first).all()
    last = genesis.zeros(50)
    last[index] = values
    assert last.tolist() == [np.float32(value[np.flatnonzero(at % 50 == i)[-1]]) for i in range(50)]
    numbers = genesis.zeros(3, dtype=genesis.int64)
    assert numbers.index_put_((genesis.tensor([0, 0, 2]),), genesis.tensor(5), True).tolist() == [10, 0, 5]
    part = genesis.zeros(4, 6)
    part[:, 1:4].index_put_((genesis.tensor([1, 1]), genesis.tensor([0, 0])), f32([1, 2]), True)
    assert part[1].tolist() == [0, 3, 0, 0, 0, 0]
    same = genesis.tensor([2, 0, 1])
    same[same] = genesis.tensor([5, 6, 7])     # reads what it writes
    assert same.tolist() == [6, 7, 5]


def test_index_put_refuses():
    x = genesis.zeros(3, 4)
    with pytest.raises(RuntimeError, match="type"):
        x.index_put_((genesis.tensor([0]),), genesis.tensor([1]))
    with pytest.raises(IndexError, match="at least one"):
        x.index_put_((), genesis.ones(1))
    with pytest.raises(IndexError):
        x.index_put_((genesis.tensor([0]),) * 3, genesis.ones(1))
    with pytest.raises(RuntimeError):
        x.index_put_((genesis.tensor([0, 1]),), genesis.ones(3, 4))
    with pytest.raises(RuntimeError, match="leaf"):
        leaf(np.zeros(3)).index_put_((genesis.tensor([0]),), genesis.ones(1))


@pytest.mark.parametrize(("where", "mask", "shape"), [
    ((), MASK, ()), ((), MASK, (6,)), ((), MASK, (1, 6)), ((), MASK, (1, 1, 6)), ((), X > 0, ()), ((), X > 0, (1,)),
    ((slice(None),), X[0] > 0, ()), ((slice(None),), X[0] > 0, (5, 1)), ((2,), MASK[0], (6,)),
    ((..., ), X[0, 0] > 0, (5, 4, 1)), ((slice(1, 4),), X[0, :, 0] > 0, (3, 1, 6)), ((), MASK[:, 0], (4, 1))], ids=str)
def test_assigning_one_value_by_a_mask_never_waits(where, mask, shape, monkeypatch):
    value, weight = normal(*shape), normal(*X.shape, seed=2).astype(np.float32)
    expected, v = torch.tensor(X.astype(np.float32)), torch.tensor(value.astype(np.float32), requires_grad=True)
    expected[(*where, torch.tensor(mask))] = v
    (expected * torch.tensor(weight)).sum().backward()
    x, base = f32(X), leaf(X)
    u, on_device, w = leaf(value), genesis.tensor(mask), f32(weight)

    def refuse(*_):
        raise AssertionError("the host waited for the device")

    with monkeypatch.context() as patch:
        patch.setattr(Device, "read", refuse)
        patch.setattr(Device, "finish", refuse)
        x[(*where, on_device)] = u.detach() if shape else float(value)
        y = base * 1.0
        y[(*where, on_device)] = u
        (y * w).sum().backward()
    close(x, expected.detach().numpy())
    close(y, expected.detach().numpy())
    close(u.grad, v.grad.numpy(), 1e-4, 1e-4)
    kept = np.zeros(X.shape)
    kept[(*where, mask)] = 1
    close(base.grad, weight * (1 - kept))


def test_masks_choose_on_the_device_and_are_checked():
    x = f32(X)
    for places in (MASK, X > 0, (slice(None), X[0] > 0), (MASK[:, 0], [0]), (np.zeros((5, 4), bool))):
        on_device = tuple(genesis.tensor(p) if isinstance(p, np.ndarray) else p
                          for p in (places if isinstance(places, tuple) else (places,)))
        close(x[on_device], X[places])
    for mask in (MASK[:4], X[:, :, 0].T > 0):
        with pytest.raises(IndexError, match="mask"):
            x[genesis.tensor(mask)]
        with pytest.raises(IndexError, match="mask"):
            x[genesis.tensor(mask)] = 1.0
    with pytest.raises(RuntimeError):
        x[genesis.tensor(MASK)] = genesis.ones(5)
    numbers = genesis.tensor([1, 2, 3])
    numbers[numbers > 1] = 2.9
    assert numbers.tolist() == [1, 2, 2]
    flags = genesis.tensor([True, False])
    flags[flags] = False
    assert flags.tolist() == [False, False]


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_scatter_reduce_prod_has_an_exact_gradient(zeros):
    """Against finite products: each gradient is the product of the other factors."""
    x, source, at = np.array([2.0, 0.0, 3.0]), normal(6) + 3, np.array([0, 0, 1, 1, 0, 2])
    source[:zeros] = 0
    a, b = leaf(x), leaf(source)
    a.scatter_reduce(0, genesis.tensor(at), b, "prod").sum().backward()
    groups = [[x[i], *source[at == i]] for i in range(3)]
    close(a.grad, [np.prod(group[1:]) for group in groups], 1e-5)
    expected = [x[at[k]] * np.prod([s for j, s in enumerate(source) if at[j] == at[k] and j != k]) for k in range(6)]
    close(b.grad, expected, 1e-5)


def test_embedding_and_allclose_at_the_top_level():
    weight, index = leaf(normal(5, 3)), genesis.tensor([[1, 1], [4, 0]])
    other = torch.tensor(normal(5, 3), dtype=torch.float32, requires_grad=True)
    genesis.embedding(weight, index, 4).sum().backward()
    torch.embedding(other, torch.tensor([[1, 1], [4, 0]]), 4).sum().backward()
    close(weight.grad, other.grad.numpy())
    assert genesis.embedding(weight, index, scale_grad_by_freq=True).shape == (2, 2, 3)
    for bad in (lambda: genesis.embedding(weight[0], index), lambda: genesis.embedding(index, weight),
                lambda: genesis.embedding(weight, index, 5)):
        with pytest.raises(RuntimeError):
            bad()
    x = f32([1.0, 2.0])
    assert x.allclose(x + 1e-6)
    assert genesis.allclose(x, x) is True
    assert not x.allclose(f32([1.0, 2.1]), rtol=1e-3)
    assert f32([np.nan]).allclose(f32([np.nan]), equal_nan=True)


def test_linear_writes_its_bias_gradient_where_the_optimizer_wants_it(monkeypatch):
    from genesis.opencl.program import Kernel

    layer = genesis.nn.Linear(8, 16)
    optimizer = genesis.optim.SGD(layer.parameters(), lr=0.1)
    x = f32(normal(32, 8))
    names, call = [], Kernel.__call__
    for _ in range(2):
        optimizer.zero_grad()
        y = layer(x)
        names.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Kernel, "__call__", lambda self, *a: (names.append(self.name), call(self, *a))[1])
            y.backward(genesis.ones(32, 16))
        optimizer.step()
    assert sum("reduce" in name for name in names) == 1
    # One fill, of genesis.ones; nothing copies a gradient into its place.
    assert sum("elementwise" in name for name in names) <= 1
