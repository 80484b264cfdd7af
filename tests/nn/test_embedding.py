"""Embeddings: values, gradients, padding, norms, training; one-hot vectors."""

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis import nn
from genesis.nn import functional as F


def pair(rows=11, width=5, **options):
    torch = pytest.importorskip("torch")
    weight = normal(rows, width).astype(np.float32)
    mine = nn.Embedding(rows, width, **options)
    with genesis.no_grad():
        mine.weight.copy_(genesis.tensor(weight))
    its = torch.nn.Embedding(rows, width, _weight=torch.tensor(weight), **options)
    return torch, mine, its


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True},
                                     {"max_norm": 1.5}, {"max_norm": 1.0, "norm_type": 1.0}], ids=str)
@pytest.mark.parametrize("shape", [(), (7,), (3, 40), (0,)], ids=str)
def test_like_torch(options, shape):
    torch, mine, its = pair(**options)
    index = np.random.default_rng(0).integers(0, 11, shape)
    y, expected = mine(genesis.tensor(index)), its(torch.tensor(index))
    close(y, expected.detach().numpy())
    g = normal(*expected.shape, seed=1).astype(np.float32)
    y.backward(genesis.tensor(g))
    expected.backward(torch.tensor(g))
    close(mine.weight.grad, its.weight.grad.numpy(), atol=1e-5)
    close(mine.weight, its.weight.detach().numpy(), rtol=1e-5)      # max_norm scales rows in place


@pytest.mark.parametrize("width", [1, 15, 33, 64, 100])
@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float16, genesis.bfloat16], ids=str)
def test_widths_and_types(width, dtype):
    weight = f32(normal(50, width)).to(dtype)
    weight.requires_grad_()
    index = np.random.default_rng(width).integers(0, 50, 333)
    y = F.embedding(genesis.tensor(index.astype(np.int32)), weight)
    assert y.dtype is dtype
    assert (y.detach().numpy() == weight.detach().numpy()[index]).all()
    y.sum().backward()
    assert weight.grad.dtype is dtype
    assert (weight.grad.float().numpy() == np.bincount(index, minlength=50)[:, None]).all()


def test_the_gradient_goes_into_the_optimizers_slot_and_adds_up():
    index, other = genesis.tensor([3, 1, 3]), genesis.tensor([0, 3])
    layer = nn.Embedding(6, 4, padding_idx=1)
    optimizer = genesis.optim.SGD(layer.parameters(), lr=1.0)
    before = layer.weight.detach().numpy()
    for _ in range(2):
        optimizer.zero_grad()
        layer(index).sum().backward()
        assert layer.weight.grad[:, 0].tolist() == [0, 0, 0, 2, 0, 0]
    layer(other).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [1, 0, 0, 3, 0, 0]
    optimizer.step()
    close(layer.weight, before - np.array([1, 0, 0, 3, 0, 0])[:, None])


def test_tied_weights_get_both_gradients():
    layer = nn.Embedding(4, 3)
    x = layer(genesis.tensor([0, 2]))
    (x @ layer.weight.T).sum().backward()
    w = layer.weight.detach().numpy().astype(np.float64)
    expected = np.tile(w[[0, 2]].sum(0), (4, 1))
    expected[[0, 2]] += w.sum(0)
    close(layer.weight.grad, expected, atol=1e-5)


def test_parameters_and_representation():
    layer = nn.Embedding(10, 3, padding_idx=-2, max_norm=2.0)
    assert [n for n, _ in layer.named_parameters()] == ["weight"]
    assert layer.padding_idx == 8
    assert layer.weight[8].tolist() == [0, 0, 0]
    assert abs(nn.Embedding(1000, 100).weight.detach().std().item() - 1) < 0.02
    assert repr(layer) == "Embedding(10, 3, padding_idx=8, max_norm=2.0)"


def test_from_pretrained():
    table = f32(normal(5, 2))
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad
    close(frozen(genesis.tensor([4])), normal(5, 2)[[4]])
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert not nn.Embedding(5, 2, _weight=table, _freeze=True).weight.requires_grad
    with pytest.raises(ValueError, match="two dimensions"):
        nn.Embedding.from_pretrained(f32([1.0]))
    with pytest.raises(ValueError, match="shape"):
        nn.Embedding(2, 2, _weight=table)


def test_errors():
    weight = genesis.zeros(4, 2)
    for bad in ([4], [-1], [[0, 9]]):
        with pytest.raises(IndexError, match="out of range"):
            F.embedding(genesis.tensor(bad), weight)
            genesis.synchronize()
    with pytest.raises(RuntimeError, match="int64"):
        F.embedding(f32([0.0]), weight)
    for padding in (4, -5):
        with pytest.raises(ValueError, match="padding_idx"):
            nn.Embedding(4, 2, padding_idx=padding)
        with pytest.raises(ValueError, match="padding_idx"):
            F.embedding(genesis.tensor([0]), weight, padding)
    with pytest.raises(RuntimeError, match="rows, width"):
        F.embedding(genesis.tensor([0]), genesis.zeros(4))


def test_one_hot():
    index = genesis.tensor([[0, 2], [1, 1]])
    hot = F.one_hot(index)
    assert hot.dtype is genesis.int64
    assert hot.tolist() == np.eye(3, dtype=int)[index.numpy()].tolist()
    assert F.one_hot(index, 5).shape == (2, 2, 5)
    assert F.one_hot(genesis.tensor(1), 2).tolist() == [0, 1]
    assert F.one_hot(genesis.zeros(0, dtype=genesis.int64), 2).shape == (0, 2)
    for bad, classes in (([3], 3), ([-1], 3), ([-1], -1), ([], -1), ([1], 0)):
        with pytest.raises(RuntimeError):
            F.one_hot(genesis.tensor(bad, dtype=genesis.int64), classes)
            genesis.synchronize()
    with pytest.raises(RuntimeError):
        F.one_hot(f32([1.0]))


def test_training_a_table_fits_a_target():
    genesis.manual_seed(0)
    layer = nn.Embedding(8, 2)
    target = f32(normal(8, 2))
    optimizer = genesis.optim.Adam(layer.parameters(), lr=0.1)
    index = genesis.tensor(np.arange(8))
    for _ in range(150):
        optimizer.zero_grad()
        F.mse_loss(layer(index), target).backward()
        optimizer.step()
    close(layer.weight, target.numpy(), atol=2e-2)
