"""Rules of losses."""

from __future__ import annotations

from typing import Any

from ..joining import cat, stack
from ..ops import ctc, loss, nll, pair_loss
from ..ops.array import Array
from ..ops.operation import Context
from ..tensor import Tensor
from .rules import fitted, linear, passing, rule, vjp, where, zeros

# The logarithm of 0: sums of it stay finite, so that no gradient is NaN.
_NEVER = -1e30


def _mse(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    d = 2 * (x - t)
    return d, -d


def _l1(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    d = (x - t).sign()
    return d, -d


def _huber(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    d = (x - t).clamp(-p, p)
    return d, -d


def _smooth_l1(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    d = ((x - t) / p).clamp(-1.0, 1.0)
    return d, -d


def _bce(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    return (x - t) / ((1 - x) * x).clamp(min=1e-12), (-x).log1p() - x.log()


def _bce_logits(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    return x.sigmoid() - t, -x


def _kl(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    return -t, t.log() + 1 - x


def _kl_log(x: Any, t: Any, p: float) -> tuple[Any, Any]:
    return -t.exp(), t.exp() * (t - x + 1)


# By loss its derivatives with respect to prediction and target, given the loss's parameter.
_SLOPES = {"mse": _mse, "l1": _l1, "huber": _huber, "smooth_l1": _smooth_l1, "bce": _bce, "bce_logits": _bce_logits,
           "kl": _kl, "kl_log": _kl_log}


@rule(pair_loss.PairLoss, saved=(0, 1))
def _pair_loss(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    x, t = ctx.saved
    g = g * ctx.scale
    return tuple([fitted(g * slope, shape, dtype) if need else None for slope, need, shape, dtype in zip(
        _SLOPES[ctx.loss](x, t, ctx.parameter), ctx.needs, ctx.shapes, ctx.dtypes)])


@rule(pair_loss.WeightedLogits, saved=(0, 1, 2))
def _weighted_logits(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    x, t, weight = ctx.saved
    gx = gt = None
    if ctx.needs[0]:
        gx = fitted(g * (1 - t - (1 + (weight - 1) * t) * (-x).sigmoid()), ctx.shapes[0], ctx.dtypes[0])
    if ctx.needs[1]:
        soft = (-x.abs()).exp().log1p() + passing(x <= 0, -x)
        gt = fitted(g * ((weight - 1) * soft - x), ctx.shapes[1], ctx.dtypes[1])
    return gx, gt


@rule(nll.NLL)
def _nll(ctx: Any, g: Tensor) -> Tensor:
    (target, weight, _), plain = ctx.plain.saved, ctx.plain
    options = {"ignore_index": ctx.tail[2], "reduction": ctx.reduction}

    def there(a: Array) -> Array:
        gradient = nll.NLL.backward(plain, a)[0]
        assert gradient is not None
        return gradient

    return linear(g, there, lambda a: nll.NLL.forward(Context((False,)), a, target, weight, **options))


@rule(loss.CrossEntropy, saved=(0,))
def _cross_entropy(ctx: Any, g: Tensor) -> Tensor:
    """The loss is minus the sum of shares, which do not depend on the logits, times the log-probabilities."""
    logits, target, weight, _, divisor = ctx.saved
    ignore_index, mean, each, smoothing = ctx.options
    if ctx.plan is None:
        return zeros(logits)
    axis, wide = 1 if logits.ndim > 1 else 0, logits.to(divisor.dtype)
    shares = _shares(wide.detach(), target, weight, axis, ignore_index, smoothing)
    if mean:
        shares = shares / divisor
    if each:
        g = g.unsqueeze(axis)
    return (g * (wide.softmax(axis) * shares.sum(axis, True) - shares)).to(logits.dtype)


def _shares(logits: Tensor, target: Any, weight: Any, axis: int, ignore_index: int, smoothing: float) -> Any:
    """What each class counts in its row's loss."""
    classes = logits.shape[axis]
    weights = None if weight is None else weight.reshape(-1, *[1] * (logits.ndim - 1 - axis))
    if target.dtype.is_floating_point:
        shares = (1 - smoothing) * target + smoothing / classes
        return shares if weights is None else shares * weights
    known: Any = target != ignore_index
    index = where(known, target, 0).unsqueeze(axis)
    hit = zeros(logits).clone().scatter(axis, index, value=1.0)
    shares = (1 - smoothing) * hit + smoothing / classes
    if weights is not None:
        shares = shares * weights
    return passing(known.unsqueeze(axis), shares)


@rule(ctc.CTC, saved=(0,))
def _ctc(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    x, states, lengths, counts = ctx.saved[:4]
    return (*vjp(lambda x: _ctc_loss(x, states, lengths, counts, ctx.sizes[-1]), (x,), g), None, None, None)


def _ctc_loss(x: Any, states: Any, lengths: Any, counts: Any, blank: int) -> Any:
    """The losses step by step; 0 where they are infinite."""
    samples, width = states.shape
    never = x.new_full((samples, 2), _NEVER)
    emitted = x.gather(2, states.unsqueeze(0).expand(x.shape[0], samples, width)).clamp_min(_NEVER)
    # From a label to the next without a blank between them, if they differ.
    skips = (states[:, 2:] != blank).logical_and(states[:, 2:] != states[:, :-2])
    into = cat([never[:, :width], where(skips, 0.0, _NEVER).to(x.dtype)], 1)
    alphas = [emitted[0] + cat([0 * never, never.expand(samples, 2).repeat(1, width // 2)], 1)[:, :width]]
    for here in emitted[1:].unbind(0):
        same = cat([never, alphas[-1]], 1)
        alphas.append(here + stack([same[:, 2:], same[:, 1:-1], same[:, :-2] + into], 0).logsumexp(0))
    index = (lengths - 1).clamp_min(0).reshape(1, samples, 1).expand(1, samples, width)
    ends = stack(alphas, 0).gather(0, index).squeeze(0)
    last = ends.gather(1, stack([2 * counts, (2 * counts - 1).clamp_min(0)], 1))
    empty = counts.eq(0).to(x.dtype) * _NEVER                  # without labels there is one last state
    losses = -(last + stack([0 * empty, empty], 1)).logsumexp(1)
    return passing((losses.detach() < -_NEVER / 2).logical_and(lengths > 0), losses)
