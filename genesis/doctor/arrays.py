"""Checks of the operations on arrays: elementwise, reductions, products, indexing, sorting, scans, random numbers."""

from __future__ import annotations

import numpy as np

import genesis

from ..ops import matmul_amx
from ..ops.array import empty
from ..ops.matmul import by_amx, by_blocks
from ..ops.random import dropout_rows
from .bench import Bench, Checks

ARRAYS = Checks()

# The first numbers of seed 0, as genesis.rand gives them on every device.
STREAM = [float.fromhex(x) for x in ("0x1.088a2ap-1", "0x1.e11adcp-1", "0x1.e338p-5", "0x1.07f0eap-1", "0x1.94f9ecp-1")]


@ARRAYS.add("elementwise")
def elementwise(b: Bench) -> None:
    """Arithmetic, functions, comparisons and conversions, with gaps and with broadcasting."""
    for n in b.edges:
        x, y = b.normal(n), b.normal(n)
        b.gradients(f"x * y + tanh(x), n = {n}", lambda x, y: x * y + x.tanh(), lambda x, y: x * y + np.tanh(x), x, y)
    x, row, column = b.normal(33, 7), b.normal(7), b.normal(33, 1)
    b.gradients("broadcasting", lambda x, r, c: x * r / (c * c + 1), lambda x, r, c: x * r / (c * c + 1), x, row,
                column)
    b.gradients("a transposed view", lambda x: (x.T * 2 - x.T.square()).contiguous(), lambda x: 2 * x.T - x.T ** 2, x)
    x = b.normal(2, 67, 131)                    # odd tiles at the edges
    b.compare("transposed copies", b.tensor(x, pad=3).permute(2, 0, 1).contiguous(), x.transpose(2, 0, 1), 0)
    positive = np.abs(b.normal(65)) + 0.5
    functions = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "abs": np.abs,
                 "log1p": np.log1p, "expm1": np.expm1, "square": np.square, "reciprocal": np.reciprocal}
    for name in list(functions)[:3 if b.small else None]:
        b.gradients(name, lambda x, name=name: getattr(x, name)(), functions[name], positive)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, 1e30, -1.5])
    t = b.tensor(special, pad=3)
    b.compare("isnan", t.isnan(), np.isnan(special), 0)
    b.compare("isfinite", t.isfinite(), np.isfinite(special), 0)
    b.compare("maximum keeps NaN", t.maximum(b.tensor(np.zeros(8))), np.maximum(special, 0))
    whole = b.rng.integers(-1000, 1000, 65)
    t = b.tensor(whole, pad=3)
    b.compare("integers", t * 3 - t // 7 + t % 5, whole * 3 - whole // 7 + whole % 5, 0)
    b.compare("where", genesis.where(t > 0, t, -t), np.abs(whole), 0)
    for kind in (genesis.float16, genesis.bfloat16):
        narrow = b.tensor(b.normal(65), kind, pad=3)
        held = narrow.numpy().astype(np.float32)
        b.compare(f"{kind}", (narrow * narrow).float(), (held * held).astype(kind.numpy).astype(np.float32), 0)


@ARRAYS.add("fourier")
def fourier(b: Bench) -> None:
    """Complex arithmetic, and Fourier transforms along rows and columns, of small prime factors and of large ones."""
    x, y = b.normal(33, 2), b.normal(33, 2)
    z = genesis.view_as_complex(b.tensor(x, pad=4)) / genesis.view_as_complex(b.tensor(y))
    b.compare("a quotient", genesis.view_as_real(z), _pairs((x[:, 0] + 1j * x[:, 1]) / (y[:, 0] + 1j * y[:, 1])))
    for n in (1, 12, b.size(1024, 32), 17, b.size(6144, 34)):
        x = b.normal(3, n)
        for name, axis, values in (("rows", 1, x), ("columns", 0, x.T)):
            t = b.tensor(values, pad=3)
            b.compare(f"fft of {n} along {name}", genesis.view_as_real(genesis.fft.fft(t, dim=axis)) / n ** 0.5,
                      _pairs(np.fft.fft(values, axis=axis)) / n ** 0.5)
            half = genesis.fft.rfft(t, dim=axis)
            b.compare(f"irfft of {n} along {name}", genesis.fft.irfft(half, n, dim=axis), values)


def _pairs(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], -1)


@ARRAYS.add("reduce")
def reduce(b: Bench) -> None:
    """Sums, means, extrema and their positions, norms and variances, over rows and over columns."""
    for n in b.edges:
        x = b.normal(n)
        b.gradients(f"sum of {n}", lambda x: x.sum(), np.sum, x)
    for shape in ((33, b.size(65, 3)), (b.size(65, 3), 33), (3, 17, 5), (b.size(5003, 300), 18)):
        x = b.normal(*shape)
        for axis in (0, len(shape) - 1):
            of = f"{shape} along {axis}"
            b.gradients(f"mean of {of}", lambda x, axis=axis: x.mean(axis), lambda x, axis=axis: x.mean(axis), x)
            t = b.tensor(x, pad=3)
            b.compare(f"amax of {of}", t.amax(axis), x.max(axis), 0)
            b.compare(f"argmin of {of}", t.argmin(axis), x.argmin(axis), 0)
            b.compare(f"max of {of}", t.max(axis)[0], x.max(axis), 0)
        b.gradients(f"var of {shape}", lambda x: x.var(0), lambda x: x.var(0, ddof=1), x)
        b.gradients(f"std of {shape}", lambda x: x.std(-1), lambda x: x.std(-1, ddof=1), x)
    x = b.normal(b.size(70001, 9001))
    t = b.tensor(x, pad=3)
    b.compare("argmax of a long row", t.argmax(), x.argmax(), 0)
    b.compare("norm", t.norm(), np.linalg.norm(x))
    b.compare("var of a large mean", (t + 1000).var(), np.float32(x + 1000).astype(np.float64).var(ddof=1), 1e-3)
    b.compare("any and all", [bool((t > 9).any()), bool((t < 9).all())], [(x > 9).any(), (x < 9).all()], 0)
    b.compare("prod", b.tensor(x[:33], pad=1).prod(), x[:33].prod())
    b.compare("sum of integers", b.tensor(np.arange(1003), pad=3).sum(), np.arange(1003).sum(), 0)
    sizes = [(4, 70), (4, 300)] if b.small else [(4, 70), (4, 9000)]
    for rows, n in sizes:
        b.gradients(f"prod of rows of {n}", lambda x: x.prod(-1), lambda x: x.prod(-1), 1 + b.normal(rows, n) / n)


@ARRAYS.add("matmul")
def matmul(b: Bench) -> None:
    """Matrix products of every form, also batched, transposed and of integers."""
    sizes = [(1, 65, 1), (33, 17, 65)]
    if not b.small:
        sizes += [(1, 1, 1), (13, 5, 33), (31, 33, 65), (66, 17, 130), (127, 300, 129), (13, 1003, 257),
                  (257, 64, 33), (1003, 5, 3)]
    for m, k, n in sizes:
        x, y = b.normal(m, k), b.normal(k, n)
        b.gradients(f"({m}, {k}) @ ({k}, {n})", lambda x, y: x @ y, lambda x, y: x @ y, x, y, tolerance=2e-5 * k ** 0.5)
    x, y = b.normal(3, 7, 33), b.normal(3, b.size(65, 5), 33)
    b.gradients("batched, transposed", lambda x, y: x @ y.mT, lambda x, y: x @ y.swapaxes(1, 2), x, y)
    b.gradients("vector", lambda x, y: x @ y, lambda x, y: x @ y, b.normal(33, 15), b.normal(15))
    whole = b.rng.integers(-9, 9, (13, 65)), b.rng.integers(-9, 9, (65, 7))
    b.compare("integers", b.tensor(whole[0], pad=1) @ b.tensor(whole[1], pad=3), whole[0] @ whole[1], 0)
    for kind in (genesis.float16, genesis.bfloat16)[:1 if b.small else None]:
        x, y = (b.tensor(b.normal(*s), kind, pad=3) for s in ((13, 25), (25, 11)))
        exact = x.numpy().astype(np.float64) @ y.numpy().astype(np.float64)
        b.compare(f"{kind}", (x @ y).float(), exact, 1e-2)
    if by_blocks(b.device):
        for emulated in (True, False) if matmul_amx.works(b.device) else (True,):
            with by_amx(emulated):
                for m, k, n in [(33, 5, 7)] if b.small else [(33, 70, 65), (130, 300, 129)][:1 if emulated else 2]:
                    x, y = b.normal(m, k) * 1e20, b.normal(k, n)      # such numbers are looked at more closely
                    b.compare(f"({m}, {k}) @ ({k}, {n}) by AMX", (b.tensor(x, pad=1) @ b.tensor(y, pad=3)) * 1e-20,
                              x @ y * 1e-20, 2e-5 * k ** 0.5)


@ARRAYS.add("linalg")
def linalg(b: Bench) -> None:
    """Systems of equations, factorizations, eigenvalues and singular values."""
    for n in (1, 7, b.size(65, 20)):
        x = b.normal(3, n, n) + 3 * np.eye(n)
        y = b.normal(3, n, 5)
        square, right = b.tensor(x, pad=3), b.tensor(y, pad=1)
        b.compare(f"solve {n} equations", genesis.linalg.solve(square, right), np.linalg.solve(x, y), 1e-3)
        b.compare(f"triangle of {n}", genesis.linalg.solve_triangular(square, right, upper=True),
                  np.linalg.solve(np.triu(x), y), 1e-3)
        s = x @ x.swapaxes(-1, -2)
        b.compare(f"cholesky of {n}", genesis.linalg.cholesky(b.tensor(s, pad=1)), np.linalg.cholesky(s), 1e-3)
        b.compare(f"eigenvalues of {n}", genesis.linalg.eigvalsh(b.tensor(s, pad=3)), np.linalg.eigvalsh(s), 1e-3)
        values, vectors = genesis.linalg.eigh(b.tensor(s, pad=3))
        b.compare(f"eigenvectors of {n}", vectors * values.unsqueeze(-2) @ vectors.mT, s, 1e-3)
        q, r = genesis.linalg.qr(square[..., :n // 2 + 1])
        b.compare(f"qr of {n}", q @ r, x[..., :n // 2 + 1], 1e-4)
        b.compare(f"singular values of {n}", genesis.linalg.svdvals(right), np.linalg.svd(y)[1], 1e-3)


@ARRAYS.add("index")
def index(b: Bench) -> None:
    """Selecting, gathering, scattering, assigning, joining, triangles, and searching."""
    for shape in ((33, 3), (b.size(65, 5), 33), (7, b.size(1003, 70))):
        x = b.normal(*shape)
        rows = b.rng.integers(0, shape[0], 41)
        t = b.tensor(rows, pad=1)
        b.gradients(f"rows of {shape}", lambda x, t=t: x[t], lambda x, rows=rows: x[rows], x)
        columns = b.rng.integers(0, shape[1], (shape[0], 5))
        t = b.tensor(columns, pad=3)
        b.gradients(f"gather from {shape}", lambda x, t=t: x.gather(1, t),
                    lambda x, columns=columns: np.take_along_axis(x, columns, 1), x)
        b.gradients(f"index_select from {shape}", lambda x, n=shape[1]: x.index_select(1, b.tensor([0, n - 1, 0])),
                    lambda x, n=shape[1]: x[:, [0, n - 1, 0]], x)

    def added(x: np.ndarray, at: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        result = x.copy()
        np.add.at(result.T if axis else result, at, y.T if axis else y)
        return result

    for count, n, inner in ((41, 7, 1), (41, 7, 3), (b.size(5003, 130), 3, 1), (130, 5, 33)):
        at = b.rng.integers(0, n, count)
        t = b.tensor(at, pad=1)
        b.gradients(f"index_add of {count} rows of {inner}", lambda x, y, t=t: x.index_add(0, t, y),
                    lambda x, y, at=at: added(x, at, y, 0), b.normal(n, inner), b.normal(count, inner))
        b.gradients(f"index_add of {count} columns of {inner}", lambda x, y, t=t: x.index_add(1, t, y),
                    lambda x, y, at=at: added(x, at, y, 1), b.normal(inner, n), b.normal(inner, count))
    x, at = b.normal(9, 5), b.rng.permutation(9)[:4]
    t = b.tensor(x)
    t[b.tensor(at)] = b.tensor(x[:4] * 2)
    x[at] = x[:4] * 2
    b.compare("assignment to rows", t, x, 0)
    x = b.normal(33, 35)
    b.gradients("tril, triu", lambda x: x.tril(3) - x.triu(-2), lambda x: np.tril(x, 3) - np.triu(x, -2), x)
    b.gradients("cat", lambda x, y: genesis.cat([x, y, x], 1), lambda x, y: np.concatenate([x, y, x], 1), x,
                b.normal(33, 3))
    rows, columns = b.rng.integers(-33, 33, 41), b.rng.integers(-35, 35, 41)
    s, t = b.tensor(rows, pad=1), b.tensor(columns, pad=3)
    b.gradients("pairs of indices", lambda x: x[s, t], lambda x: x[rows, columns], x)
    b.gradients("pairs of indices of rows", lambda x: x.unsqueeze(-1)[s, t], lambda x: x[rows, columns, None], x)
    b.gradients("flip and roll", lambda x: x.flip(0).roll(2, 1), lambda x: np.roll(x[::-1], 2, 1), x)
    b.compare("a mask", b.tensor(x, pad=3)[b.tensor(x) > 0], x[x > 0], 0)
    b.compare("nonzero", (b.tensor(x, pad=3) > 1).nonzero(), np.argwhere(x > 1), 0)
    few = b.rng.integers(0, 9, b.size(1003, 70))
    found = b.tensor(few, pad=1).unique(return_inverse=True)
    for what, mine, right in zip(("unique", "places of the unique"), found, np.unique(few, return_inverse=True)):
        b.compare(what, mine, right, 0)
    b.compare("bincount", b.tensor(few, pad=1).bincount(), np.bincount(few), 0)
    b.compare("arange", genesis.arange(5, 300, 3, device=b.device), np.arange(5, 300, 3), 0)
    b.compare("histc", b.tensor(x, pad=3).histc(9, -2, 2), np.histogram(x, 9, (-2, 2))[0], 0)
    edges = np.sort(b.normal(33))
    b.compare("searchsorted", genesis.searchsorted(b.tensor(edges, pad=3), b.tensor(x, pad=1)),
              np.searchsorted(edges, x), 0)


@ARRAYS.add("sort")
def sort(b: Bench) -> None:
    """Sorting, the largest and medians."""
    for n in (*b.edges[:-1], b.size(20011, 700)):
        x = b.normal(3, n)
        t = b.tensor(x, pad=3)
        values, places = t.sort(-1)
        b.compare(f"sort of rows of {n}", values, np.sort(x), 0)
        b.compare(f"places of rows of {n}", places, np.argsort(x, kind="stable"), 0)
        k = min(n, 5)
        b.compare(f"topk of {n}", t.topk(k)[0], -np.sort(-x)[:, :k], 0)
    x = b.distinct(65, 33)
    b.gradients("sort along columns", lambda x: x.sort(0)[0], lambda x: np.sort(x, 0), x)
    b.gradients("topk", lambda x: x.topk(7)[0], lambda x: -np.sort(-x)[:, :7], x)
    whole = b.rng.integers(-50, 50, b.size(5003, 300))
    b.compare("integers, descending", b.tensor(whole, pad=1).sort(descending=True)[0], -np.sort(-whole), 0)
    b.compare("median", b.tensor(x[:, 0].copy(), pad=1).median(), np.sort(x[:, 0])[32], 0)


@ARRAYS.add("scan")
def scan(b: Bench) -> None:
    """Running sums, products, extrema."""
    for n in (*b.edges[:-1], b.size(40009, 5000)):
        x = b.normal(2, n)
        b.gradients(f"cumsum of rows of {n}", lambda x: x.cumsum(-1), lambda x: x.cumsum(-1), x)
        b.compare(f"cummax of rows of {n}", b.tensor(x, pad=3).cummax(-1).values, np.maximum.accumulate(x, -1), 0)
        b.compare(f"logcumsumexp of rows of {n}", b.tensor(x, pad=1).logcumsumexp(-1), np.logaddexp.accumulate(x, -1))
    x = b.normal(33, 17)
    b.gradients("cumsum along columns", lambda x: x.cumsum(0), lambda x: x.cumsum(0), x)
    b.gradients("logcumsumexp", lambda x: x.logcumsumexp(0), lambda x: np.logaddexp.accumulate(x, 0), x)
    b.compare("cummin along columns", b.tensor(x, pad=1).cummin(0).values, np.minimum.accumulate(x, 0), 0)
    b.gradients("cumprod", lambda x: x.cumprod(0), lambda x: x.cumprod(0), 1 + x / 33)


@ARRAYS.add("random")
def random(b: Bench) -> None:
    """Random numbers: the same stream as every device gives, and what dropout makes of it."""
    genesis.manual_seed(0)
    b.compare("the stream of uniform numbers", genesis.rand(5), STREAM, 0)
    n = b.size(70001, 1003)
    slack = 6 / n ** 0.5
    uniform, normal = genesis.rand(n).numpy(), genesis.randn(n).numpy()
    b.compare("uniform in [0, 1)", [(uniform < 0).any(), (uniform >= 1).any()], [False, False], 0)
    b.compare("mean of uniform", uniform.mean(), 0.5, slack)
    b.compare("mean and deviation of normal", [normal.mean(), normal.std()], [0, 1], slack)
    tail = genesis.nn.init.trunc_normal_(b.tensor(np.zeros(n), pad=3), 0, 1, 1.5, 3).numpy()
    b.compare("a tail of the normal distribution", [(tail < 1.5).any(), (tail > 3).any()], [False, False], 0)
    b.compare("its mean", tail.mean(), 1.911, slack)
    whole = genesis.randint(-3, 4, (n,)).numpy()
    b.compare("integers", np.unique(whole), np.arange(-3, 4), 0)
    x = b.tensor(np.ones(n), pad=3, grad=True)
    y = genesis.nn.functional.dropout(x, 0.25)
    y.backward(b.tensor(np.full(n, 2.0)))
    assert x.grad is not None
    b.compare("dropout keeps the mean", y.detach().numpy().mean(), 1, slack)
    b.compare("dropout's gradient has its mask", x.grad, 2 * y.detach().numpy(), 0)
    kept = genesis.Tensor._wrap(dropout_rows(empty(b.device, (7, n), genesis.float32), (3, 5), 0.25)).numpy()
    rates = b.tensor(np.repeat([0.5, 3.0, 30.0], n // 3), pad=3)
    for name, drawn, mean in (("gamma", genesis.distributions.Gamma(rates, 1.0).sample(), rates),
                              ("Poisson", genesis.poisson(rates), rates),
                              ("binomial", genesis.binomial(2 * rates.ceil(), 0.4 + 0 * rates), 0.8 * rates.ceil())):
        part = (drawn / mean).reshape(3, -1).mean(1)
        b.compare(f"mean of {name} numbers", part, np.ones(3), 2 * slack)
    shapes = b.tensor(np.full(n, 3.0), pad=1, grad=True)
    genesis.distributions.Gamma(shapes, 1.0).rsample().mean().backward()
    assert shapes.grad is not None
    b.compare("gamma numbers move with their shape", shapes.grad.sum(), 1, slack)
    b.compare("what attention drops", [np.unique(kept)], [[0, np.float32(4) / 3]], 1e-6)
    b.compare("how much attention drops", kept.mean(1), np.ones(7), slack)



@ARRAYS.add("float64")
def wide(b: Bench) -> None:
    """Double precision: its digits where the device has it, and an error that says so where it has not."""
    x, y = b.normal(33, 65), b.normal(65, 31)
    if not b.device.fp64:
        try:
            genesis.tensor(x, dtype=genesis.float64, device=b.device)
        except (RuntimeError, TypeError) as error:
            b.compare("the error names the type", "float64" in str(error), np.array(True), 0)
        else:
            b.outcome.failures.append("a device without float64 made such a tensor")
        return
    s, t = (b.tensor(v, genesis.float64, pad=3, grad=True) for v in (x, y))
    product = s @ t
    product.exp().log().sum().backward()
    b.compare("matmul", product, x @ y, 1e-13)
    b.compare("gradient", s.grad, np.ones((33, 31)) @ y.T, 1e-12)
    b.compare("softmax", s.softmax(-1), np.exp(x) / np.exp(x).sum(-1, keepdims=True), 1e-14)
    b.compare("sum", s.sum(), x.sum(), 1e-14)
    b.compare("sort", s.sort(0)[0], np.sort(x, 0), 0)
