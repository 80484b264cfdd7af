"""Embeddings of bags, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

WEIGHT = normal(7, 3).astype(np.float32)
FLAT, OFFSETS = np.array([1, 2, 4, 5, 4, 3, 2, 6, 1, 1]), np.array([0, 3, 3, 4, 9])
PADDED = np.array([[1, 2, 4], [2, 2, 2], [0, 6, 6], [5, 3, 2]])


def check(options, *arrays, gradients=(0,)):
    """``arrays``: the weight, the indices, and by name offsets and factors."""
    def bags(lib, weight, index, *rest):
        named = dict(zip(("offsets", "per_sample_weights")[2 - len(rest):] if options.get("weighed") else ("offsets",),
                         rest))
        return lib.nn.functional.embedding_bag(index, weight, **named, **{k: v for k, v in options.items()
                                                                         if k != "weighed"})

    check_like_torch(bags, *arrays, gradients=gradients)


@pytest.mark.parametrize("padding", [None, 2, -1])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_modes(mode, padding):
    options = {"mode": mode, "padding_idx": padding}
    check(options, WEIGHT, FLAT, OFFSETS)
    check(options, WEIGHT, PADDED)
    check({**options, "include_last_offset": True}, WEIGHT, FLAT, np.array([0, 3, 3, 10]))
    check(options, WEIGHT, FLAT.astype(np.int32), OFFSETS.astype(np.int32))


@pytest.mark.parametrize("width", [1, 16, 33, 64])
def test_widths(width):
    weight = normal(9, width).astype(np.float32)
    for mode in ("sum", "mean"):
        check({"mode": mode, "padding_idx": 4}, weight, FLAT, OFFSETS)
        check({"mode": mode}, weight[:, ::-1].copy().T.copy().T, PADDED)
    half = genesis.tensor(weight).bfloat16()
    y = F.embedding_bag(genesis.tensor(PADDED)[:, ::2], half)
    assert y.dtype is genesis.bfloat16
    close(y.float(), half.float().numpy()[PADDED[:, ::2]].mean(1), rtol=0.01, atol=0.01)


def test_indices_after_the_last_bag_get_no_gradient():
    # Not compared with PyTorch, whose CPU kernel (2.13) takes them for part of a further bag that is not there.
    weight = leaf(WEIGHT)
    y = F.embedding_bag(genesis.tensor(FLAT), weight, genesis.tensor([0, 3, 3, 7]), include_last_offset=True)
    y[2].sum().backward()
    close(weight.grad[:, 0], np.bincount(FLAT[3:7], minlength=7) / 4)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sparse_and_second_derivatives(mode):
    index, offsets, g = genesis.tensor(FLAT), genesis.tensor(OFFSETS), genesis.randn(5, 3)
    dense, sparse = leaf(WEIGHT), leaf(WEIGHT)
    for weight in (dense, sparse):
        F.embedding_bag(index, weight, offsets, mode=mode, sparse=weight is sparse, padding_idx=2).backward(g)
    assert sparse.grad.is_sparse
    close(sparse.grad.to_dense(), dense.grad.numpy())
    share = np.zeros((5, 7))
    np.add.at(share, (np.searchsorted(OFFSETS, np.arange(10), "right") - 1, FLAT), FLAT != 2)
    if mode == "mean":
        share /= np.maximum(share.sum(1, keepdims=True), 1)
    found = []
    for bags in (lambda w: F.embedding_bag(index, w, offsets, mode=mode, padding_idx=2), lambda w: f32(share) @ w):
        weight = leaf(WEIGHT)
        (first,) = genesis.autograd.grad((bags(weight) ** 3).sum(), weight, create_graph=True)
        (first ** 2).sum().backward()
        found.append(weight.grad.numpy())
    close(found[0], found[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", [None, 2])
def test_factors_of_rows(padding):
    options = {"mode": "sum", "padding_idx": padding, "weighed": True}
    check(options, WEIGHT, FLAT, OFFSETS, normal(10).astype(np.float32), gradients=(0, 3))
    check(options, WEIGHT, PADDED, normal(4, 3).astype(np.float32), gradients=(0, 2))


def test_gradients_are_divided_by_how_often_a_row_is_looked_up():
    # Not compared with PyTorch's, whose CPU kernel (2.13) divides by the counts of other rows.
    whole, scaled = leaf(WEIGHT), leaf(WEIGHT)
    g = genesis.randn(5, 3)
    for weight in (whole, scaled):
        F.embedding_bag(genesis.tensor(FLAT), weight, genesis.tensor(OFFSETS), scale_grad_by_freq=weight is scaled,
                        mode="mean").backward(g)
    counts = np.maximum(np.bincount(FLAT, minlength=7), 1)
    close(scaled.grad, whole.grad.numpy() / counts[:, None])


def test_bags_without_indices():
    weight = leaf(WEIGHT)
    none = genesis.zeros(0, dtype=genesis.int64)
    for mode in ("sum", "mean", "max"):
        y = F.embedding_bag(none, weight, genesis.tensor([0, 0]), mode=mode)
        assert y.tolist() == [[0.0] * 3] * 2
        assert F.embedding_bag(none.view(2, 0), weight, mode=mode).tolist() == [[0.0] * 3] * 2
    y.sum().backward()
    assert not weight.grad.any()


def test_rows_of_a_larger_norm_are_scaled():
    mine, its = genesis.tensor(2 * WEIGHT), torch.tensor(2 * WEIGHT)
    y = F.embedding_bag(genesis.tensor(FLAT), mine, genesis.tensor(OFFSETS), max_norm=1.0)
    z = torch.nn.functional.embedding_bag(torch.tensor(FLAT), its, torch.tensor(OFFSETS), max_norm=1.0)
    close(y, z.numpy())
    close(mine, its.numpy())


def test_layer():
    for options in ({}, {"mode": "sum", "padding_idx": 0, "max_norm": 1.5, "norm_type": 1.0},
                    {"scale_grad_by_freq": True}):
        mine, its = nn.EmbeddingBag(7, 3, **options), torch.nn.EmbeddingBag(7, 3, **options)
        assert repr(mine) == repr(its)
        assert list(mine.state_dict()) == list(its.state_dict())
        its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
        close(mine(genesis.tensor(FLAT), genesis.tensor(OFFSETS)),
              its(torch.tensor(FLAT), torch.tensor(OFFSETS)).detach().numpy())
    assert not nn.EmbeddingBag(7, 3, padding_idx=-1).weight[6].any()
    frozen = nn.EmbeddingBag.from_pretrained(genesis.tensor(WEIGHT), mode="max")
    assert not frozen.weight.requires_grad
    close(frozen(genesis.tensor([[1, 2]])), WEIGHT[1:3].max(0)[None])


def test_what_does_not_fit_is_told():
    weight, flat, offsets = genesis.tensor(WEIGHT), genesis.tensor(FLAT), genesis.tensor(OFFSETS)
    for error, call in (
            (ValueError, lambda: F.embedding_bag(flat, weight)),
            (ValueError, lambda: F.embedding_bag(flat.view(2, 5), weight, offsets)),
            (ValueError, lambda: F.embedding_bag(flat, weight, offsets.view(1, 5))),
            (ValueError, lambda: F.embedding_bag(flat.view(1, 2, 5), weight)),
            (ValueError, lambda: F.embedding_bag(flat, weight, offsets, mode="min")),
            (ValueError, lambda: F.embedding_bag(flat, weight, offsets, mode="max", sparse=True)),
            (ValueError, lambda: F.embedding_bag(flat, weight, offsets, mode="sum", per_sample_weights=weight)),
            (ValueError, lambda: F.embedding_bag(flat, weight[0], offsets)),
            (ValueError, lambda: nn.EmbeddingBag(7, 3, padding_idx=7)),
            (ValueError, lambda: nn.EmbeddingBag(7, 4, _weight=weight)),
            (NotImplementedError, lambda: F.embedding_bag(flat, weight, offsets, per_sample_weights=genesis.ones(10))),
            (IndexError, lambda: F.embedding_bag(flat + 1, weight, offsets).sum().item()),
            (IndexError, lambda: F.embedding_bag(flat, weight, offsets + 1, mode="sum").sum().item())):
        with pytest.raises(error):
            call()
