"""Second derivatives of every operation against PyTorch's and against finite differences."""

import numpy as np
import pytest
from helpers import needs_float64

import genesis
from genesis import autograd
from genesis.autograd.function import Adapter
from genesis.derivatives import find
from genesis.ops.operation import Operation

torch = pytest.importorskip("torch")


def normal(*shape, low=None, high=None, seed=0):
    """Normal numbers; between bounds, uniform ones."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) if low is None else rng.uniform(low, high, shape)


def positive(*shape, seed=0):
    return normal(*shape, low=0.2, high=2.0, seed=seed)


def unit(*shape, seed=0):
    return normal(*shape, low=0.05, high=0.95, seed=seed)


X, Y = normal(3, 5), normal(3, 5, seed=1)
ROW, COLUMN = normal(5, seed=2), normal(3, 1, seed=3)
INDEX = np.array([[0, 2, 2, 1], [1, 1, 0, 2]])
MASK = normal(3, 5, seed=9) > 0


def real(library):
    """The type that derivatives are compared in: PyTorch's results are rounded as the device's."""
    return library.float64 if genesis.device().fp64 else library.float32


def ints(library, values):
    """A constant of whole numbers, or of real ones."""
    values = np.asarray(values)
    return library.tensor(values, dtype=real(library)) if values.dtype.kind == "f" else library.tensor(values)


def _pairs(library, z):
    """Complex numbers as real ones; PyTorch's may still have to be conjugated."""
    return library.view_as_real(z.resolve_conj())


# name: a function of the library, its nn.functional and tensors; and the tensors' values.
ELEMENTWISE = {
    **{name: (lambda L, F, x, name=name: getattr(x, name)(), X) for name in (
        "exp exp2 expm1 sigmoid sin cos tanh sinh cosh asinh atan erf erfc abs square neg sign floor frac "
        "relu tan clone".split())},
    **{name: (lambda L, F, x, name=name: getattr(x, name)(), positive(3, 5)) for name in (
        "log log2 log10 log1p sqrt rsqrt reciprocal".split())},
    **{name: (lambda L, F, x, name=name: getattr(x, name)(), unit(3, 5)) for name in "asin acos atanh logit".split()},
    "acosh": (lambda L, F, x: x.acosh(), 1.1 + positive(3, 5)),
    "logit_eps": (lambda L, F, x: L.logit(x, 0.2), unit(3, 5)),
    **{name: (lambda L, F, x, name=name: getattr(F, name)(x), 2 * X) for name in (
        "gelu silu mish softplus logsigmoid softsign leaky_relu elu selu celu relu6 hardtanh hardswish "
        "hardshrink softshrink tanhshrink".split())},
    "hardsigmoid": (lambda L, F, x: F.hardsigmoid(x) if L is genesis else (x + 3).clamp(0, 6) / 6, 2 * X),
    "gelu_tanh": (lambda L, F, x: F.gelu(x, approximate="tanh"), 2 * X),
    "softplus_beta": (lambda L, F, x: F.softplus(x, 2.0, 3.0), 2 * X),
    "elu_alpha": (lambda L, F, x: F.elu(x, 0.7), 2 * X),
    "prelu": (lambda L, F, x, w: F.prelu(x, w), normal(3, 5, 2), positive(5)),
    "threshold": (lambda L, F, x: F.threshold(x, 0.3, 2.0) * x, X),
    "clamp": (lambda L, F, x: x.clamp(-0.5, 0.7) ** 2, X),
    "clamp_tensors": (lambda L, F, x, a, b: L.clamp(x, a, b) ** 3, X, ROW - 0.5, ROW + 0.5),
    "nan_to_num": (lambda L, F, x: x.nan_to_num() ** 3, X),
    "cast": (lambda L, F, x: x.to(L.float32).to(real(L)) ** 2, X),
    "add": (lambda L, F, x, y: (x + y) ** 2, X, ROW),
    "add_alpha": (lambda L, F, x, y: L.add(x, y, alpha=3) ** 2, COLUMN, ROW),
    "sub": (lambda L, F, x, y: (x - y) ** 3, COLUMN, ROW),
    "mul": (lambda L, F, x, y: x * y, X, ROW),
    "mul_self": (lambda L, F, x: x * x * x, X),
    "mul_number": (lambda L, F, x: 3.0 * x * x, X),
    "div": (lambda L, F, x, y: x / y, X, 0.5 + positive(5)),
    "div_number": (lambda L, F, x: 2.0 / x + x / 3.0, positive(3, 5)),
    "floor_divide": (lambda L, F, x, y: x.div(y, rounding_mode="floor") * x, X, positive(5)),
    "remainder": (lambda L, F, x, y: L.remainder(x, y) ** 2, X, positive(5)),
    "fmod": (lambda L, F, x, y: L.fmod(x, y) ** 2, X, positive(5)),
    "pow": (lambda L, F, x, y: x ** y, positive(3, 5), ROW),
    **{f"pow_{p}": (lambda L, F, x, p=p: x ** p, positive(3, 5)) for p in (0, 0.5, 1, 1.7, 2, 3, -1, -0.5, -2.5)},
    "pow_of_zero": (lambda L, F, x: x ** 3 + x ** 2, np.array([0.0, 1.0, -2.0])),
    "number_pow": (lambda L, F, x: 1.7 ** x, X),
    "maximum": (lambda L, F, x, y: L.maximum(x, y) ** 2, X, ROW),
    "minimum": (lambda L, F, x, y: L.minimum(x, y) ** 2, X, ROW),
    "fmax": (lambda L, F, x, y: L.fmax(x, y) ** 2, X, ROW),
    "fmin": (lambda L, F, x, y: L.fmin(x, y) ** 2, X, ROW),
    "hypot": (lambda L, F, x, y: L.hypot(x, y), X, ROW),
    "atan2": (lambda L, F, x, y: L.atan2(x, y), X, ROW),
    "xlogy": (lambda L, F, x, y: L.xlogy(x, y), X, positive(5)),
    "logaddexp": (lambda L, F, x, y: L.logaddexp(x, y), X, ROW),
    "copysign": (lambda L, F, x, y: L.copysign(x, y) ** 2, X, ROW),
    "addcmul": (lambda L, F, x, y, z: L.addcmul(x, y, z, value=0.7) ** 2, X, ROW, COLUMN),
    "addcdiv": (lambda L, F, x, y, z: L.addcdiv(x, y, z, value=0.7), X, ROW, positive(3, 1)),
    "lerp": (lambda L, F, x, y, w: L.lerp(x, y, w), X, Y, unit(3, 5)),
    "where": (lambda L, F, x, y: L.where(ints(L, MASK), x ** 2, y ** 3), X, ROW),
    "masked_fill": (lambda L, F, x: x.masked_fill(ints(L, MASK), 2.0) ** 3, X),
}

REDUCTIONS = {
    "sum": (lambda L, F, x: x.exp().sum((0, 2)), normal(2, 3, 4)),
    "sum_all": (lambda L, F, x: x.sum() ** 2, X),
    "mean": (lambda L, F, x: x.mean(1, keepdim=True) * x, X),
    "mean_all": (lambda L, F, x: x.mean() ** 3, X),
    "prod": (lambda L, F, x: x.prod(1), X),
    "prod_zero": (lambda L, F, x: x.prod(0), np.array([[0.0, 2.0], [3.0, 0.0], [1.0, 0.0]])),
    "prod_all": (lambda L, F, x: x.prod(), positive(7)),
    "amax": (lambda L, F, x: x.amax((0, 2)) ** 2, normal(2, 3, 4)),
    "amin": (lambda L, F, x: x.amin() ** 2, X),
    "max_dim": (lambda L, F, x: x.max(1)[0] ** 2, X),
    "min_dim": (lambda L, F, x: x.min(0, keepdim=True)[0] ** 2, X),
    "max_all": (lambda L, F, x: x.max() ** 3, X),
    "median": (lambda L, F, x: x.median(1)[0] ** 3, X),
    "topk": (lambda L, F, x: x.topk(2, 1)[0] ** 2, X),
    "sort": (lambda L, F, x: x.sort(1)[0] ** 2 * ints(L, np.arange(5)), X),
    "var": (lambda L, F, x: x.var(1), X),
    "var_all": (lambda L, F, x: x.var(correction=0), normal(2, 3, 4)),
    "std": (lambda L, F, x: x.std((0, 2), keepdim=True), normal(2, 3, 4)),
    **{f"norm_{p}": (lambda L, F, x, p=p: L.norm(x, p, 1) if L is genesis else L.linalg.vector_norm(x, p, 1), X)
       for p in (0, 1, 1.5, 2, 3, float("inf"), float("-inf"))},
    "norm_all": (lambda L, F, x: x.norm(), X),
    "logsumexp": (lambda L, F, x: x.logsumexp(1), X),
    "logsumexp_two": (lambda L, F, x: x.logsumexp((0, 2), keepdim=True), normal(2, 3, 4)),
    "softmax": (lambda L, F, x: x.softmax(0), X),
    "softmax_middle": (lambda L, F, x: x.softmax(1), normal(2, 3, 4)),
    "log_softmax": (lambda L, F, x: x.log_softmax(-1), X),
    "cumsum": (lambda L, F, x: x.cumsum(1) ** 2, X),
    "cumprod": (lambda L, F, x: x.cumprod(1), X),
    "cumprod_zero": (lambda L, F, x: x.cumprod(0), np.array([2.0, 0.0, 3.0, 0.0, 1.0])),
}

VIEWS = {
    "reshape": (lambda L, F, x: x.reshape(5, 3) ** 2, X),
    "transpose": (lambda L, F, x: x.t() ** 2, X),
    "permute": (lambda L, F, x: x.permute(2, 0, 1) ** 3, normal(2, 3, 4)),
    "expand": (lambda L, F, x: x.expand(2, 3, 5) ** 2, COLUMN),
    "unsqueeze": (lambda L, F, x: x.unsqueeze(1).squeeze(1) ** 2, X),
    "slice": (lambda L, F, x: x[1:, ::2] ** 2, X),
    "slice_none": (lambda L, F, x: x[None, 1, -2] ** 3, X),
    "narrow": (lambda L, F, x: x.narrow(1, 1, 3) ** 2, X),
    "cat": (lambda L, F, x, y: L.cat([x, y, x], 1) ** 3, X, COLUMN),
    "stack": (lambda L, F, x, y: L.stack([x, y], 1) ** 2, X, Y),
    "split": (lambda L, F, x: sum(p.sum(1) ** 2 for p in x.split(2, 1)), X),
    "chunk_one": (lambda L, F, x: x.chunk(3, 1)[1] ** 2, X),
    "unbind": (lambda L, F, x: x.unbind(0)[1] * x.unbind(0)[2], X),
    "diagonal": (lambda L, F, x: x.diagonal(1) ** 2, X),
    "diag": (lambda L, F, x: L.diag(x) @ L.diag(x), ROW),
    "tril": (lambda L, F, x: x.tril(1) ** 2, X),
    "flip": (lambda L, F, x: x.flip(1) ** 2 * x, X),
    "roll": (lambda L, F, x: x.roll(2, 1) * x * x, X),
    "pad": (lambda L, F, x: F.pad(x, (1, 2), value=0.5) ** 2, X),
    "unfold": (lambda L, F, x: x.unfold(1, 3, 1) ** 2, X),
    "repeat": (lambda L, F, x: x.repeat(2, 2) ** 2, X),
    "change_in_place": (lambda L, F, x: _in_place(L, x), X),
    "avg_pool2d": (lambda L, F, x: F.avg_pool2d(x, 2, 1) ** 2, normal(2, 3, 4, 5)),
    "max_pool2d": (lambda L, F, x: F.max_pool2d(x, 3, 2, 1) ** 2, normal(2, 3, 5, 6)),
    "max_pool1d": (lambda L, F, x: F.max_pool1d(x, 2) ** 2, normal(2, 3, 7)),
    "interpolate": (lambda L, F, x: F.interpolate(x, scale_factor=2, mode="bilinear") ** 2, normal(1, 2, 3, 4)),
    "index_select": (lambda L, F, x: x.index_select(1, ints(L, [0, 2, 2, 4])) ** 2, X),
    "gather": (lambda L, F, x: x.gather(1, ints(L, INDEX)) ** 3, X),
    "index": (lambda L, F, x: x[ints(L, [0, 2, 2])] ** 2, X),
    "index_pairs": (lambda L, F, x: x[ints(L, [0, 2, 2]), ints(L, [1, 1, 3])] ** 3, X),
    "index_mask": (lambda L, F, x: x[ints(L, MASK)] ** 2, X),
    "index_add": (lambda L, F, x, y: x.index_add(0, ints(L, [0, 2, 0, 1]), y, alpha=2) ** 2, X, normal(4, 5)),
    "index_copy": (lambda L, F, x, y: x.index_copy(0, ints(L, [2, 0]), y) ** 2, X, normal(2, 5)),
    "index_put": (lambda L, F, x, y: x.index_put((ints(L, [2, 0]),), y) ** 2, X, normal(2, 5)),
    "index_put_add": (lambda L, F, x, y: x.index_put((ints(L, [2, 2]),), y, accumulate=True) ** 2, X, normal(2, 5)),
    "scatter": (lambda L, F, x, y: x.scatter(1, ints(L, [[0, 3], [1, 2]]), y) ** 2, X, normal(2, 2)),
    "scatter_add": (lambda L, F, x, y: x.scatter_add(1, ints(L, INDEX), y) ** 2, X, normal(2, 4)),
    **{f"scatter_{reduce}{'' if own else '_alone'}": (lambda L, F, x, y, reduce=reduce, own=own: x.scatter_reduce(
        1, ints(L, INDEX), y, reduce, include_self=own) ** 3, X, normal(2, 4, seed=1))
       for reduce in ("amax", "amin", "mean", "prod") for own in (True, False)},
    "embedding": (lambda L, F, w: F.embedding(ints(L, INDEX), w) ** 2, normal(4, 3)),
    "embedding_padding": (lambda L, F, w: F.embedding(ints(L, INDEX), w, padding_idx=1) ** 2, normal(4, 3)),
}


def _in_place(L, x):
    y = x * 2
    y[1:, ::2] = x[:2, :3] ** 2
    y[0] *= x[1]
    y.mul_(x)
    y.exp_()
    return y


def sdpa(L, F, q, k, v, **options):
    return F.scaled_dot_product_attention(q, k, v, **options)


def norm(L, x, axes, function):
    """In PyTorch put together from means: the third derivatives of its fused normalizations are wrong."""
    if L is genesis:
        return function()
    centered = x - x.mean(axes, keepdim=True)
    return centered / ((centered * centered).mean(axes, keepdim=True) + 1e-5).sqrt()


def per_channel(w):
    return w.reshape(-1, 1, 1)


def recurrent(L, cell, both, x, weights):
    """All results of a layer, whose parameters are replaced by tensors with a history."""
    layer = getattr(L.nn, cell)(2, 4, bidirectional=both)
    if L is torch:
        names = [name for name, _ in layer.named_parameters()]
        y, last = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
    else:
        for (name, _), w in zip(list(layer.named_parameters()), weights, strict=True):
            del layer._parameters[name]
            object.__setattr__(layer, name, w)
        y, last = layer(x)
    return (y ** 2).sum() + sum((h ** 3).sum() for h in (last if isinstance(last, tuple) else (last,)))


QKV = normal(1, 4, 2, 3), normal(1, 4, 3, 3, seed=1), normal(1, 4, 3, 2, seed=2)

LAYERS = {
    "matmul": (lambda L, F, a, b: a @ b, normal(3, 4), normal(4, 5)),
    "matmul_batch": (lambda L, F, a, b: a @ b, normal(2, 1, 3, 4), normal(3, 4, 5)),
    "matmul_rows": (lambda L, F, a, b: a @ b, normal(2, 3, 4), normal(4, 5)),
    "matmul_vector": (lambda L, F, a, b: a @ b, normal(3, 4), normal(4)),
    "dot": (lambda L, F, a, b: L.dot(a, b) ** 2, normal(4), normal(4, seed=1)),
    "einsum": (lambda L, F, a, b: L.einsum("bij,bkj->bik", a, b), normal(2, 3, 4), normal(2, 5, 4)),
    "linear": (lambda L, F, x, w, b: F.linear(x, w, b), normal(2, 3, 4), normal(5, 4), normal(5)),
    "linear_plain": (lambda L, F, x, w: F.linear(x, w).tanh(), normal(3, 4), normal(5, 4)),
    "bilinear": (lambda L, F, x, y, w: F.bilinear(x, y, w), normal(3, 2), normal(3, 4), normal(5, 2, 4)),
    "conv1d": (lambda L, F, x, w, b: F.conv1d(x, w, b, padding=1), normal(2, 3, 7), normal(4, 3, 3), normal(4)),
    "conv2d": (lambda L, F, x, w, b: F.conv2d(x, w, b, stride=2, padding=1), normal(2, 3, 7, 6), normal(4, 3, 3, 2),
               normal(4)),
    "conv2d_groups": (lambda L, F, x, w: F.conv2d(x, w, None, dilation=2, groups=2), normal(2, 4, 7, 6),
                      normal(6, 2, 3, 2)),
    "conv2d_point": (lambda L, F, x, w: F.conv2d(x, w), normal(2, 3, 4, 5), normal(4, 3, 1, 1)),
    "conv_transpose2d": (lambda L, F, x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1),
                         normal(2, 3, 4, 5), normal(3, 4, 3, 2), normal(4)),
    "conv_transpose1d": (lambda L, F, x, w: F.conv_transpose1d(x, w, stride=2), normal(2, 3, 4), normal(3, 4, 3)),
    "layer_norm": (lambda L, F, x, w, b: F.layer_norm(x, (4, 5), w, b) if L is genesis else norm(
        L, x, (1, 2), None) * w + b, normal(3, 4, 5), normal(4, 5), normal(4, 5, seed=1)),
    "layer_norm_plain": (lambda L, F, x: norm(L, x, 1, lambda: F.layer_norm(x, (5,))), X),
    "layer_norm_bias": (lambda L, F, x, b: F.layer_norm(x, (5,), None, b) if L is genesis else norm(
        L, x, 1, None) + b, X, normal(5)),
    "rms_norm": (lambda L, F, x, w: F.rms_norm(x, (5,), w, 1e-5), X, normal(5)),
    "group_norm": (lambda L, F, x, w, b: F.group_norm(x, 2, w, b), normal(3, 4, 2, 3), normal(4), normal(4, seed=1)),
    "instance_norm": (lambda L, F, x, w, b: F.instance_norm(x, weight=w, bias=b) if L is genesis else norm(
        L, x, (2, 3), None) * per_channel(w) + per_channel(b), normal(3, 4, 2, 3), normal(4), normal(4, seed=1)),
    "batch_norm": (lambda L, F, x, w, b: F.batch_norm(x, None, None, w, b, True) if L is genesis else norm(
        L, x, (0, 2, 3), None) * per_channel(w) + per_channel(b), normal(3, 4, 2, 3), normal(4), normal(4, seed=1)),
    "batch_norm_rows": (lambda L, F, x: norm(L, x, 0, lambda: F.batch_norm(x, None, None, training=True)),
                        normal(5, 3)),
    "batch_norm_eval": (lambda L, F, x, w, b: F.batch_norm(x, ints(L, ROW[:4]), ints(L, ROW[:4] ** 2 + 0.5), w, b),
                        normal(3, 4, 2, 3), normal(4), normal(4, seed=1)),
    "attention": (sdpa, *QKV),
    "attention_causal": (lambda L, F, *x: sdpa(L, F, *x, is_causal=True), *QKV),
    "attention_mask": (lambda L, F, *x: sdpa(L, F, *x, attn_mask=ints(L, normal(2, 3))), *QKV),
    "attention_groups": (lambda L, F, *x: sdpa(L, F, *x, enable_gqa=True, scale=0.3), QKV[0], normal(1, 2, 3, 3),
                         normal(1, 2, 3, 2)),
    **{f"{cell}{'_bidirectional' if both else ''}": (
        lambda L, F, x, *w, cell=cell, both=both: recurrent(L, cell, both, x, w), normal(3, 2, 2),
        *[normal(*shape, seed=i) / 2
          for i, shape in enumerate([(4 * n, 2), (4 * n, 4), (4 * n,), (4 * n,)] * (1 + both))])
       for cell, n in (("RNN", 1), ("LSTM", 4), ("GRU", 3)) for both in (False, True)},
    "mse_loss": (lambda L, F, x, t: F.mse_loss(x, t), X, Y),
    "mse_sum": (lambda L, F, x, t: F.mse_loss(x, t, reduction="sum"), X, Y),
    "mse_each": (lambda L, F, x, t: F.mse_loss(x, t, reduction="none"), X, Y),
    "l1_loss": (lambda L, F, x, t: F.l1_loss(x ** 2, t), X, Y),
    "huber_loss": (lambda L, F, x, t: F.huber_loss(x, t, delta=0.7), X, Y),
    "smooth_l1_loss": (lambda L, F, x, t: F.smooth_l1_loss(x, t, beta=0.7), X, Y),
    "bce": (lambda L, F, x, t: F.binary_cross_entropy(x, t) if L is genesis else -(
        t * x.log() + (1 - t) * (1 - x).log()).mean(), unit(3, 5), unit(3, 5, seed=1)),
    "bce_logits": (lambda L, F, x, t: F.binary_cross_entropy_with_logits(x, t), X, unit(3, 5)),
    "bce_logits_weighted": (lambda L, F, x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=ints(
        L, positive(5))), X, unit(3, 5)),
    "kl_div": (lambda L, F, x, t: F.kl_div(x, t, reduction="sum"), X, unit(3, 5)),
    "kl_div_log": (lambda L, F, x, t: F.kl_div(x, t, log_target=True, reduction="batchmean"), X, Y),
    "nll_loss": (lambda L, F, x: F.nll_loss(x ** 2, ints(L, [0, 4, 2]), ints(L, positive(5))), X),
    "nll_each": (lambda L, F, x: F.nll_loss(x ** 2, ints(L, [0, -100, 2]), reduction="none"), X),
    "cross_entropy": (lambda L, F, x: F.cross_entropy(x, ints(L, [0, 4, 2])), X),
    "cross_entropy_options": (lambda L, F, x: F.cross_entropy(
        x, ints(L, [0, 4, -100]), ints(L, positive(5)), label_smoothing=0.2), X),
    "cross_entropy_sum": (lambda L, F, x: F.cross_entropy(x, ints(L, [[0, 1], [2, 2]]), reduction="sum"),
                          normal(2, 3, 2)),
    "cross_entropy_each": (lambda L, F, x: F.cross_entropy(
        x, ints(L, [[0, 1], [2, 1]]), reduction="none", ignore_index=1, label_smoothing=0.1), normal(2, 3, 2)),
    "cross_entropy_probabilities": (lambda L, F, x: F.cross_entropy(
        x, ints(L, unit(3, 5)), ints(L, positive(5)), label_smoothing=0.1), X),
    # Put together from others.
    "conv3d": (lambda L, F, x, w, b: F.conv3d(x, w, b, padding=1, stride=(1, 2, 1)), normal(1, 2, 3, 4, 3),
               normal(3, 2, 2, 2, 3), normal(3)),
    "conv_transpose3d": (lambda L, F, x, w, b: F.conv_transpose3d(x, w, b, stride=(2, 1, 1)), normal(1, 2, 2, 2, 2),
                         normal(2, 2, 2, 1, 2), normal(2)),
    "unfold_blocks": (lambda L, F, x: F.unfold(x ** 2, 2, stride=2, padding=1), normal(1, 2, 3, 4)),
    "max_pool3d": (lambda L, F, x: F.max_pool3d(x, 2, 1) ** 2, normal(2, 3, 3, 3)),
    "fold": (lambda L, F, x: F.fold(x ** 2, (4, 3), 2), normal(1, 8, 6)),
    "embedding_bag": (lambda L, F, w: F.embedding_bag(ints(L, [0, 1, 2, 1]), w ** 2, ints(L, [0, 3]), mode="mean")
                      if L is genesis else L.stack([(w ** 2).mean(0), w[1] ** 2]), X),
    "cosine_similarity": (lambda L, F, x, y: F.cosine_similarity(x, y), X, Y),
    "local_response_norm": (lambda L, F, x: F.local_response_norm(x, 2, 0.5), normal(2, 4, 3)),
    "triplet_margin_loss": (lambda L, F, x, y, z: F.triplet_margin_loss(x, y, z, swap=True), X, Y, X + 1.5 * Y),
    "multi_margin_loss": (lambda L, F, x: F.multi_margin_loss(x, ints(L, [0, 4, 2]), p=2) if L is genesis else ((
        1 - x.gather(1, ints(L, [[0], [4], [2]])) + x).relu() ** 2 * ints(L, 1.0 - np.eye(5)[[0, 4, 2]])).sum(1).mean()
                          / 5, X),
    "complex_parts": (lambda L, F, x, y: _pairs(L, L.complex(x, y) / (L.complex(y, x) ** 2).conj() * x), X, 1.5 + Y),
    "complex_sizes": (lambda L, F, x, y: L.complex(x, y).abs() * L.complex(x, y).angle() + _pairs(
        L, L.complex(x, y).sgn()).sum(-1), X, Y),
    "complex_matmul": (lambda L, F, x: _pairs(L, L.view_as_complex(x) @ L.view_as_complex(x).mH), normal(3, 4, 2)),
    "fft": (lambda L, F, x: _pairs(L, L.fft.fft(L.fft.rfft(x, 4), dim=0)) ** 2, X),
    "irfft": (lambda L, F, x: L.fft.irfft(L.view_as_complex(x), 5) ** 2, normal(3, 3, 2)),
    "gaussian_nll_loss": (lambda L, F, x, y, v: F.gaussian_nll_loss(x, y, v), X, Y, positive(3, 5)),
}

CASES = {**ELEMENTWISE, **REDUCTIONS, **VIEWS, **LAYERS}


def second_derivatives(library, function, values, functional):
    """Value, gradients, and the gradients of a function of the gradients, as arrays."""
    dtype = real(library)
    leaves = [library.tensor(v, dtype=dtype).requires_grad_() for v in values]
    y = function(library, functional, *leaves)
    seed = library.tensor(normal(*y.shape, seed=7), dtype=dtype).requires_grad_()
    nothing = sum((x * 0).sum() for x in leaves)        # so that what does not depend on them can be differentiated too
    options = {"create_graph": True, "allow_unused": True}
    found = library.autograd.grad(y, leaves, seed, **options)
    grads = [g for g in found if g is not None]
    total = sum((g * library.tensor(normal(*g.shape, seed=11 + i), dtype=dtype)).sum() + 0.5 * (g * g).sum()
                for i, g in enumerate(grads)) + nothing
    second = library.autograd.grad(total, [*leaves, seed], **options)
    third = library.autograd.grad(sum((g * g).sum() for g in second if g is not None) + nothing, leaves,
                                  allow_unused=True)
    return [None if x is None else x.detach().numpy() for x in (y, *found, *second, *third)]


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_pytorchs(name):
    function, *values = CASES[name]
    mine = second_derivatives(genesis, function, values, genesis.nn.functional)
    its = second_derivatives(torch, function, values, torch.nn.functional)
    tolerance = 1e-6 if genesis.device().fp64 else 2e-3
    if name == "cast":
        tolerance = 1e-4
    for a, b in zip(mine, its, strict=True):
        zero = np.zeros(()) if a is None or b is None else None      # an unused input and one with a gradient of zeros
        np.testing.assert_allclose(zero if a is None else a, zero if b is None else b, rtol=tolerance, atol=tolerance)


# Kinks and jumps, of which differences know nothing; and what is rounded to float32 on its way.
NOT_SMOOTH = {"sign", "floor", "frac", "floor_divide", "prod_zero", "pow_of_zero", "cast"}
# Many parameters, for each of which a function of many launches would run again.
SLOW = {"LSTM", "GRU", "RNN_bidirectional", "LSTM_bidirectional", "GRU_bidirectional"}


@needs_float64
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LAYERS else ())
                                  for name in CASES if name not in NOT_SMOOTH | SLOW])
def test_second_derivatives_are_difference_quotients(name):
    function, *values = CASES[name]
    leaves = [genesis.tensor(v, dtype=genesis.float64, requires_grad=True) for v in values]
    assert autograd.gradgradcheck(lambda *x: function(genesis, genesis.nn.functional, *x), leaves, atol=1e-4)


@needs_float64
def test_scattered_products_have_all_derivatives_where_factors_are_zero():
    x, y = normal(3, 5), normal(2, 4, seed=1)
    x[0, 0] = y[0, 1] = y[0, 2] = y[1, 3] = 0              # two factors of one product, and one and only one of others
    leaves = [genesis.tensor(v, dtype=genesis.float64, requires_grad=True) for v in (x, y)]
    for dim in (0, 1):
        def function(x, y, dim=dim):
            return x.scatter_reduce(dim, genesis.tensor(INDEX), y, "prod").sum(dim).sin()

        assert autograd.gradcheck(function, leaves)
        assert autograd.gradgradcheck(function, leaves, atol=1e-4)


def operations():
    waiting, found = [Operation], set()
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += operation.__subclasses__()
    return sorted((o for o in found if o.__module__.startswith("genesis.ops.") and o is not Operation),
                  key=lambda o: o.__name__)


@pytest.mark.parametrize("operation", operations())
def test_every_operation_has_a_rule(operation):
    abstract = operation.backward.__func__ is Operation.backward.__func__ or operation.__subclasses__()
    if not abstract and not issubclass(operation, Adapter):
        assert find(operation) is not None


def packed(L, F, x, is_causal, heads=2):
    """Self-attention of queries, keys and values side by side; in PyTorch of the parts."""
    if L is genesis:
        from genesis.nn.functional.attention import packed_self_attention

        return packed_self_attention(x, heads, is_causal=is_causal)
    batch, rows, width = x.shape
    q, k, v = x.reshape(batch, rows, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if is_causal:
        scores = scores.masked_fill(L.ones(rows, rows).tril() == 0, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, rows, width // 3)


@pytest.mark.parametrize("is_causal", [False, True])
def test_packed_attention(is_causal):
    case = (lambda L, F, x: packed(L, F, x, is_causal=is_causal), [normal(2, 3, 12)])
    mine = second_derivatives(genesis, *case, genesis.nn.functional)
    its = second_derivatives(torch, *case, torch.nn.functional)
    tolerance = 1e-6 if genesis.device().fp64 else 2e-3
    for a, b in zip(mine, its, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_derivatives_are_finite_where_formulas_divide_by_zero():
    x = genesis.zeros(2, 3, requires_grad=True)
    for function in (lambda x: x.norm(dim=1), lambda x: x.std(1), lambda x: x.norm(3, dim=1), lambda x: x ** 3,
                     lambda x: genesis.atan2(x, x), lambda x: x.prod(1)):
        (g,) = autograd.grad(function(x).sum(), x, create_graph=True)
        (h,) = autograd.grad((g ** 2).sum(), x, allow_unused=True, materialize_grads=True)
        assert g.isfinite().all()
        assert h.isfinite().all()


@pytest.mark.parametrize("dtype", [genesis.bfloat16, genesis.float16])
@pytest.mark.parametrize("name", ["gelu", "mul", "softmax", "matmul_rows", "linear", "conv2d", "layer_norm", "LSTM",
                                  "group_norm", "batch_norm", "attention", "cross_entropy", "var", "norm_2", "prod",
                                  "embedding"])
def test_16_bits_follow_float32(name, dtype):
    function, *values = CASES[name]
    results = []
    for kind in (dtype, genesis.float32):
        leaves = [genesis.tensor(v, dtype=kind, requires_grad=True) for v in values]
        y = function(genesis, genesis.nn.functional, *leaves)
        grads = autograd.grad(y.sum(), leaves, create_graph=True)
        second = autograd.grad(sum((g.float() ** 2).sum() for g in grads), leaves, allow_unused=True,
                               materialize_grads=True)
        assert {x.dtype for x in (*grads, *second)} == {kind}
        results.append([x.detach().float().numpy() for x in (*grads, *second)])
    for low, high in zip(*results):
        np.testing.assert_allclose(low, high, rtol=0.1, atol=0.06 * max(1.0, np.abs(high).max()))
