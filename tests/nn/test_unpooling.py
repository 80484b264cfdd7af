"""Going back from largest elements, pooling by norms, distances of pairs, and the adaptive softmax, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, close, leaf, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("n", "shape", "options", "size"), [
    (1, (2, 3, 9), {"kernel_size": 2}, None), (1, (3, 9), {"kernel_size": 3, "stride": 2, "padding": 1}, (9,)),
    (2, (2, 3, 8, 6), {"kernel_size": 2}, None), (2, (2, 3, 7, 9), {"kernel_size": (2, 3)}, (7, 9)),
    (2, (2, 3, 7, 9), {"kernel_size": 2, "stride": (2, 1)}, (2, 3, 7, 9)), (3, (2, 3, 4, 5, 4), {"kernel_size": 2},
                                                                           (4, 5, 4))])
def test_unpooling(n, shape, options, size):
    def run(L, x):
        pool = getattr(L.nn, f"MaxPool{n}d")(return_indices=True, **options)
        back = getattr(L.nn, f"MaxUnpool{n}d")(**options)
        return back(*pool(x), output_size=size)

    check_like_torch(run, normal(*shape).astype(np.float32))
    name = f"MaxUnpool{n}d"
    assert repr(getattr(nn, name)(**options)) == repr(getattr(torch.nn, name)(**options))


def test_unpooling_refuses_what_does_not_fit():
    x, at = genesis.zeros(1, 2, 3), genesis.zeros(1, 2, 3, dtype=genesis.int64)
    for call, error, message in [
            (lambda: F.max_unpool1d(x, at[:, :1], 2), RuntimeError, "indices of the same shape"),
            (lambda: F.max_unpool2d(x[0], at[0], 2), RuntimeError, "3 or 4 dimensions"),
            (lambda: F.max_unpool1d(x, x, 2), RuntimeError, "int64"),
            (lambda: F.max_unpool1d(x, at, 2, 0), RuntimeError, "stride"),
            (lambda: F.max_unpool1d(x, at, 1, 1, 2), RuntimeError, "too small"),
            (lambda: F.max_unpool1d(x, at, 2, output_size=(8,)), ValueError, "less than a stride"),
            (lambda: F.max_unpool1d(x, at, 2, output_size=(1, 8)), ValueError, "1 or 3 entries")]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("p", [0, 1, 2, 2.5, np.inf])
def test_distances_of_all_pairs(p):
    check_like_torch(lambda L, x: L.nn.functional.pdist(x, p), normal(6, 4).astype(np.float32))


def test_distances_of_few_or_equal_rows():
    assert F.pdist(genesis.zeros(1, 3)).shape == (0,)
    x = leaf(np.ones((3, 2)))
    F.pdist(x).sum().backward()
    assert (x.grad == 0).all()
    for call in (lambda: F.pdist(genesis.zeros(3)), lambda: F.pdist(genesis.zeros(3, 2, dtype=genesis.int64)),
                 lambda: F.pdist(x, -1)):
        with pytest.raises(RuntimeError, match="pdist"):
            call()


@pytest.mark.parametrize("options", [{"cutoffs": [4, 9]}, {"cutoffs": [3], "div_value": 2.0, "head_bias": True}])
@pytest.mark.parametrize("targets", [[0, 3, 9, 4, 11, 8, 9], [1, 2, 0, 1, 0, 2, 2]])
def test_adaptive_softmax(options, targets):
    mine = nn.AdaptiveLogSoftmaxWithLoss(16, 12, **options)
    its = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 12, **options)
    assert repr(mine) == repr(its)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x = normal(7, 16).astype(np.float32)
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    found, wanted = mine(a, genesis.tensor(targets)), its(b, torch.tensor(targets))
    close(found.output, wanted.output.detach().numpy())
    found.loss.backward()
    wanted.loss.backward()
    close(a.grad, b.grad.numpy(), 1e-4, 1e-6)
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if q.grad is not None:
            close(p.grad, q.grad.numpy(), 1e-4, 1e-6)
    close(mine.log_prob(a), its.log_prob(b).detach().numpy(), 1e-4, 1e-5)
    assert mine.predict(a).tolist() == its.predict(b).tolist()
    one, its_one = mine(a[2], genesis.tensor(targets[2])), its(b[2], torch.tensor(targets[2]))
    assert one.output.shape == ()
    close(one.output, its_one.output.detach().numpy())


def test_adaptive_softmax_refuses_what_does_not_fit():
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])
    before = layer.head.weight.detach().numpy()
    layer.reset_parameters()
    assert (layer.head.weight.detach().numpy() != before).any()
    x = genesis.zeros(2, 8)
    for call, error, message in [
            (lambda: layer(x, genesis.tensor([1, 12])), RuntimeError, "from 0 to 11, found 1 to 12"),
            (lambda: layer(x, genesis.tensor([1])), RuntimeError, "not of shapes"),
            (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, []), ValueError, "at least one"),
            (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 4]), ValueError, "rising"),
            (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [12]), ValueError, "rising")]:
        with pytest.raises(error, match=message):
            call()
