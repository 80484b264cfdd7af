"""Distances, norms and what is divided by them, against PyTorch."""

import math

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")


def rows(*shape, seed=0):
    """float32 numbers among whose vectors are one of zeros and a tiny one."""
    values = normal(*shape, seed=seed).astype(np.float32)
    values[0] = 0
    values[1] *= np.float32(1e-12)
    return values


@pytest.mark.parametrize("options", [{}, {"dim": -1, "eps": 1e-3}, {"dim": 0}], ids=str)
def test_cosine_similarity(options):
    for other in ((4, 5), (5,), (1, 5), (4, 1)):
        check_like_torch(lambda lib, a, b: lib.nn.functional.cosine_similarity(a, b, **options), rows(4, 5),
                         normal(*other, seed=1).astype(np.float32))
    close(nn.CosineSimilarity(**options)(f32(rows(4, 5)), f32(normal(4, 5))),
          torch.nn.CosineSimilarity(**options)(torch.tensor(rows(4, 5)), torch.tensor(normal(4, 5))).numpy())
    with pytest.raises(RuntimeError, match="floating-point"):
        F.cosine_similarity(genesis.arange(3).view(1, 3), genesis.arange(3).view(1, 3))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_pairwise_distance(p):
    for other, keepdim in (((4, 5), False), ((5,), True), ((3, 1, 5), False)):
        check_like_torch(lambda lib, a, b, keep=keepdim: lib.nn.functional.pairwise_distance(a, b, p, keepdim=keep),
                         rows(4, 5), normal(*other, seed=1).astype(np.float32))
    x = normal(4, 5).astype(np.float32)               # equal vectors: only eps is between them
    check_like_torch(lambda lib, a, b: lib.nn.functional.pairwise_distance(a, b, p), x, x)
    check_like_torch(lambda lib, a, b: lib.nn.functional.pairwise_distance(a, b, p, eps=0.0), x, x)
    close(nn.PairwiseDistance(p, keepdim=True)(f32(x), f32(2 * x)),
          torch.nn.PairwiseDistance(p, keepdim=True)(torch.tensor(x), torch.tensor(2 * x)).numpy())


@pytest.mark.parametrize("options", [{}, {"p": 1, "dim": 0}, {"p": 3.0, "dim": -1, "eps": 0.5}, {"dim": (0, 1)}],
                         ids=str)
def test_normalize(options):
    check_like_torch(lambda lib, x: lib.nn.functional.normalize(x, **options), rows(4, 5))


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 6, 3, 4), (1, 4, 2, 3, 2)], ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_local_response_norm(shape, size):
    check_like_torch(lambda lib, x: lib.nn.functional.local_response_norm(x, size, 0.5, 0.6, 2.0),
                     normal(*shape).astype(np.float32))


def test_local_response_norm_layer():
    mine, its = nn.LocalResponseNorm(3, alpha=0.2), torch.nn.LocalResponseNorm(3, alpha=0.2)
    assert repr(mine) == repr(its)
    close(mine(f32(normal(2, 5, 4))), its(torch.tensor(normal(2, 5, 4))).numpy())
    assert mine(genesis.zeros(0, 5, 4)).shape == (0, 5, 4)
    with pytest.raises(ValueError, match="at least 3 dimensions"):
        mine(genesis.zeros(3, 4))


def test_channel_shuffle():
    for shape, groups in (((2, 6, 3), 2), ((1, 6, 2, 2), 3), ((2, 4, 2, 1, 2), 4)):
        check_like_torch(lambda lib, x, g=groups: lib.nn.functional.channel_shuffle(x, g),
                         normal(*shape).astype(np.float32))
    mine, its = nn.ChannelShuffle(3), torch.nn.ChannelShuffle(3)
    assert repr(mine) == repr(its)
    close(mine(f32(normal(1, 6, 2, 2))), its(torch.tensor(normal(1, 6, 2, 2))).numpy())
    for shape, groups in (((2, 6), 2), ((2, 6, 3), 4), ((2, 6, 3), 0)):
        with pytest.raises(RuntimeError, match="channel_shuffle"):
            F.channel_shuffle(genesis.zeros(shape), groups)
