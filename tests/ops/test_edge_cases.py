"""Rarely used arguments and shapes, of which PyTorch's own tests make use: types, shapes, values and gradients."""

import numpy as np
import pytest
from helpers import check_like_torch, close, normal

import genesis

X = normal(5, 5).astype(np.float32)
V, ONE, NUMBER = X[0], np.float32([[1, 4]]), np.float32(2)
WHOLE, TRUTH = np.arange(25).reshape(5, 5) % 7, np.arange(25).reshape(5, 5) % 3 > 0

CASES = {          # (library, x, ...) -> a tensor or several, and the arrays
    "index_fill where indices are equal": (lambda t, x, v: x.index_fill(-1, t.tensor([0, 4, 4, 1, 1]), v), X, NUMBER),
    "index_fill of a 0-d tensor": (lambda t, x, v: x.index_fill(0, t.tensor([0]), v), NUMBER, V[0]),
    "index_reduce of 0-d tensors": (lambda t, x, v: x.index_reduce(0, t.tensor([0]), v, "mean"), NUMBER, V[0]),
    "cov of one row": (lambda t, x: (x.cov(), x.corrcoef()), ONE),
    "cov of float16 with float32 weights": (lambda t, x, w: x.to(t.float16).cov(aweights=w.abs()), WHOLE, V),
    "quantile by a tensor": (lambda t, x, q: x.quantile(q.abs() / 4, 1), X, V),
    "quantile of a 0-d tensor": (lambda t, x: x.quantile(0.5, 0, keepdim=True), NUMBER),
    "nanquantile by a tensor": (lambda t, x, q: x.nanquantile(q.abs() / 4, 0, keepdim=True), X, V),
    "nanquantile of a 0-d tensor": (lambda t, x: x.nanquantile(t.tensor([0.5, 1]), 0, keepdim=True), NUMBER),
    "unfold of a 0-d tensor": (lambda t, x: (x.unfold(0, 1, 1), x.unfold(0, 0, 1)), NUMBER),
    "addr of booleans": (lambda t, x: (x.addr(x[0], x[1]), x.addr(x[0], x[1], beta=False)), TRUTH),
    "angle": (lambda t, x: x.angle(), X),
    "histogram of nothing": (lambda t, x: tuple(x[:0].detach().histogram(2)), X),
    "tensor_split at places in a tensor": (lambda t, x: x.tensor_split(t.tensor([1, 3]), 1), X),
    "tensor_split by a 0-d tensor": (lambda t, x: x.tensor_split(t.tensor(2)), X),
    "narrow from a 0-d tensor": (lambda t, x: x.narrow(0, t.tensor(1), 2), X),
    "norm of singular values": (lambda t, x: (x.norm("nuc"), x.norm("nuc", (0, 1), keepdim=True)), X),
    "pinverse of nothing": (lambda t, x: x[:0, :0].pinverse(), X),
    "tensordot of a size of 1": (lambda t, x, y: t.tensordot(x, y, ([1], [0])), X, ONE),
    "tensordot of another size of 1": (lambda t, x, y: t.tensordot(y, x, ([0], [0])), WHOLE, np.int64([[2, 3]])),
    "einsum that sums integers": (lambda t, x: (t.einsum("ij->i", x.int()), t.einsum("ij,j->i", x.int(), x[0].int())),
                                  WHOLE),
    "sum_to_size of a 0-d tensor": (lambda t, x: x[0, 0].sum_to_size(()), TRUTH),
    "conversions by memory format": (lambda t, x: (x.half(memory_format=t.preserve_format), x.bool(
        memory_format=t.contiguous_format), t.clone(x, memory_format=t.preserve_format)), X),
    "arange of int64": (lambda t: (t.arange(0.9, 5.1, 1.5, dtype=t.int64), t.arange(-0.9, 2.0, 2.1, dtype=t.int32),
                                   t.arange(t.tensor(3)), t.arange(t.tensor(1.5)))),
    "linspace of integers": (lambda t: (t.linspace(4.3, -3, 10, dtype=t.int64), t.linspace(9.9, 7, 1, dtype=t.int32),
                                        t.logspace(0.5, 1.2, 4, dtype=t.int64))),
    "linspace from tensors": (lambda t: t.linspace(t.tensor(1), t.tensor(2.5), 4)),
    "linspace of complex numbers": (lambda t: t.linspace(1j, 2, 3)),
    "complex numbers scaled": (lambda t, x: (t.add(x * 1j, x, alpha=-0.5), t.sub(x, x * 1j, alpha=1.5),
                                             (x * 1j).addcdiv(x * 1j, x, value=2),
                                             (x * 1j).lerp(x * (2 + 0j), 0.3)), X),
    "numbers before tensors": (lambda t, x: (
        t.add(2, x, alpha=3), t.sub(1.5, x, alpha=2), t.subtract(1, x), t.mul(2, x), t.multiply(2, x), t.div(3, x),
        t.divide(3, x), t.true_divide(3, x), t.div(7.5, x, rounding_mode="trunc"), t.pow(2, x), t.remainder(2, x),
        t.floor_divide(7.5, x), t.xlogy(2, x.abs()), t.float_power(2, x).float(), t.add(2.5, x.half())), X),
    "numbers before integers": (lambda t, x: (
        t.add(2, x), t.sub(1.5, x), t.div(3, x), t.div(3, x, rounding_mode="floor"), t.pow(2, x), t.remainder(2, x),
        t.floor_divide(7, x), t.bitwise_and(3, x), t.bitwise_or(3, x), t.bitwise_xor(3, x), t.bitwise_left_shift(1, x),
        t.bitwise_right_shift(9, x), t.xlogy(2, x)), WHOLE + 1),
    "sinc near 0": (lambda t, x: x.sinc(), np.float32([1e-30, -1e-20, 1e-6, 1e-3, 0.05, -0.07, 0.09, 0.1, 1, 2.5, 0])),
    "nextafter": (lambda t, x, y: x.nextafter(y), V, np.float32([[2], [V[1]], [-np.inf]])),
    "gradient": (lambda t, x: t.gradient(x), X),
    "gradient of integers": (lambda t, x: t.gradient(x, spacing=2, dim=1), WHOLE),
    "gradient by distances": (lambda t, x: t.gradient(x, spacing=[0.5, -2], edge_order=2), X),
    "gradient by coordinates": (lambda t, x: t.gradient(x, spacing=(t.tensor([0, 1.5, 2, 4, 7]),), dim=-1), X),
    "gradient by coordinates at the edges": (lambda t, x: t.gradient(
        x, spacing=(t.tensor([0, 1.5, 2, 4, 7]),), dim=(0,), edge_order=2), X),
    "gradient of two values": (lambda t, x: t.gradient(x), V[:2]),
    "igamma": (lambda t, x, y: (x.abs().detach().igamma(y.abs()), t.igammac(x.abs().detach(), y.abs())), X, V),
    "igamma in place": (lambda t, x, y: (x.abs().detach().igamma_(y.detach().abs()), x.abs().detach().igammac_(
        y.detach().abs())), X + 0.5, V + 0.5),
    "narrow_copy": (lambda t, x: x.narrow_copy(1, 1, 2), X),
    "unsafe splits": (lambda t, x: (*x.unsafe_chunk(2), *t.unsafe_split(x, 2), *x.unsafe_split_with_sizes([4, 1])), X),
    "constant_pad_nd": (lambda t, x: t.constant_pad_nd(x, (1, 2, -1, 0), 3), X),
    "changes of a tensor itself": (lambda t, x: (
        t.as_strided_(x.clone(), (2, 3), (5, 2), 1), (x * 1j).conj_physical_(),
        t.resize_as_(x.detach().clone(), x[0])), X),
    "frombuffer": (lambda t: (t.frombuffer(bytearray(range(12)), dtype=t.int32, offset=4), t.frombuffer(
        bytearray(range(4)), dtype=t.uint8, count=3)),),
    "layers' functions": (lambda t, x: (t.conv_transpose3d(x.reshape(1, 1, 1, 5, 5), x[:, :3].reshape(1, 1, 1, 5, 3)),
                                        t.pdist(x)), X),
    "istft of what has no real signal": (lambda t, x: t.istft(t.view_as_complex(x.reshape(1, 4, 3, 2)), 4,
                                                              window=t.ones(4)), normal(24).astype(np.float32)),
}


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", CASES)
def test_edge_case_is_as_in_torch(name):
    function, *inputs = CASES[name] if isinstance(CASES[name], tuple) else (CASES[name],)
    check_like_torch(function, *inputs, rtol=2e-4, atol=1e-5)


def test_low_rank_matrices_are_found_by_projections():
    a = normal(3, 30, 4, seed=1) @ normal(4, 12, seed=2) + 1.0
    for x in (a, np.swapaxes(a, 1, 2).copy()):
        for function, mean, q in ((genesis.svd_lowrank, 0, 5), (genesis.pca_lowrank, x.mean(1, keepdims=True), 6)):
            u, s, v = function(genesis.tensor(x.astype(np.float32)))
            close(s[..., :5], np.linalg.svd(x - mean, compute_uv=False)[..., :5], rtol=1e-4, atol=1e-3)
            close((u * s.unsqueeze(-2)) @ v.mT, x - mean, rtol=1e-3, atol=1e-3)
            assert s.shape[-1] == 6
            assert function(genesis.tensor(x.astype(np.float32)), q)[1].shape[-1] == q
    with pytest.raises(ValueError, match="smaller size 3"):
        genesis.svd_lowrank(genesis.ones(3, 7), 4)
    with pytest.raises(ValueError, match="niter"):
        genesis.svd_lowrank(genesis.ones(3, 7), 2, -1)


def test_gradient_refuses_what_does_not_fit():
    x = genesis.ones(3, 4)
    for given, words in (({"dim": (0, 0)}, "twice"), ({"edge_order": 3}, "order"), ({"spacing": [1]}, "each"),
                         ({"edge_order": 2, "dim": 0, "spacing": [genesis.ones(2)]}, "coordinates")):
        with pytest.raises(RuntimeError, match=words):
            genesis.gradient(x, **given)
    with pytest.raises(RuntimeError, match="at least 3"):
        genesis.gradient(x[:2], edge_order=2)


def test_in_a_tensor_and_backwards():
    torch = pytest.importorskip("torch")
    for t in (genesis, torch):
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert 3 in x
        assert 5 not in x
        assert t.tensor(4.0) in x
        with pytest.raises(RuntimeError, match="ontain"):
            assert "3" in x
        assert reversed(x).tolist() == [[3.0, 4.0], [1.0, 2.0]]
