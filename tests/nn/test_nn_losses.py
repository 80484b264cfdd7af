"""Losses: values and gradients, options, extreme logits, errors."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from helpers import check_against_torch, check_gradients, close, f32, leaf, needs_float64, normal

import genesis
from genesis import nn
from genesis.nn import functional as F


def reference(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Cross-entropy in NumPy, by the definition."""
    x = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    classes = x.shape[-1]
    x, shape, target = x.reshape(-1, classes), target.shape, target.reshape(-1)
    weight = np.ones(classes) if weight is None else weight
    top = x.max(1, keepdims=True)
    log_p = x - top - np.log(np.exp(x - top).sum(1, keepdims=True))
    used = target != ignore_index
    t = np.where(used, target, 0)
    share = np.where(used, weight[t], 0)
    rows = -(1 - label_smoothing) * weight[t] * log_p[np.arange(t.size), t]
    rows = np.where(used, rows - label_smoothing / classes * (weight * log_p).sum(1), 0)
    if reduction == "none":
        return rows.reshape(shape)
    return rows.sum() / (share.sum() if reduction == "mean" else 1)


LOGITS = [(7,), (5, 7), (1, 1), (33, 3), (4, 3, 6), (2, 5, 3, 4), (65, 10)]
OPTIONS = [{"weight": w, "ignore_index": i, "reduction": r, "label_smoothing": s}
           for w, i, r, s in itertools.product((False, True), (-100, 1), ("mean", "sum", "none"), (0.0, 0.1, 1.0))]


def _target(shape, seed=0):
    size = () if len(shape) == 1 else (shape[0], *shape[2:])
    classes = shape[0] if len(shape) == 1 else shape[1]
    return np.random.default_rng(seed).integers(0, classes, size)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", LOGITS, ids=str)
def test_cross_entropy_shapes(shape, reduction):
    target = _target(shape)
    check_gradients(lambda x: F.cross_entropy(x, genesis.tensor(target), reduction=reduction),
                    lambda x: reference(x, target, reduction=reduction), normal(*shape))


@pytest.mark.parametrize("shape", [(12, 4), (3, 4, 5)], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_cross_entropy_options(options, shape):
    target = _target(shape)
    weight = np.array([0.5, 1, 2, 0.25]) if options["weight"] else None
    mine = {**options, "weight": None if weight is None else f32(weight)}
    check_gradients(lambda x: F.cross_entropy(x, genesis.tensor(target), **mine),
                    lambda x: reference(x, target, **{**options, "weight": weight}), normal(*shape))


@pytest.mark.parametrize("options", OPTIONS[::5], ids=str)
def test_cross_entropy_matches_torch(options):
    torch = pytest.importorskip("torch")
    target = _target((6, 4, 5))

    def loss(x):
        lib, extra = (genesis, {}) if isinstance(x, genesis.Tensor) else (torch, {"dtype": torch.float64})
        functional = F if lib is genesis else torch.nn.functional
        weight = lib.tensor([0.5, 1, 2, 0.25], **extra) if options["weight"] else None
        return functional.cross_entropy(x, lib.tensor(target), **{**options, "weight": weight})

    check_against_torch(loss, normal(6, 4, 5), rtol=1e-4, atol=1e-6)


def test_cross_entropy_of_extreme_logits():
    x = leaf([[1e4, 0, -1e4], [-1e4, -1e4, -1e4], [3e38, 3e38, 0], [88, 89, 200]])
    rows = F.cross_entropy(x, genesis.tensor([0, 1, 0, 2]), reduction="none")
    close(rows, [0, math.log(3), math.log(2), 0])
    rows.sum().backward()
    close(x.grad, [[0, 0, 0], [1 / 3, -2 / 3, 1 / 3], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-5)
    close(F.cross_entropy(f32([[1e4, 0]]), genesis.tensor([1])), 1e4)
    close(F.cross_entropy(f32([[-np.inf, 0.0]]), genesis.tensor([1])), 0)
    assert F.cross_entropy(f32([[-np.inf, 0.0]]), genesis.tensor([0])).item() == np.inf
    assert math.isnan(F.cross_entropy(f32([[np.nan, 0.0]]), genesis.tensor([1])).item())


def test_cross_entropy_with_ignored_rows():
    x = leaf(normal(4, 3))
    target = genesis.tensor([0, -100, 2, -100])
    F.cross_entropy(x, target).backward()
    assert x.grad.numpy()[[1, 3]].tolist() == [[0, 0, 0]] * 2
    close(F.cross_entropy(x, target), reference(normal(4, 3)[[0, 2]], np.array([0, 2])))
    nothing = genesis.full((4,), -100)
    assert math.isnan(F.cross_entropy(x, nothing).item())
    y = leaf(normal(4, 3))
    F.cross_entropy(y, nothing, reduction="sum").backward()
    assert y.grad.tolist() == [[0, 0, 0]] * 4
    bad = leaf([[np.nan, 1.0], [1.0, 2.0]])           # a row that is ignored may hold anything
    F.cross_entropy(bad, genesis.tensor([-100, 0])).backward()
    assert np.isfinite(bad.grad.numpy()).all()


def test_targets_out_of_range_make_the_loss_nan():
    for target in (3, -1, 2**40):
        for logits in (f32([[1.0, 2.0, 3.0]]), f32([[[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]])):
            loss = F.cross_entropy(logits, genesis.tensor([target] if logits.ndim == 2 else [[0, target]]))
            with pytest.raises(IndexError, match=f"cross_entropy: index {target} is out of range .* size 3"):
                loss.item()
            assert math.isnan(loss.item())


def test_cross_entropy_of_views_and_other_types():
    values, target = normal(5, 8), np.array([0, 2, 1, 2, 0])
    weights = f32([9, 9, 0.5, 1, 2, 9])[2:5]
    close(F.cross_entropy(f32(values)[:, 1:7:2], genesis.tensor(np.repeat(target, 2))[::2], weights),
          reference(values[:, 1:7:2], target, np.array([0.5, 1, 2])))
    close(F.cross_entropy(f32(values.T).T, genesis.tensor(target)), reference(values, target))
    for dtype in (genesis.int32, genesis.uint8):
        close(F.cross_entropy(f32(values), genesis.tensor(target, dtype=dtype)), reference(values, target))
    for dtype in (genesis.float16, genesis.bfloat16):
        x = leaf(values, dtype)
        loss = F.cross_entropy(x, genesis.tensor(target))
        assert loss.dtype is dtype
        loss.backward()
        assert x.grad.dtype is dtype
        y = leaf(x.detach().float().numpy())
        F.cross_entropy(y, genesis.tensor(target)).backward()
        close(x.grad.float(), y.grad.numpy(), rtol=0.01, atol=1e-3)
    assert math.isnan(F.cross_entropy(genesis.zeros(0, 3), genesis.zeros(0, dtype=genesis.int64)).item())
    assert F.cross_entropy(genesis.zeros(0, 3), genesis.zeros(0, dtype=genesis.int64), reduction="sum").item() == 0


@needs_float64
def test_cross_entropy_in_float64():
    x, target = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 1, 2, 3, 0])
    weight = np.array([0.1, 0.2, 0.3, 0.7])
    loss = F.cross_entropy(genesis.tensor(x), genesis.tensor(target), genesis.tensor(weight), label_smoothing=0.1)
    close(loss, reference(x, target, weight, label_smoothing=0.1), rtol=1e-13, atol=0)


PROBABLE = [(5,), (6, 7), (33, 40), (3, 4, 5), (2, 3, 4, 17)]


@pytest.mark.parametrize("options", OPTIONS[:3] + OPTIONS[4::9], ids=str)
@pytest.mark.parametrize("shape", PROBABLE, ids=str)
@pytest.mark.parametrize("trained", [False, True], ids=["fixed", "trained"])
def test_cross_entropy_of_probabilities_matches_torch(shape, options, trained):
    torch = pytest.importorskip("torch")
    classes = shape[0] if len(shape) == 1 else shape[1]
    chances = np.abs(normal(*shape, seed=3)) / classes
    options = {k: v for k, v in options.items() if k != "ignore_index"}

    def loss(x, q):
        lib, extra = (genesis, {}) if isinstance(x, genesis.Tensor) else (torch, {"dtype": torch.float64})
        functional = F if lib is genesis else torch.nn.functional
        weight = lib.tensor(np.linspace(0.5, 2, classes).astype(np.float32), **extra) if options["weight"] else None
        return functional.cross_entropy(x, q if trained else q.detach(), **{**options, "weight": weight})

    check_against_torch(loss, normal(*shape), chances, rtol=1e-4, atol=1e-6)


def test_cross_entropy_of_probabilities_of_other_types():
    x, q = normal(4, 9), np.abs(normal(4, 9, seed=1))
    q /= q.sum(1, keepdims=True)
    expected = -(q * np.log(np.exp(x) / np.exp(x).sum(1, keepdims=True))).sum(1)
    close(F.cross_entropy(f32(x), f32(q).half(), reduction="none"), expected, rtol=1e-3)
    narrow = F.cross_entropy(f32(x).bfloat16(), f32(q), reduction="none")
    assert narrow.dtype is genesis.bfloat16
    close(narrow.float(), expected, rtol=0.02)
    with pytest.raises(RuntimeError, match="ignore_index"):
        F.cross_entropy(f32(x), f32(q), ignore_index=1)


@pytest.mark.parametrize("shape", [(70, 33), (3, 5, 40)], ids=str)
def test_cross_entropy_with_a_group_to_a_row(shape, monkeypatch):
    monkeypatch.setattr(genesis.device(), "type", "gpu")
    target, weight = _target(shape), np.linspace(0.5, 2, shape[1])
    options = {"ignore_index": 1, "label_smoothing": 0.1}
    check_gradients(lambda x: F.cross_entropy(x, genesis.tensor(target), f32(weight), **options),
                    lambda x: reference(x, target, weight, **options), normal(*shape))


@pytest.mark.parametrize("shape", [(3, 50257), (70001, 3)], ids=str)
def test_cross_entropy_of_many_classes_and_rows(shape):
    target = _target(shape)
    check_gradients(lambda x: F.cross_entropy(x, genesis.tensor(target)), lambda x: reference(x, target),
                    normal(*shape), atol=2e-4)


def test_cross_entropy_repeats_bit_for_bit():
    x, target = f32(normal(1003, 10)), genesis.tensor(_target((1003, 10)))
    assert F.cross_entropy(x, target).item() == F.cross_entropy(x, target).item()


def test_cross_entropy_errors():
    x, target = genesis.zeros(2, 3), genesis.tensor([0, 1])
    for call in (lambda: F.cross_entropy(x, genesis.tensor([0, 1, 2])),
                 lambda: F.cross_entropy(x, target, reduction="average"),
                 lambda: nn.CrossEntropyLoss(reduction="average")):
        with pytest.raises(ValueError):
            call()
    for call in (lambda: F.cross_entropy(x, genesis.tensor([[0, 1, 2]])),
                 lambda: F.cross_entropy(x, genesis.zeros(2)),
                 lambda: F.cross_entropy(x.long(), target),
                 lambda: F.cross_entropy(genesis.zeros(2, 3, 5), genesis.zeros(2, 4).long()),
                 lambda: F.cross_entropy(x, target, genesis.ones(2)),
                 lambda: F.cross_entropy(x, target, label_smoothing=1.5)):
        with pytest.raises(RuntimeError):
            call()


@pytest.mark.parametrize(("shape", "options", "chances"), [
    ((5,), {}, False), ((4, 5), {"bias": True, "ignore_index": 2}, False), ((4, 5), {"bias": True}, True),
    ((4, 5), {"out_features": (2, 3), "bias": True, "reduction": "sum"}, False), ((4, 5), {"out_features": (2,)}, True),
    ((4, 5), {"label_smoothing": 0.1, "reduction": "none"}, False)], ids=str)
def test_linear_cross_entropy(shape, options, chances):
    more = options.get("out_features", ())
    rng = np.random.default_rng(0)
    target = rng.random((*shape[:-1], 3, *more), np.float32) if chances else rng.integers(0, 3, (*shape[:-1], *more))
    weight = np.array([0.5, 1, 2], np.float32)
    torch, found = pytest.importorskip("torch"), []
    mine, its = (lib.nn.LinearCrossEntropyLoss(5, 3, weight=lib.tensor(weight), **options) for lib in (genesis, torch))
    assert repr(mine) == repr(its)
    its.load_state_dict({name: torch.tensor(x.numpy()) for name, x in mine.state_dict().items()})
    for lib, layer in ((genesis, mine), (torch, its)):
        x = lib.tensor(normal(*shape).astype(np.float32), requires_grad=True)
        loss = layer(x, lib.tensor(target))
        loss.sum().backward()
        found.append([y.detach().numpy() for y in (loss, x.grad, layer.linear.weight.grad)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_linear_cross_entropy_errors():
    x, weight, target = genesis.zeros(2, 5), genesis.zeros(3, 5), genesis.tensor([0, 1])
    call = F.linear_cross_entropy
    for wrong in (lambda: call(x[:, :4], weight, target), lambda: call(x, weight[0], target),
                  lambda: call(x, weight, target, linear_bias=genesis.zeros(2)),
                  lambda: call(x[0], weight.unsqueeze(1), target), lambda: call(x, weight, target, options=object()),
                  lambda: call(x, weight, genesis.zeros(2, 3), ignore_index=1),
                  lambda: nn.LinearCrossEntropyLoss(5, 3, label_smoothing=2.0),
                  lambda: nn.LinearCrossEntropyLoss(5, 3, weight=genesis.ones(2))):
        with pytest.raises(RuntimeError):
            wrong()


def test_more_classes_than_a_device_can_loop_over_are_an_error(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=60))
    assert F.cross_entropy(genesis.zeros(1, 4), genesis.tensor([0])).item() > 0
    with pytest.raises(RuntimeError, match="500 classes"):
        F.cross_entropy(genesis.zeros(1, 500), genesis.tensor([0]))
    with pytest.raises(RuntimeError, match="50 classes"):
        F.cross_entropy(genesis.zeros(1, 50, 2), genesis.tensor([[0, 0]]))


def test_cross_entropy_module():
    weight = f32([0.5, 1, 2])
    loss = nn.CrossEntropyLoss(weight, ignore_index=0, reduction="sum", label_smoothing=0.2)
    x, target = normal(6, 3), np.array([0, 1, 2, 2, 1, 0])
    close(loss(f32(x), genesis.tensor(target)), reference(x, target, weight.numpy(), 0, "sum", 0.2), rtol=1e-4)
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_differences(reduction):
    def reduced(x):
        return x if reduction == "none" else getattr(x, reduction)()

    a, b = normal(4, 5), normal(4, 5, seed=1)
    check_gradients(nn.MSELoss(reduction), lambda x, y: reduced((x - y) ** 2), a, b)
    check_gradients(nn.L1Loss(reduction), lambda x, y: reduced(np.abs(x - y)), a, b)
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss("average")


@pytest.mark.parametrize(("older", "newer"), [
    ({"size_average": False}, "sum"), ({"reduce": False}, "none"), ({"size_average": True}, "mean"),
    ({"size_average": False, "reduce": False}, "none"), ({"size_average": False, "reduce": True}, "sum")])
def test_older_arguments_of_reduction_are_those_of_torch(older, newer):
    torch = pytest.importorskip("torch")
    x, t = np.float32([[0.2, 0.7], [0.4, 0.1]]), np.float32([[0.0, 1.0], [1.0, 0.0]])
    for name, layer in (("mse_loss", "MSELoss"), ("binary_cross_entropy", "BCELoss"),
                        ("multilabel_soft_margin_loss", "MultiLabelSoftMarginLoss")):
        with pytest.warns(UserWarning, match="reduction="):
            found = getattr(F, name)(genesis.tensor(x), genesis.tensor(t), **older)
        with pytest.warns(UserWarning, match=f"reduction='{newer}'"):
            of_layer = getattr(nn, layer)(**older)
        with pytest.warns(UserWarning, match="reduction="):
            wanted = getattr(torch.nn.functional, name)(torch.tensor(x), torch.tensor(t), **older)
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5)
        np.testing.assert_allclose(of_layer(genesis.tensor(x), genesis.tensor(t)).numpy(), wanted.numpy(), rtol=1e-5)


def test_losses_of_users_derive_from_the_base_classes_that_torch_has():
    class Focal(nn.modules.loss._WeightedLoss):
        def forward(self, input, target):
            chance = F.cross_entropy(input, target, weight=self.weight, reduction="none").neg().exp()
            return (1 - chance).square().sum()

    loss = Focal(weight=genesis.tensor([1.0, 2.0]), reduction="sum")
    assert loss.reduction == "sum"
    assert list(loss.state_dict()) == ["weight"]
    assert loss(genesis.zeros(1, 2), genesis.tensor([0])).item() == pytest.approx(0.25)
    assert isinstance(nn.CTCLoss(), nn.modules.loss._Loss)
    assert isinstance(nn.CrossEntropyLoss(), nn.modules.loss._WeightedLoss)
