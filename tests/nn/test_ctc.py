"""Connectionist temporal classification, against PyTorch and against counting alignments.

Gradients are compared before `log_softmax`: after it, PyTorch's suppose that it came before.
"""

import itertools
import math

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis import autograd, nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

LOGITS = normal(9, 4, 5).astype(np.float32)
TARGETS = np.array([[1, 2, 2, 4], [3, 3, 9, -1], [4, 0, 0, 0], [1, 2, 3, 4]])
INPUTS, COUNTS = np.array([9, 5, 1, 8]), np.array([4, 2, 1, 3])
ROW = np.concatenate([row[:n] for row, n in zip(TARGETS, COUNTS)])


def clean(targets, counts):
    """What PyTorch takes: no labels out of range after the targets."""
    return np.where(np.arange(targets.shape[1]) < np.asarray(counts)[:, None], targets, 1)


def loss(targets, inputs, counts, **options):
    def function(lib, x):
        given = targets if lib is genesis or targets.ndim == 1 else clean(targets, counts)
        return lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.tensor(given), lib.tensor(inputs), lib.tensor(counts),
                                          **options)

    return function


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("targets", [TARGETS, ROW], ids=["padded", "joined"])
def test_ctc_loss(targets, reduction):
    check_like_torch(loss(targets, INPUTS, COUNTS, reduction=reduction), LOGITS, rtol=2e-5)


def test_states_shared_by_many_work_items(monkeypatch):
    monkeypatch.setattr(genesis.device(), "type", "gpu")
    check_like_torch(loss(TARGETS, INPUTS, COUNTS), LOGITS, rtol=2e-5)
    x, targets = normal(60, 2, 7).astype(np.float32), np.random.default_rng(0).integers(1, 7, (2, 40))
    check_like_torch(loss(targets, np.array([60, 55]), np.array([40, 30])), x, rtol=2e-5)


def test_another_blank_and_empty_targets():
    check_like_torch(loss(TARGETS % 4, INPUTS, np.array([4, 0, 1, 2]), blank=4, reduction="none"), LOGITS, rtol=2e-5)
    check_like_torch(loss(TARGETS, INPUTS, np.array([0, 0, 0, 0])), LOGITS, rtol=2e-5)


def test_one_sequence():
    for inputs, counts in ((np.array(9), np.array(3)), (np.array([7]), np.array([3]))):
        check_like_torch(loss(np.array([1, 2, 2]), inputs, counts, reduction="none"), LOGITS[:, 0], rtol=2e-5)


def test_inputs_that_are_too_short():
    inputs = np.array([4, 5, 1, 0])                     # 1, 2, 2, 4 needs five steps
    x = leaf(LOGITS)
    losses = loss(TARGETS, inputs, COUNTS, reduction="none")(genesis, x)
    its = loss(TARGETS, inputs, COUNTS, reduction="none")(torch, torch.tensor(LOGITS)).numpy()
    close(losses, its)
    assert np.isinf(its[[0, 3]]).all()
    kept = loss(TARGETS, inputs, COUNTS, reduction="sum", zero_infinity=True)(genesis, x)
    close(kept, its[1:3].sum())
    kept.backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert not x.grad[:, 0].any()
    check_like_torch(loss(TARGETS, inputs, COUNTS, zero_infinity=True), LOGITS, rtol=2e-5)


def test_it_is_the_probability_of_all_alignments():
    chances = np.exp(LOGITS[:4, 0]) / np.exp(LOGITS[:4, 0]).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(5), repeat=4):
        read = [c for c, _ in itertools.groupby(path) if c]
        total += math.prod(chances[t, c] for t, c in enumerate(path)) if read == [2, 2] else 0
    x = f32(np.log(chances))
    close(F.ctc_loss(x, genesis.tensor([2, 2]), 4, 2, reduction="sum"), -math.log(total))


@needs_float64
def test_derivatives_are_exact():
    x = leaf(normal(4, 2, 3), genesis.float64)

    def function(a):
        return F.ctc_loss(a, genesis.tensor([[1, 1], [2, 1]]), [4, 3], [2, 2])

    assert autograd.gradcheck(function, (x,))
    assert autograd.gradgradcheck(function, (x,))


def test_impossible_classes_have_finite_gradients():
    x = LOGITS.copy()
    x[:, :, 3] = -np.inf
    y = leaf(x)
    losses = loss(TARGETS, INPUTS, COUNTS, reduction="none")(genesis, y)
    assert losses.isinf().tolist() == [False, True, False, True]
    losses[0].backward()
    assert np.isfinite(y.grad.numpy()).all()


def test_nan_is_not_taken_for_impossible():
    x, targets = genesis.full((4, 2, 3), float("nan")), genesis.tensor([[1], [2]])
    for options in ({}, {"zero_infinity": True}):
        assert F.ctc_loss(x, targets, [4, 4], [0, 1], reduction="none", **options).isnan().all()


def test_layer():
    mine, its = nn.CTCLoss(blank=1, zero_infinity=True), torch.nn.CTCLoss(blank=1, zero_infinity=True)
    assert repr(mine) == repr(its)
    x, targets = f32(LOGITS).log_softmax(2), np.array([[2, 3], [4, 4], [0, 2], [3, 2]])
    expected = its(torch.tensor(x.numpy()), torch.tensor(targets), (9, 9, 8, 3), (2, 2, 1, 2))
    close(mine(x, genesis.tensor(targets), (9, 9, 8, 3), (2, 2, 1, 2)), expected.numpy())
    assert mine(x.bfloat16(), genesis.tensor(targets), (9, 9, 8, 3), (2, 2, 1, 2)).dtype is genesis.bfloat16
    with pytest.raises(ValueError, match="reduction"):
        nn.CTCLoss(reduction="average")


def test_what_does_not_fit_is_told():
    x, targets = f32(LOGITS), genesis.tensor(clean(TARGETS, COUNTS))
    for error, call in ((RuntimeError, lambda: F.ctc_loss(x[0, 0], targets, INPUTS, COUNTS)),
                        (RuntimeError, lambda: F.ctc_loss(x.long(), targets, INPUTS, COUNTS)),
                        (RuntimeError, lambda: F.ctc_loss(x, targets.float(), INPUTS, COUNTS)),
                        (RuntimeError, lambda: F.ctc_loss(x, targets, INPUTS, COUNTS, blank=5)),
                        (RuntimeError, lambda: F.ctc_loss(x, targets, INPUTS[:3], COUNTS)),
                        (RuntimeError, lambda: F.ctc_loss(x, targets[:3], INPUTS, COUNTS)),
                        (RuntimeError, lambda: F.ctc_loss(x, genesis.tensor(ROW[1:]), INPUTS, COUNTS)),
                        (IndexError, lambda: F.ctc_loss(x, targets, INPUTS + 1, COUNTS).item()),
                        (IndexError, lambda: F.ctc_loss(x, targets, INPUTS, COUNTS + 1).item()),
                        (IndexError, lambda: F.ctc_loss(x, targets, INPUTS, np.array([-1, 1, 1, 1])).item()),
                        (IndexError, lambda: F.ctc_loss(x, targets + 1, INPUTS, COUNTS).item())):
        with pytest.raises(error):
            call()
