"""Losses of predictions and targets, against PyTorch."""

import math

import numpy as np
import pytest
from helpers import EDGES, close, f32, leaf, needs_float64, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:(.*)(batchmean|reduction)")

RNG = np.random.default_rng(0)


def _chances(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.02, 0.98, shape).astype(np.float32).astype(np.float64)


# name, options, predictions, targets (each made from a shape)
LOSSES = [("mse_loss", {}, normal, normal), ("l1_loss", {}, normal, normal), ("smooth_l1_loss", {}, normal, normal),
          ("smooth_l1_loss", {"beta": 0.3}, normal, normal), ("smooth_l1_loss", {"beta": 0.0}, normal, normal),
          ("huber_loss", {"delta": 0.7}, normal, normal), ("binary_cross_entropy", {}, _chances, _chances),
          ("binary_cross_entropy_with_logits", {}, normal, _chances), ("kl_div", {}, normal, _chances),
          ("kl_div", {"log_target": True}, normal, normal)]


def compare(name, options, *values, weights=None, dtype="float32"):
    """Values and the gradients of both arguments."""
    mine = [leaf(v, getattr(genesis, dtype)) for v in values]
    its = [torch.tensor(np.asarray(v, np.float64), requires_grad=True) for v in values]
    result = getattr(F, name)(*mine, **options, **{k: genesis.tensor(np.asarray(w, dtype))
                                                   for k, w in (weights or {}).items()})
    expected = getattr(torch.nn.functional, name)(*its, **options, **{k: torch.tensor(np.asarray(w, np.float64))
                                                                     for k, w in (weights or {}).items()})
    exact = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 2e-5, "atol": 2e-6}
    close(result, expected.detach().numpy(), **exact)
    g = np.random.default_rng(1).standard_normal(tuple(expected.shape))
    result.backward(genesis.tensor(g.astype(dtype)))
    expected.backward(torch.tensor(g.astype(np.float32).astype(np.float64) if dtype == "float32" else g))
    for x, y in zip(mine, its):
        close(x.grad, y.grad.numpy(), **exact)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss[0]} {loss[1]}")
def test_losses(loss, reduction):
    name, options, predictions, targets = loss
    for shape in ((1,), (33,), (7, 5), ()):
        compare(name, {**options, "reduction": reduction}, predictions(*shape), targets(*shape, seed=1))


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("loss", LOSSES[::3], ids=lambda loss: loss[0])
def test_sizes_around_blocks(loss, n):
    name, options, predictions, targets = loss
    compare(name, {**options, "reduction": "mean"}, predictions(n), targets(n, seed=1))


@needs_float64
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss[0]} {loss[1]}")
def test_float64_is_computed_in_float64(loss):
    name, options, predictions, targets = loss
    compare(name, options, predictions(1003), targets(1003, seed=1), dtype="float64")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights(reduction):
    x, p, t, w = normal(6, 5), _chances(6, 5), _chances(6, 5, seed=1), _chances(6, 5, seed=2)
    options = {"reduction": reduction}
    compare("mse_loss", options, x, p, weights={"weight": w})
    compare("l1_loss", options, x, p, weights={"weight": w})
    compare("huber_loss", options, x, p, weights={"weight": w})
    compare("binary_cross_entropy", options, p, t, weights={"weight": w[0]})
    compare("binary_cross_entropy_with_logits", options, 3 * x, t, weights={"weight": w})
    compare("binary_cross_entropy_with_logits", options, 3 * x, t, weights={"pos_weight": 3 * w[0], "weight": w})
    compare("binary_cross_entropy_with_logits", options, 3 * x, t, weights={"pos_weight": w})


def test_batchmean_is_the_mean_divergence():
    compare("kl_div", {"reduction": "batchmean"}, np.log(_chances(4, 5)), _chances(4, 5, seed=1))
    x, t = np.log(_chances(4, 5)), np.zeros((4, 5))
    close(F.kl_div(f32(x), f32(t), reduction="batchmean"), 0)


def test_extreme_predictions():
    x = leaf([-200.0, 200.0, -200.0, 200.0, 0.0])
    t = f32([0, 1, 1, 0, 0.5])
    losses = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    close(losses, [0, 0, 200, 200, math.log(2)])
    losses.sum().backward()
    close(x.grad, [0, 0, -1, 1, 0])
    p = f32([0, 1, 1, 0])
    close(F.binary_cross_entropy(p, f32([0, 1, 0, 1]), reduction="none"), [0, 0, 100, 100])
    assert math.isnan(F.binary_cross_entropy(f32([1.5]), f32([1.0])).item())
    assert math.isnan(F.mse_loss(genesis.zeros(0), genesis.zeros(0)).item())
    assert F.mse_loss(genesis.zeros(0), genesis.zeros(0), reduction="sum").item() == 0


def test_views_and_other_types():
    a, b = normal(8, 6), normal(8, 6, seed=1)
    close(F.mse_loss(f32(a).T, f32(b).T), np.mean((a - b) ** 2))
    close(F.l1_loss(f32(a)[1:, ::2], f32(b)[1:, ::2]), np.mean(np.abs(a - b)[1:, ::2]))
    close(F.mse_loss(f32(a)[2:], f32(b)[2:]), np.mean((a - b)[2:] ** 2))
    for dtype in (genesis.float16, genesis.bfloat16):
        x, y = leaf(a, dtype), genesis.tensor(b, dtype=dtype)
        wide = leaf(x.detach().float().numpy())
        loss, expected = F.mse_loss(x, y), F.mse_loss(wide, y.float())
        assert loss.dtype is dtype
        close(loss.float(), expected.detach().to(dtype).float().numpy())
        loss.backward()
        expected.backward()
        assert x.grad.dtype is dtype
        close(x.grad.float(), wide.grad.numpy(), rtol=0.02, atol=1e-3)
    mixed = F.mse_loss(f32(a), genesis.tensor(b, dtype=genesis.float16))
    assert mixed.dtype is genesis.float32


def test_sizes_that_differ():
    x, y = leaf(normal(4, 3)), leaf(normal(3))
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        with pytest.warns(UserWarning, match="size"):
            loss = getattr(F, name)(x, y)
        loss.backward()
    assert x.grad.shape == (4, 3)
    assert y.grad.shape == (3,)
    for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        with pytest.raises(ValueError, match="size"):
            getattr(F, name)(x, y)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(x, x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(5, 7), (7,), (4, 7, 3, 2), (70, 7)])
def test_nll_loss(shape, reduction):
    rng = np.random.default_rng(0)
    values = normal(*shape)
    rest = () if len(shape) == 1 else (shape[0], *shape[2:])
    target, weight = rng.integers(0, 7, rest), rng.uniform(0.5, 2, 7).astype(np.float32)
    ignored = np.where(rng.random(rest) < 0.3, 3, target) if rest else target
    for options, labels in (({}, target), ({"weight": weight}, target), ({"weight": weight, "ignore_index": 3},
                                                                         ignored)):
        if options.get("ignore_index") == 3 and (np.asarray(labels) == 3).all():
            continue
        x, y = leaf(values), torch.tensor(values, requires_grad=True)
        mine = {**options, **({"weight": genesis.tensor(weight)} if "weight" in options else {})}
        its = {**options, **({"weight": torch.tensor(weight.astype(np.float64))} if "weight" in options else {})}
        result = F.nll_loss(x, genesis.tensor(labels), reduction=reduction, **mine)
        expected = torch.nn.functional.nll_loss(y, torch.tensor(labels), reduction=reduction, **its)
        close(result, expected.detach().numpy())
        g = rng.standard_normal(tuple(expected.shape)).astype(np.float32)
        result.backward(genesis.tensor(g))
        expected.backward(torch.tensor(g.astype(np.float64)))
        close(x.grad, y.grad.numpy())


def test_nll_loss_errors_and_targets_out_of_range():
    x = genesis.zeros(2, 3)
    with pytest.raises(IndexError, match="nll_loss: index 3 is out of range for a dimension of size 3"):
        F.nll_loss(x, genesis.tensor([0, 3])).item()
    assert F.nll_loss(x, genesis.tensor([0, -100])).item() == 0
    for call in (lambda: F.nll_loss(x, genesis.zeros(2)), lambda: F.nll_loss(x, genesis.tensor([[0, 1, 2]])),
                 lambda: F.nll_loss(x, genesis.tensor([0, 1]), genesis.ones(2)),
                 lambda: F.nll_loss(x.long(), genesis.tensor([0, 1]))):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(ValueError):
        F.nll_loss(x, genesis.tensor([0]))


def test_layers():
    x, p, t = normal(4, 5), _chances(4, 5), _chances(4, 5, seed=1)
    weight = _chances(5, seed=2)
    cases = [(nn.MSELoss("sum"), torch.nn.MSELoss(reduction="sum"), x, t), (nn.L1Loss(), torch.nn.L1Loss(), x, t),
             (nn.SmoothL1Loss(beta=0.5), torch.nn.SmoothL1Loss(beta=0.5), x, t),
             (nn.HuberLoss(delta=0.5), torch.nn.HuberLoss(delta=0.5), x, t),
             (nn.BCELoss(f32(weight)), torch.nn.BCELoss(torch.tensor(weight)), p, t),
             (nn.BCEWithLogitsLoss(pos_weight=f32(weight)),
              torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight)), x, t),
             (nn.KLDivLoss("batchmean"), torch.nn.KLDivLoss(reduction="batchmean"), x, t)]
    for mine, its, a, b in cases:
        close(mine(f32(a), f32(b)), its(torch.tensor(a), torch.tensor(b)).numpy())
        assert list(mine.state_dict()) == list(its.state_dict())
    labels = np.array([0, 4, 1, 1])
    mine, its = nn.NLLLoss(f32(weight), ignore_index=0), torch.nn.NLLLoss(torch.tensor(weight), ignore_index=0)
    close(mine(f32(x), genesis.tensor(labels)), its(torch.tensor(x), torch.tensor(labels)).numpy())
    for layer in (nn.MSELoss, nn.HuberLoss, nn.NLLLoss, nn.KLDivLoss):
        with pytest.raises(ValueError, match="reduction"):
            layer(reduction="average")
    with pytest.raises(TypeError, match="delta"):
        nn.HuberLoss(delta=1j)
    with pytest.raises(RuntimeError):
        F.huber_loss(f32(x), f32(t), delta=0.0)
    with pytest.raises(RuntimeError):
        F.smooth_l1_loss(f32(x), f32(t), beta=-1.0)


def test_a_large_mean_is_exact_and_repeats():
    x, y = f32(normal(300_001)), f32(normal(300_001, seed=1))
    first = F.mse_loss(x, y).item()
    assert first == F.mse_loss(x, y).item()
    assert first == pytest.approx(np.mean((normal(300_001) - normal(300_001, seed=1)) ** 2), rel=1e-6)
