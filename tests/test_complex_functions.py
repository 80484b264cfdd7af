"""Functions, reductions and layers of complex tensors against NumPy's and PyTorch's, with their derivatives."""

import warnings

import numpy as np
import pytest

import genesis
from genesis.autograd import GradcheckError, gradcheck, gradgradcheck

torch = pytest.importorskip("torch")

WIDE = genesis.device().fp64
COMPLEX, REAL = ("complex128", "float64") if WIDE else ("complex64", "float32")
TOLERANCE = 1e-8 if WIDE else 2e-3
INF = float("inf")
FUNCTIONS = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh
    atanh sigmoid reciprocal sgn sinc square""".split()
NUMPYS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
          "atanh": "arctanh"}


def numbers(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def to(library, values, kind=COMPLEX):
    """A complex tensor, or a real one of the width of its parts."""
    real = {"complex128": "float64", "complex64": "float32"}[kind]
    return library.tensor(values, dtype=getattr(library, kind if np.iscomplexobj(values) else real))


def host(x):
    return x.detach().resolve_conj().numpy()


def derivatives(library, function, values, second, kind):
    """The results, their gradients, and second derivatives if they are wanted."""
    leaves = [to(library, v, kind).requires_grad_() for v in values]
    results = function(library, *leaves)
    results = [results] if hasattr(results, "requires_grad") else list(results)
    seeds = [seed_like(library, y, kind, 7) for y in results]
    first = library.autograd.grad(results, leaves, seeds, create_graph=second)
    found = [*results, *first]
    if second:
        again = [g for g in first if g.requires_grad]
        found += library.autograd.grad(again, leaves, [seed_like(library, g, kind, 9) for g in again])
    return [str(x.dtype).split(".")[1] for x in found], [host(x) for x in found]


def seed_like(library, y, kind, seed):
    values = numbers(*y.shape, seed=seed)
    return to(library, values if y.is_complex() else values.real, kind)


def compare(function, *values, second=False, kind="complex64", tolerance=5e-4):
    (kinds, mine), (its_kinds, its) = (derivatives(L, function, values, second, kind) for L in (genesis, torch))
    assert kinds == its_kinds
    for a, b in zip(mine, its):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def plane(*sizes):
    """All complex numbers with parts of these sizes, zeros of both signs among them."""
    parts = np.array([s * x for x in sizes for s in (1.0, -1.0)], REAL)
    z = np.empty((parts.size, parts.size), COMPLEX)
    z.real, z.imag = np.meshgrid(parts, parts)
    return z.ravel()


@pytest.mark.parametrize("kind", [COMPLEX, "complex64"] if WIDE else [COMPLEX])
def test_functions_have_the_values_of_c(kind):
    """On branch cuts, at infinities, and of numbers so large or small that a square is not finite."""
    # The zeros of sinc are not numbers of the type, near which its values are those of rounding.
    some = [f for f in FUNCTIONS if f != "sinc"] if kind == COMPLEX else "exp sqrt log asin atanh".split()
    largest = float(np.finfo(kind).max)
    grids = {True: plane(0, 1e-20, 0.3, 1.5, 3, 1e20, 0.4 * largest, INF), False: plane(0, 1e-20, 0.3, 1.5, 3, 50)}
    bits = 2.0 ** -16 if kind == "complex64" else 2.0 ** -42
    for name in some:
        z = grids[name.startswith(("log", "sqrt", "as", "ac", "at"))].astype(kind)
        mine = getattr(genesis, name)(to(genesis, z, kind)).numpy()
        with np.errstate(all="ignore"):
            its = reference(name, z.astype(np.complex128))
            size = np.where(np.isfinite(its), np.abs(its), 0)
            for part in ("real", "imag"):
                a, b = getattr(mine, part).astype(np.float64), getattr(its, part)
                b = np.where(np.abs(b) > largest, np.copysign(INF, b), b)
                known = ~np.isnan(b)                  # where C leaves a part of a result open it is NaN
                same = (a == b) | (np.abs(a - b) <= bits * np.maximum(np.abs(b), 1e-3 * size) + 1e-35)
                assert same[known].all(), (name, z[known & ~same][:3], a[known & ~same][:3], b[known & ~same][:3])
                if name in ("log", "sqrt", "asin", "acosh", "atanh"):
                    cut = (z.imag == 0) & known & (a == b)
                    assert (np.signbit(a) == np.signbit(b))[cut].all(), name


def reference(name, z):
    if name in ("rsqrt", "sigmoid"):
        return 1 / (np.sqrt(z) if name == "rsqrt" else 1 + np.exp(-z))
    if name == "sgn":
        return np.where(z == 0, 0, z / np.abs(np.where(z == 0, 1, z)))
    y = getattr(np, NUMPYS.get(name, name))(z)
    return np.where(np.abs(z) < 1e-9, z, y) if name == "log1p" else y       # NumPy's loses the small ones


# Each function with its derivative, and some with the second one, of which every kernel is another one.
@pytest.mark.parametrize(("names", "second"), [
    (FUNCTIONS, False), ("exp log sqrt tan acos atanh sgn".split(), WIDE),
    *(pytest.param(FUNCTIONS[i::3], WIDE, marks=pytest.mark.slow) for i in range(3))])
def test_functions_have_pytorchs_derivatives(names, second):
    z = np.array([0.3 + 0.4j, -1.2 + 0.7j, -0.6 - 1.1j, 1.4 - 0.2j, -2.1 + 0.1j])
    for name in names:
        compare(lambda L, z, name=name: getattr(L, name)(z), z, second=second, kind=COMPLEX, tolerance=TOLERANCE)


def test_derivatives_are_difference_quotients():
    if not WIDE:
        pytest.skip("the device has no float64")
    z, x = (to(genesis, v).requires_grad_() for v in (numbers(2), numbers(2, seed=1).real))
    assert gradcheck(lambda z, x: (z.acosh() * x, (z * x).abs()), (z, x))
    assert gradgradcheck(lambda z, x: z.sinc() * x + genesis.nn.functional.silu(z), (z, x))
    with pytest.raises(GradcheckError, match="backward says"):
        gradcheck(lambda z: z.detach() * z, z)


ZEROS = numbers(3, 4) * (np.arange(12).reshape(3, 4) % 5 > 0)
REDUCTIONS = {
    "prod": lambda L, z: (z.prod(), z.prod(1), z.prod(0, keepdim=True)),
    "cumprod": lambda L, z: z.cumprod(1),
    "statistics": lambda L, z: (z.var(1), z.std(), L.cov(z, aweights=to(L, np.arange(1.0, 5), "complex64"))),
    "norms": lambda L, z: (z.norm(3, 0), L.linalg.vector_norm(z, float("inf"), 1), L.linalg.matrix_norm(z, 1)),
    "logarithms": lambda L, z: (L.logsumexp(z, 1), L.logaddexp(z, 2 * z), (z / 9).logcumsumexp(0)),
    "mixtures": lambda L, z: (L.lerp(z, z[0] * 2, 0.3 + 0.1j), z.add(z.abs(), alpha=2j), L.addcmul(z, z, z, value=1j),
                              L.addcdiv(z, z, z + 9, value=2), (z + 9) ** z),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in ("statistics", "mixtures")))
                                  for name in REDUCTIONS])
def test_reductions_are_pytorchs(name):
    compare(REDUCTIONS[name], ZEROS if "pr" in name else numbers(3, 4))


LAYERS = {
    "conv1d": (lambda F, x, w, b: F.conv1d(x, w, b, stride=2, padding=1), numbers(2, 3, 6), numbers(4, 3, 3),
               numbers(4)),
    "conv2d": (lambda F, x, w, b: F.conv2d(x, w, b, padding="same", groups=2), numbers(4, 3, 4), numbers(2, 2, 3, 1),
               numbers(2)),
    "conv_transpose2d": (lambda F, x, w: F.conv_transpose2d(x, w, stride=2), numbers(1, 2, 2, 3), numbers(2, 3, 2, 2)),
    "unfold": (lambda F, x: F.fold(F.unfold(x, 2), (3, 4), (2, 2)), numbers(1, 2, 3, 4)),
    "activations": (lambda F, x: (F.softsign(x), F.tanhshrink(x), F.rms_norm(x, (4,))), numbers(3, 4)),
    "losses": (lambda F, x, y: (F.l1_loss(x, y), F.l1_loss(x, y, reduction="sum")), numbers(3, 4), numbers(4, 3).T),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "activations"))
                                  for name in LAYERS])
def test_layers_are_pytorchs(name):
    function, *values = LAYERS[name]
    compare(lambda L, *x: function(L.nn.functional, *x), *values)


def test_embeddings_of_complex_rows_have_the_gradients_of_indexing():
    table, seed, index = to(genesis, numbers(4, 3)).requires_grad_(), to(genesis, numbers(2, 2, 3)), [[1, 3], [1, 0]]
    y = genesis.nn.functional.embedding(genesis.tensor(index), table, padding_idx=3)
    np.testing.assert_array_equal(host(y), host(table)[index])
    (g,) = genesis.autograd.grad(y, table, seed)
    its = np.zeros((4, 3), complex)
    np.add.at(its, index, host(seed))
    its[3] = 0
    np.testing.assert_allclose(host(g), its, rtol=1e-5)


def test_places_and_rows_of_complex_tensors():
    z = numbers(4, 20)
    x = to(genesis, z)
    np.testing.assert_array_equal(x[[2, 0]].numpy(), x.numpy()[[2, 0]])
    assert genesis.tensor([0j, 1j, 2]).nonzero().tolist() == [[1], [2]]
    bad = genesis.tensor([complex(np.nan, 1), complex(INF, -INF)])
    assert bad.nan_to_num(0.5, 2.0, -3.0).tolist() == [0.5 + 1j, 2 - 3j]
    if WIDE:                                     # numbers beside tensors are not rounded to float32
        assert (genesis.ones((), dtype=genesis.complex128) * (1.1 + 1j)).item() == 1.1 + 1j
    drawn = genesis.empty(4000, dtype=genesis.cfloat).normal_(1.0, 2.0)
    assert abs(drawn.mean().item() - (1 + 1j)) < 0.2
    assert abs(drawn.var().item() - 4) < 0.4


def test_a_complex_window_is_undone():
    x, window = (to(genesis, numbers(n, seed=n)) for n in (40, 6))
    pieces = genesis.stft(x, 6, 2, window=window, onesided=False, return_complex=True)
    y = genesis.istft(pieces, 6, 2, window=window, onesided=False, return_complex=True, length=40)
    np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-3, atol=1e-3)
    with pytest.raises(RuntimeError, match="return_complex=True"):
        genesis.istft(pieces, 6, 2, window=window, onesided=False)


REFUSED = {
    "nansum": lambda z: z.nansum(), "nanmean": lambda z: z.nanmean(), "deg2rad": lambda z: z.deg2rad(),
    "igamma": lambda z: z.igamma(z), "entr": lambda z: genesis.special.entr(z), "cdist": lambda z: genesis.cdist(z, z),
    "erf": lambda z: z.erf(), "sign": lambda z: z.sign(), "mode": lambda z: z.mode(), "clamp": lambda z: z.clamp(0, 1),
    "dropout": lambda z: genesis.nn.functional.dropout(z), "scatter": lambda z: z.scatter_reduce(
        0, genesis.zeros(2, 2).long(), z, "amax"), "gelu": lambda z: genesis.nn.functional.gelu(z),
    "dropout2d": lambda z: genesis.nn.functional.dropout2d(z[None, None]), "normal": lambda z: genesis.normal(0.0, z),
    "conv": lambda z: genesis.nn.functional.conv1d(z[None], genesis.ones(1, 2, 1)), "isposinf": lambda z: z.isposinf(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_defined_is_an_error(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((RuntimeError, NotImplementedError), match=r"complex|one type"):
            REFUSED[name](genesis.ones(2, 2, dtype=genesis.cfloat))


def test_results_of_one_element_are_no_views():
    for call in (lambda z: z.cumprod(0), lambda z: z.logcumsumexp(0), lambda z: z.prod(0, True), lambda z: z.prod()):
        z = genesis.tensor([1 + 1j])
        call(z).add_(1)
        assert z.item() == 1 + 1j


def test_real_tensors_take_no_complex_factor():
    with pytest.raises(RuntimeError, match="alpha must not be complex"):
        genesis.ones(2).add(genesis.ones(2), alpha=1j)
