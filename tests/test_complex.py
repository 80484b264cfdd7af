"""Complex tensors against PyTorch's: values, derivatives, types, views, errors, optimizers, checkpoints."""

import numpy as np
import pytest

import genesis
from genesis import autograd, dtypes

torch = pytest.importorskip("torch")

WIDE = genesis.device().fp64
TOLERANCE = 1e-7 if WIDE else 2e-3


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def numbers(*shape, seed=0):
    return normal(*shape, seed=seed) + 1j * normal(*shape, seed=seed + 100)


def to(library, values):
    """A tensor in the widest type of the device."""
    values = np.asarray(values)
    if values.dtype.kind not in "fc":
        return library.tensor(values)
    names = ("complex128", "float64") if WIDE else ("complex64", "float32")
    return library.tensor(values, dtype=getattr(library, names[values.dtype.kind == "f"]))


def host(x):
    return x.detach().resolve_conj().numpy()


def results(library, function, values):
    """Value, and gradients of a real function of it; `test_rules` has second derivatives."""
    leaves = [to(library, v).requires_grad_() for v in values]
    y = function(library, *leaves)
    shape = tuple(y.shape)
    seed = to(library, numbers(*shape, seed=7) if y.is_complex() else normal(*shape, seed=7))
    first = library.autograd.grad(y, leaves, seed)
    kinds = [str(x.dtype).split(".")[1] for x in (y, *first)]
    return kinds, [host(y), *map(host, first)]


Z, W, X = numbers(3, 4), numbers(3, 4, seed=1), normal(3, 4, seed=2)
ROWS = np.array([0, 2, 0])


def assigned(L, z):
    out = L.zeros(5, 4, dtype=z.dtype)
    out[1:4] = z
    out[0, 0] = 2j
    out[L.tensor([4, 0])] = z[:2] * z[1:]
    return out * out


def with_parts(L, z, x):
    out = z * 1
    out.real = x
    out.imag *= 2
    return out * out


CASES = {
    **{name: (lambda L, z, name=name: getattr(L, name)(z), Z) for name in (
        "neg conj abs angle sgn square reciprocal exp log sqrt rsqrt sin cos tan sinh cosh tanh sigmoid".split())},
    "arithmetic": (lambda L, a, b: a * b - a / b + (2 - 1j) / a + 3 * b, Z, W[0]),
    "arithmetic_with_real": (lambda L, a, x: a * x - a / x + x / a + x * 2j, Z, X),
    "powers": (lambda L, a: a ** 2 + a ** 3 + a ** -1 + a ** 0.5 + a ** 5 + a ** 0 + a ** (1 + 1j), Z),
    "powers_of_tensors": (lambda L, a, b, x: a ** b + a ** x + 2.0 ** a, Z, W, X),
    "in_place": (lambda L, a, b: a.clone().add_(b, alpha=2).mul_(b), Z, W),
    "addcmul": (lambda L, a, b: L.addcmul(a, a, b, value=2), Z, W),
    "reductions": (lambda L, a: a.sum() + a.sum(1).mean() * a.cumsum(1) + a.norm() + a.var(), Z),
    "matmul": (lambda L, a, b: a @ b, numbers(2, 3, 4), numbers(4, 5)),
    "matmul_adjoint": (lambda L, a, b: a.mH @ b, numbers(4, 3), numbers(4, 5)),
    "vectors": (lambda L, a, b: L.outer(a, b) * L.dot(a, b) * L.vdot(a, b), Z[0], W[0]),
    "linear": (lambda L, a, w, b: L.nn.functional.linear(a, w, b), numbers(2, 3), numbers(4, 3), numbers(4)),
    "einsum": (lambda L, a, b: L.einsum("bixy,ioxy->boxy", a, b), numbers(2, 3, 4, 5), numbers(3, 2, 4, 5)),
    "view_as_real": (lambda L, z: L.view_as_real(z).permute(1, 2, 0), Z),
    "view_as_complex": (lambda L, x: L.view_as_complex(x) ** 2, normal(3, 2)),
    "parts": (lambda L, z: z.real * z.imag, Z),
    "complex": (lambda L, a, b: L.complex(a, b) ** 2, X, X[0]),
    "polar": (lambda L, a, b: L.polar(a.abs(), b), X, X[0]),
    "where": (lambda L, a, b: L.where(L.tensor(X > 0), a, b).masked_fill(L.tensor(X > 1), 1 + 2j), Z, W),
    "joining": (lambda L, a, b: L.stack([L.cat([a, b], 1), L.cat([b.split(2, 1)[1], a, b[:, :2]], 1)]), Z, W),
    "moving": (lambda L, a: L.nn.functional.pad(a.roll(1, 1).flip(0).mT.reshape(2, 6), (1, 2)).tril(), Z),
    "indexing": (lambda L, a: a[L.tensor(ROWS)][:, ::2] * a[L.tensor(X > 0)].sum() + a.expand(2, 3, 4)[1, :, 1:3], Z),
    "gathering": (lambda L, a, b: a.index_add(0, L.tensor(ROWS), b).gather(1, L.tensor([[0, 1], [1, 1], [3, 0]])),
                  Z, W),
    "assignment": (assigned, Z),
    "assignment_to_parts": (with_parts, Z, X),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_pytorchs(name):
    function, *values = CASES[name]
    mine, its = results(genesis, function, values), results(torch, function, values)
    assert mine[0] == its[0]
    for a, b in zip(mine[1], its[1]):
        np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)


def test_types_and_making():
    assert genesis.cfloat is genesis.complex64
    assert genesis.cdouble is genesis.complex128
    assert genesis.complex64.is_complex
    assert not genesis.complex64.is_floating_point
    assert genesis.complex64.to_real() is genesis.float32
    z = genesis.tensor([1 + 2j, 3.5])
    assert z.dtype is genesis.complex64
    assert z.is_complex()
    assert not z.is_floating_point()
    assert z.tolist() == [1 + 2j, 3.5]
    assert complex(z[0]) == 1 + 2j
    assert z[1].item() == 3.5 + 0j
    assert repr(z) == "tensor([1. +2.j, 3.5+0.j])"
    for make in (genesis.zeros, genesis.ones, genesis.empty, genesis.rand, genesis.randn):
        assert make(2, dtype=genesis.cfloat).dtype is genesis.cfloat
    assert genesis.full((2,), 1j).dtype is genesis.cfloat
    drawn = genesis.randn(4000, dtype=genesis.cfloat)
    assert abs(float(drawn.abs().square().mean()) - 1) < 0.1
    assert genesis.rand(9, dtype=genesis.cfloat).imag.min() >= 0
    with pytest.warns(UserWarning, match="imaginary"):
        assert z.float().tolist() == [1, 3.5]
    assert genesis.tensor([0j, 1j]).bool().tolist() == [False, True]
    assert genesis.ones(2).to(genesis.cfloat).tolist() == [1, 1]
    assert genesis.tensor(np.array([1j], np.complex64)).numpy().dtype == np.complex64


@pytest.mark.skipif(not WIDE, reason="the device has no float64")
def test_promotion_is_pytorchs():
    names = [d.name for d in dtypes.ALL + dtypes.COMPLEX]
    for a in names:
        for b in ("complex64", "complex128"):
            its = torch.promote_types(getattr(torch, a), getattr(torch, b))
            assert str(genesis.promote_types(getattr(genesis, a), getattr(genesis, b))) == str(its).replace(
                "torch", "genesis")
        if a != "float16":      # of which PyTorch makes its complex32
            mine, its = (L.ones(2, dtype=getattr(L, a)) * 1j for L in (genesis, torch))
            assert str(mine.dtype) == str(its.dtype).replace("torch", "genesis")


def test_views_share_memory():
    z = genesis.zeros(2, 3, dtype=genesis.cfloat)
    z.real[0] = 1
    z.imag = genesis.ones(3)
    genesis.view_as_real(z)[1, 2] = genesis.tensor([5.0, 6.0])
    assert z.tolist() == [[1 + 1j] * 3, [1j, 1j, 5 + 6j]]
    pairs = genesis.ones(4, 2)
    genesis.view_as_complex(pairs)[0] = 2j
    assert pairs[0].tolist() == [0, 2]
    assert z.mT.real.stride() == (2, 6)
    with pytest.raises(RuntimeError, match="contiguous"):
        genesis.view_as_complex(genesis.ones(2, 4).mT[..., :2])
    with pytest.raises(RuntimeError, match="size 2"):
        genesis.view_as_complex(pairs.mT)


def test_memory_is_shared_by_dlpack():
    z = genesis.tensor([1 + 2j, 3j])
    if z.device.type == "cpu":
        assert np.from_dlpack(z).tolist() == [1 + 2j, 3j]
    assert genesis.from_dlpack(np.array([1j, 2], np.complex64)).tolist() == [1j, 2]


def test_comparisons_and_closeness():
    a, b = genesis.tensor([1 + 2j, 3j]), genesis.tensor([1 + 2j, 3])
    assert (a == b).tolist() == [True, False]
    assert (a != b).tolist() == [False, True]
    assert a.allclose(a + 1e-7)
    assert not a.allclose(b)
    bad = genesis.tensor([complex(1, np.nan), complex(np.inf, 0), 1])
    assert bad.isnan().tolist() == [True, False, False]
    assert bad.isfinite().tolist() == [False, False, True]
    assert a.any()
    assert a.all()
    assert genesis.tensor([1j, 0]).count_nonzero() == 1
    assert a.isreal().tolist() == [False, False]
    assert genesis.tensor([-1.0, 2.0, np.nan]).angle().isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("name", "max argmax sort relu floor round softmax gelu median".split())
def test_what_has_no_meaning_is_an_error(name):
    z = genesis.tensor([1 + 2j, 3j])
    with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
        function = getattr(genesis, name, None) or getattr(genesis.nn.functional, name)
        function(z, 0) if name == "softmax" else function(z)
    with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
        assert z < z
    with pytest.raises(RuntimeError, match="real number"):
        z.requires_grad_().sum().backward()
    with pytest.raises(RuntimeError, match="complex"):
        genesis.ones(2)[0] = 1j


OPTIMIZERS = {"SGD": {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.01}, "Adam": {"lr": 0.1}, "AdamW": {"lr": 0.1}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_see_two_real_parameters(name):
    finals = []
    for L in (genesis, torch):
        weight = L.nn.Parameter(L.tensor(Z, dtype=L.complex64))
        plain = L.nn.Parameter(L.tensor(X[0], dtype=L.float32))
        optimizer = getattr(L.optim, name)([weight, plain], **OPTIMIZERS[name])
        for step in range(10):
            optimizer.zero_grad()
            loss = (weight * weight - L.tensor(W, dtype=L.complex64)).abs().square().sum() + plain.square().sum()
            loss.backward()
            assert weight.grad.is_complex()
            L.nn.utils.clip_grad_norm_([weight, plain], 5.0)
            optimizer.step()
            if step == 4:
                optimizer.load_state_dict(optimizer.state_dict())
        finals.append([host(weight), host(plain)])
    for a, b in zip(*finals):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="complex"):
        genesis.optim.Muon([genesis.nn.Parameter(genesis.ones(2, 2, dtype=genesis.cfloat))])


def test_checkpoints_hold_complex_tensors(tmp_path):
    z = genesis.tensor(Z, dtype=genesis.cfloat)
    genesis.save({"z": z, "dtype": genesis.cfloat}, tmp_path / "a.safetensors")
    loaded = genesis.load(tmp_path / "a.safetensors")
    assert loaded["dtype"] is genesis.cfloat
    assert (loaded["z"] == z).all()
    torch.save({"z": torch.tensor(Z, dtype=torch.complex64)}, tmp_path / "b.pt")
    assert (genesis.load(tmp_path / "b.pt")["z"] == z).all()
    if WIDE:
        with pytest.raises(TypeError, match="view_as_real"):
            genesis.save({"z": z.to(genesis.complex128)}, tmp_path / "c.safetensors")


def test_rotary_embedding_of_llama():
    def rotated(L, x):
        frequencies = L.outer(L.arange(5).float(), 1.0 / 10000 ** (L.arange(0, 8, 2).float() / 8))
        turns = L.polar(L.ones_like(frequencies), frequencies)[None, :, None]
        y = L.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2)) * turns
        return L.view_as_real(y).flatten(3)

    values = normal(2, 5, 3, 8)
    mine, its = (rotated(L, L.tensor(values, dtype=L.float32)) for L in (genesis, torch))
    np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-5, atol=1e-5)


def test_a_function_of_its_own_sees_complex_tensors():
    class Double(autograd.Function):
        @staticmethod
        def forward(ctx, z):
            return z * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    z = genesis.tensor(Z, dtype=genesis.cfloat, requires_grad=True)
    Double.apply(z).abs().square().sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), 8 * Z, rtol=1e-5)
