"""Losses with margins, and likelihoods of predicted distributions, against PyTorch."""

import math

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")


def single(*shape, seed=0):
    return normal(*shape, seed=seed).astype(np.float32)


SIGNS = np.where(single(6, seed=9) > 0, 1, -1).astype(np.float32)
WIDE_SIGNS = np.where(single(6, 5, seed=9) > 0, 1, -1).astype(np.float32)
CLASSES = np.array([0, 4, 2, 2, 1, 3])
LABELS = np.array([[3, 0, -1, 1, 2], [-1, 2, 2, 2, 2], [0, 1, 2, 3, 4], [2, 2, -1, 2, -1], [4, -1, -1, -1, -1],
                   [1, 3, 0, -1, -1]])
COUNTS = np.array([[0, 1, 2, 3, 10]] * 6, np.float32)
WEIGHT = np.array([0.5, 1, 2, 0.25, 3], np.float32)
A, B, C = (single(6, 5, seed=seed) for seed in range(3))
# The layer's name, its options, and what it is called with; the function's name follows from it.
LOSSES = [("MarginRankingLoss", {"margin": 0.5}, (A[:, 0], B[:, 0], SIGNS)),
          ("MarginRankingLoss", {}, (A, B[:1], WIDE_SIGNS)),
          ("HingeEmbeddingLoss", {}, (A, WIDE_SIGNS)), ("HingeEmbeddingLoss", {"margin": 0.3}, (A, SIGNS[:5])),
          ("CosineEmbeddingLoss", {"margin": 0.2}, (A, B, SIGNS)), ("CosineEmbeddingLoss", {}, (A[0], B[0], SIGNS[0])),
          ("TripletMarginLoss", {"swap": True, "p": 1.0}, (A, B, C)), ("TripletMarginLoss", {"margin": 0.1}, (A, B, A)),
          ("TripletMarginLoss", {"eps": 1e-2}, (A[0], B[0], C[0])),
          ("TripletMarginWithDistanceLoss", {"swap": True, "margin": 2.0}, (A, B, C)),
          ("SoftMarginLoss", {}, (A, WIDE_SIGNS)), ("SoftMarginLoss", {}, (A, WIDE_SIGNS[:1])),
          ("MultiLabelSoftMarginLoss", {}, (A, (WIDE_SIGNS + 1) / 2)),
          ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, (A, (WIDE_SIGNS + 1) / 2)),
          ("MultiLabelMarginLoss", {}, (A, LABELS)), ("MultiLabelMarginLoss", {}, (A[0], LABELS[0])),
          ("MultiMarginLoss", {}, (A, CLASSES)), ("MultiMarginLoss", {"p": 2, "margin": 0.5}, (A[1], CLASSES[1])),
          ("MultiMarginLoss", {"weight": WEIGHT}, (A, CLASSES)), ("MultiMarginLoss", {}, (A[1], CLASSES[1:2])),
          ("PoissonNLLLoss", {}, (A, COUNTS)), ("PoissonNLLLoss", {"full": True}, (A, COUNTS)),
          ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, (np.abs(A), COUNTS)),
          ("GaussianNLLLoss", {}, (A, B, np.abs(C))), ("GaussianNLLLoss", {"full": True}, (A, B, np.abs(C[:, :1]))),
          ("GaussianNLLLoss", {"eps": 0.5}, (A, B, np.abs(C[:, 0]))), ("GaussianNLLLoss", {}, (A, B, 0.7))]


def layer(lib, name, options):
    made = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return getattr(lib.nn, name)(**made)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "values"), LOSSES, ids=lambda x: str(x) if isinstance(x, str) else "")
def test_losses(name, options, values, reduction):
    given = {**options, "reduction": reduction}
    arrays = [v for v in values if isinstance(v, np.ndarray | np.generic)]
    rest = [v for v in values if isinstance(v, float)]
    # Targets of signs and counts take no gradient: at the edges of their cases it means nothing.
    kinds = {"HingeEmbeddingLoss": (0,), "PoissonNLLLoss": (0,), "SoftMarginLoss": (0,), "CosineEmbeddingLoss": (0, 1)}
    check_like_torch(lambda lib, *x: layer(lib, name, given)(*x, *rest), *arrays, gradients=kinds.get(name))
    mine, its = layer(genesis, name, given), layer(torch, name, given)
    assert repr(mine) == repr(its)
    assert list(mine.state_dict()) == list(its.state_dict())


def test_defaults_are_those_of_torch():
    for name, values in (("margin_ranking_loss", (A, B, WIDE_SIGNS)), ("hinge_embedding_loss", (A, WIDE_SIGNS)),
                         ("cosine_embedding_loss", (A, B, SIGNS)), ("triplet_margin_loss", (A, B, C)),
                         ("triplet_margin_with_distance_loss", (A, B, C)), ("soft_margin_loss", (A, WIDE_SIGNS)),
                         ("multilabel_soft_margin_loss", (A, COUNTS > 1)), ("multilabel_margin_loss", (A, LABELS)),
                         ("multi_margin_loss", (A, CLASSES)), ("poisson_nll_loss", (A, COUNTS)),
                         ("gaussian_nll_loss", (A, B, np.abs(C)))):
        values = [v.astype(np.float32) if v.dtype == bool else v for v in values]
        check_like_torch(lambda lib, *x, name=name: getattr(lib.nn.functional, name)(*x), *values, gradients=())


def test_gradients_where_vectors_or_variances_vanish():
    zero, equal = np.zeros((6, 5), np.float32), A
    check_like_torch(lambda lib, *x: lib.nn.functional.cosine_embedding_loss(*x), zero, B, SIGNS, gradients=(0, 1))
    check_like_torch(lambda lib, *x: lib.nn.functional.triplet_margin_loss(*x), equal, equal, equal)
    check_like_torch(lambda lib, *x: lib.nn.functional.triplet_margin_loss(*x, eps=0.0), equal, equal, B)
    check_like_torch(lambda lib, *x: lib.nn.functional.gaussian_nll_loss(*x), A, A, zero)


def test_a_distance_of_ones_own():
    def distance(x, y):
        return (x - y).abs().amax(-1)

    options = {"distance_function": distance, "margin": 0.5}
    check_like_torch(lambda lib, *x: lib.nn.functional.triplet_margin_with_distance_loss(*x, **options), A, B, C)
    mine = nn.TripletMarginWithDistanceLoss(distance_function=nn.CosineSimilarity())
    assert repr(mine) == repr(torch.nn.TripletMarginWithDistanceLoss(distance_function=torch.nn.CosineSimilarity()))


def test_extreme_scores():
    x = leaf([-200.0, 200.0, 0.0])
    losses = F.soft_margin_loss(x, f32([1, 1, 1]), reduction="none")
    close(losses, [200, 0, math.log(2)])
    losses.sum().backward()
    close(x.grad, [-1, 0, -0.5])
    assert math.isnan(F.gaussian_nll_loss(f32([0.0]), f32([0.0]), f32([-1.0])).item())
    for loss, target in ((F.multilabel_margin_loss, [0, -1]), (F.multi_margin_loss, 0)):
        close(loss(f32([np.inf, 0.0]), genesis.tensor(target)), 0)


def test_what_does_not_fit_is_told():
    x, row = f32(A), f32(A[0])
    for error, call in (
            (RuntimeError, lambda: F.margin_ranking_loss(x, x, row)),
            (RuntimeError, lambda: F.cosine_embedding_loss(x, row, f32(SIGNS))),
            (RuntimeError, lambda: F.cosine_embedding_loss(x, x, x)),
            (RuntimeError, lambda: F.triplet_margin_loss(x, x, row)),
            (ValueError, lambda: F.triplet_margin_loss(x, x, x, margin=0)),
            (ValueError, lambda: nn.TripletMarginLoss(margin=-1.0)),
            (ValueError, lambda: nn.TripletMarginWithDistanceLoss(margin=0.0)),
            (RuntimeError, lambda: F.multilabel_margin_loss(x, genesis.tensor(CLASSES))),
            (RuntimeError, lambda: F.multilabel_margin_loss(x, genesis.tensor(LABELS).int())),
            (RuntimeError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES[:2]))),
            (RuntimeError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES).int())),
            (RuntimeError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES), weight=f32([1, 2]))),
            (ValueError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES), p=3)),
            (ValueError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES), weight=x)),
            (ValueError, lambda: nn.MultiMarginLoss(p=3)), (ValueError, lambda: nn.MultiMarginLoss(weight=x)),
            (ValueError, lambda: F.gaussian_nll_loss(x, x, x[:, :2])),
            (ValueError, lambda: F.gaussian_nll_loss(x, x, -1.0)),
            (ValueError, lambda: F.gaussian_nll_loss(x, x, genesis.ones(1, 1))),
            (IndexError, lambda: F.multi_margin_loss(x, genesis.tensor(CLASSES + 1)).item()),
            (IndexError, lambda: F.multilabel_margin_loss(row, genesis.tensor([5, -1, 0, 0, 0])).item()),
            (IndexError, lambda: F.multilabel_margin_loss(row, genesis.tensor([-2, 1, 0, 0, 0])).item())):
        with pytest.raises(error):
            call()
    for name in dict.fromkeys(name for name, _, _ in LOSSES):
        with pytest.raises(ValueError, match="reduction"):
            getattr(nn, name)(reduction="average")
