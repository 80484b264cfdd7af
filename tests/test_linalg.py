"""Linear algebra against PyTorch in float64: values, gradients, batches, what cannot be done."""

import dataclasses
import math

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64

import genesis
from genesis import linalg

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def square(*shape):
    """Matrices that are far from singular."""
    return RNG.standard_normal(shape) + 3 * np.eye(shape[-1])


def definite(*shape):
    a = RNG.standard_normal(shape)
    return a @ a.swapaxes(-1, -2) + 2 * np.eye(shape[-1])


SQUARE, TALL, WIDE = square(3, 4, 4), RNG.standard_normal((2, 6, 3)), RNG.standard_normal((2, 3, 6))
RIGHT, VECTORS = RNG.standard_normal((3, 4, 2)), RNG.standard_normal((3, 4))

CALLS = {
    "solve": (lambda l, a, b: l.solve(a, b), SQUARE, RIGHT),
    "solve for vectors": (lambda l, a, b: l.solve(a, b), SQUARE, VECTORS),
    "solve from the right": (lambda l, a, b: l.solve(a, b, left=False), SQUARE, RIGHT.swapaxes(1, 2)),
    "solve of a batch by one": (lambda l, a, b: l.solve(a, b), SQUARE[0], RIGHT),
    "inv": (lambda l, a: l.inv(a), SQUARE),
    "det": (lambda l, a: l.det(a), SQUARE),
    "slogdet": (lambda l, a: l.slogdet(a)[1], SQUARE - 5),
    "cholesky": (lambda l, a: l.cholesky(a), definite(2, 4, 4)),
    "cholesky, upper": (lambda l, a: l.cholesky(a, upper=True), definite(4, 4)),
    "triangular": (lambda l, a, b: l.solve_triangular(a, b, upper=False), SQUARE, RIGHT),
    "triangular, upper": (lambda l, a, b: l.solve_triangular(a, b, upper=True), SQUARE, RIGHT),
    "triangular, unit": (lambda l, a, b: l.solve_triangular(a, b, upper=False, unitriangular=True), SQUARE, RIGHT),
    "triangular from the right": (lambda l, a, b: l.solve_triangular(a, b, upper=True, left=False), SQUARE,
                                  RIGHT.swapaxes(1, 2)),
    "Q": (lambda l, a: l.qr(a)[0], TALL),
    "R": (lambda l, a: l.qr(a)[1], TALL),
    "Q of a wide one": (lambda l, a: l.qr(a)[0], WIDE),
    "R of a wide one": (lambda l, a: l.qr(a)[1], WIDE),
    "lstsq": (lambda l, a, b: l.lstsq(a, b)[0], TALL, RNG.standard_normal((2, 6, 2))),
    "lstsq, wide": (lambda l, a, b: l.lstsq(a, b)[0], WIDE, RNG.standard_normal((2, 3, 2))),
    "eigvalsh": (lambda l, a: l.eigvalsh(a), definite(2, 5, 5)),
    "eigh": (lambda l, a: (l.eigh(a)[1] ** 2) * (1 + l.eigh(a)[0].unsqueeze(-2)), definite(2, 5, 5)),
    "eigh, upper": (lambda l, a: l.eigh(a, "U")[1] ** 2, SQUARE),
    "svdvals": (lambda l, a: l.svdvals(a), TALL),
    "U of svd": (lambda l, a: l.svd(a, full_matrices=False)[0] ** 2, TALL),
    "Vh of svd": (lambda l, a: l.svd(a, full_matrices=False)[2] ** 2, WIDE),
    "pinv": (lambda l, a: l.pinv(a), TALL),
    "pinv of low rank": (lambda l, a, b: l.pinv(a @ b), TALL[0, :, :2], WIDE[0, :2]),
    "pinv, symmetric": (lambda l, a: l.pinv(a, hermitian=True), definite(2, 4, 4) - 4 * np.eye(4)),
    "eigvalsh of equals": (lambda l, a: l.eigvalsh(a) ** 2, np.stack([np.eye(3), np.diag([2.0, 1, 2])])),
    "norms of equals": (lambda l, a: l.matrix_norm(a, "nuc") + l.matrix_norm(a, 2), np.eye(4)[:, :3] * 2),
    "lstsq of low rank": (lambda l, a, b, c: l.lstsq(a @ b, c, driver="gelsd")[0], TALL[0, :, :2], WIDE[0, :2],
                          TALL[1]),
    **{f"lu of {kind}": (lambda l, a: l.lu(a)[1] @ l.lu(a)[2] ** 2, x)
       for kind, x in (("square", SQUARE), ("tall", TALL), ("wide", WIDE))},
    "lu_factor": (lambda l, a: l.lu_factor(a)[0], TALL),
    **{f"lu_solve {options}": (lambda l, a, b, o=options: l.lu_solve(*l.lu_factor(a), b, **o), SQUARE, SQUARE[:1])
       for options in ({}, {"adjoint": True}, {"left": False}, {"left": False, "adjoint": True})},
    "tensorinv": (lambda l, a: l.tensorinv(a, ind=1), square(6, 6).reshape(6, 2, 3)),
    "tensorsolve": (lambda l, a, b: l.tensorsolve(a, b, dims=(0,)), square(6, 6).reshape(2, 3, 6).swapaxes(0, 2),
                    VECTORS[:2, :3].T),
    "matrix_power": (lambda l, a: l.matrix_power(a, -2), SQUARE),
    "matrix_exp": (lambda l, a: l.matrix_exp(a), SQUARE / 2),
    "cond": (lambda l, a: l.cond(a), SQUARE),
    "multi_dot": (lambda l, a, b, c: l.multi_dot([a, b, c]), TALL[0], WIDE[0], RNG.standard_normal((6, 2))),
    "multi_dot of vectors": (lambda l, a, b, c: l.multi_dot([a, b, c]), VECTORS[0], SQUARE[0], VECTORS[1]),
    "vecdot": (lambda l, a, b: l.vecdot(a, b), SQUARE, VECTORS.reshape(3, 1, 4)),
    "cross": (lambda l, a, b: l.cross(a, b), TALL, TALL[:1]),
    "diagonal": (lambda l, a: l.diagonal(a, offset=1), SQUARE),
    "vander": (lambda l, a: l.vander(a, N=3), VECTORS),
    "norm": (lambda l, a: l.norm(a), SQUARE),
    "norm of vectors": (lambda l, a: l.norm(a, 3, -1, True), SQUARE),
    "vector_norm": (lambda l, a: l.vector_norm(a, 1, (0, 2)), SQUARE),
    **{f"matrix_norm {o}": (lambda l, a, o=o: l.matrix_norm(a, o, (0, 2), keepdim=True), RNG.standard_normal((3, 2, 5)))
       for o in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)},
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_those_of_torch(name):
    function, *inputs = CALLS[name]
    mine = [leaf(x) for x in inputs]
    its = [torch.tensor(np.asarray(x, np.float32), dtype=torch.float64, requires_grad=True) for x in inputs]
    found, wanted = function(linalg, *mine), function(torch.linalg, *its)
    scale = float(wanted.detach().abs().max())
    close(found, wanted.detach(), rtol=1e-4, atol=3e-6 * scale)
    g = RNG.standard_normal(tuple(wanted.shape)).astype(np.float32)
    found.backward(f32(g))
    wanted.backward(torch.tensor(g, dtype=torch.float64))
    for x, y in zip(mine, its):
        close(x.grad, y.grad, rtol=1e-3, atol=1e-4 * float(y.grad.abs().max()))


@pytest.mark.parametrize("n", [0, 1, 2, 31, 33, 65])
def test_factors_make_up_the_matrix(n):
    a = square(2, n, n).astype(np.float32)
    x, one = f32(a), np.broadcast_to(np.eye(n), a.shape)
    close(x @ linalg.inv(x), one, atol=2e-4)
    for y in (x, x[:, :n // 2 + 1], x[:, :, :n // 2 + 1]):
        for q, r in (linalg.qr(y), linalg.qr(y, "complete")):
            close(q @ r, y.numpy(), atol=1e-4)
            close(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (2, q.shape[-1], q.shape[-1])), atol=1e-5)
        for full in (False, True):
            u, s, vh = linalg.svd(y, full_matrices=full)
            k = s.shape[-1]
            close(u[..., :k] * s.unsqueeze(-2) @ vh[..., :k, :], y.numpy(), atol=1e-4)
            for part in (u, vh.mT):
                close(part.mT @ part, np.broadcast_to(np.eye(part.shape[-1]), (2, part.shape[-1], part.shape[-1])),
                      atol=1e-5)
            np.testing.assert_allclose(s.numpy(), np.linalg.svd(y.numpy().astype(np.float64), compute_uv=False),
                                       rtol=1e-5, atol=1e-5)
    s = definite(n, n).astype(np.float32)
    values, vectors = linalg.eigh(f32(s))
    close(vectors * values.unsqueeze(-2) @ vectors.mT, s, rtol=1e-4, atol=1e-5 * max(n, 1))
    lower = linalg.cholesky(f32(s))
    close(lower @ lower.mT, s, rtol=1e-4, atol=1e-5 * max(n, 1))
    sign, logarithm = linalg.slogdet(x)
    wanted = np.linalg.slogdet(a.astype(np.float64))
    close(sign, wanted[0])
    close(logarithm, wanted[1], rtol=1e-4, atol=1e-5)


def test_spectra_are_as_exact_as_the_type(monkeypatch):
    from genesis.ops import spectra

    n = 70                                          # large enough for padded rows and several panels
    a, turn = RNG.standard_normal((n, n)), np.linalg.qr(RNG.standard_normal((n, n)))[0]
    exact = 1e-6 if genesis.device().fp64 else 4e-6  # QL in float32 where there is no float64
    monkeypatch.setattr(spectra, "_LARGE", 64)      # as a matrix so large that all of a device treats it
    for x in (a + a.T, turn * np.logspace(0, -6, n) @ turn.T, np.diag(np.arange(n)), a[:, :2] @ a[:, :2].T):
        x = x.astype(np.float32)
        wide = x.astype(np.float64)
        wanted = np.linalg.eigvalsh((wide + wide.T) / 2)
        size = np.abs(wanted).max()
        np.testing.assert_allclose(linalg.eigvalsh(f32(x)).numpy(), wanted, atol=exact * size)
        values, vectors = linalg.eigh(f32(x))
        np.testing.assert_allclose(values.numpy(), wanted, atol=exact * size)
        close(f32(x) @ vectors, (vectors * values).numpy(), atol=2e-6 * size)
        close(vectors.mT @ vectors, np.eye(n), atol=5e-6)
        u, s, vh = linalg.svd(f32(x))
        np.testing.assert_allclose(s.numpy(), np.linalg.svd(wide)[1], atol=1e-6 * size)
        close(u * s @ vh, x, atol=2e-6 * size)


def test_eigenvectors_found_in_several_launches_are_the_same(monkeypatch):
    from genesis.ops import spectra

    x = f32(definite(2, 20, 20))
    wanted = linalg.eigh(x)
    monkeypatch.setattr(spectra, "_ROTATIONS", 1)
    found = linalg.eigh(x)
    assert (found.eigenvalues == wanted.eigenvalues).all().item()
    assert (found.eigenvectors == wanted.eigenvectors).all().item()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_spectra_of_what_is_no_number_are_refused(bad):
    x = f32(np.eye(12))
    x[3, 3] = bad
    for call in (linalg.eigh, linalg.eigvalsh, linalg.svd, linalg.svdvals):
        with pytest.raises(linalg.LinAlgError, match="infinite or NaN"):
            call(x)


def test_signs_of_determinants_count_swaps():
    for n in range(1, 6):
        rows = np.eye(n)[RNG.permutation(n)]
        assert linalg.det(f32(rows)).item() == pytest.approx(np.linalg.det(rows))
        assert linalg.slogdet(f32(rows)).sign.item() == pytest.approx(np.linalg.det(rows))
    assert genesis.logdet(f32([[0.0, 1.0], [1.0, 0.0]])).isnan().item()
    assert linalg.slogdet(f32([[1.0, 1.0], [1.0, 1.0]])).logabsdet.item() == -math.inf


def test_exponentials_of_small_and_large_matrices_at_once():
    x = np.random.default_rng(1).standard_normal((4, 6, 6)) * np.array([0.0, 0.1, 3.0, 20.0])[:, None, None]
    wanted = torch.linalg.matrix_exp(torch.tensor(x.astype(np.float32).astype(float))).numpy()
    error = np.abs(linalg.matrix_exp(f32(x)).numpy() - wanted).max((1, 2)) / np.abs(wanted).max((1, 2))
    assert (error <= [0, 2e-7, 2e-6, 2e-5]).all()


@pytest.mark.parametrize("name", ["det", "slogdet", "inv_ex", "cholesky_ex"])
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_empty_matrices(name, shape):
    found, wanted = getattr(linalg, name)(genesis.zeros(*shape)), getattr(torch.linalg, name)(torch.zeros(*shape))
    for mine, theirs in zip(*((x if isinstance(x, tuple) else (x,)) for x in (found, wanted))):
        assert mine.dtype.name == str(theirs.dtype).split(".")[1]
        assert mine.tolist() == theirs.tolist()


def test_determinants_with_nan_and_in_several_launches(monkeypatch):
    x = SQUARE.copy()
    x[1, 2, 0] = math.nan
    about = linalg.slogdet(f32(x))
    assert about.logabsdet.isnan().tolist() == [False, True, False]
    wanted = linalg.slogdet(f32(SQUARE))
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=1))
    in_steps = linalg.slogdet(f32(SQUARE))
    np.testing.assert_allclose(in_steps.logabsdet.numpy(), wanted.logabsdet.numpy(), rtol=1e-5)
    assert in_steps.sign.tolist() == wanted.sign.tolist()
    assert linalg.solve_ex(f32(np.diag([1.0, 0.0, 0.0])), f32(np.eye(3))).info.item() == 2


def test_what_is_singular_is_said():
    singular = f32([[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]])
    for call in (lambda: linalg.inv(singular), lambda: linalg.solve(singular, f32(np.ones((2, 2, 1)))),
                 lambda: linalg.matrix_power(singular, -1)):
        with pytest.raises(linalg.LinAlgError, match="singular"):
            call()
    assert linalg.inv_ex(singular).info.tolist() == torch.linalg.inv_ex(torch.tensor(singular.numpy())).info.tolist()
    bad = f32([[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    with pytest.raises(linalg.LinAlgError, match="positive definite"):
        linalg.cholesky(bad)
    assert linalg.cholesky_ex(bad).info.tolist() == [2, 0]
    for call, match in ((lambda: linalg.inv(f32([[1.0, 2.0]])), "square"),
                        (lambda: linalg.det(f32([1.0])), "dimensions"),
                        (lambda: linalg.qr(genesis.tensor([[1]])), "float32"),
                        (lambda: linalg.solve(singular, f32(np.ones((3, 1)))), "equations"),
                        (lambda: linalg.solve_triangular(singular, f32(np.ones((3, 1))), upper=True), "equations"),
                        (lambda: linalg.lstsq(singular, f32(np.ones((2, 3, 1)))), "equations"),
                        (lambda: linalg.eigh(singular, "X"), "UPLO"), (lambda: linalg.multi_dot([singular[0]]), "two"),
                        (lambda: linalg.multi_dot([singular[0], f32(np.ones((3, 3)))]), "multiply"),
                        (lambda: linalg.norm(singular, 2), "dimensions"),
                        (lambda: linalg.matrix_norm(singular, dim=(0, 0)), "two")):
        with pytest.raises(RuntimeError, match=match):
            call()
    with pytest.raises(ValueError, match="modes"):
        linalg.qr(singular, "all")
    for call, message in ((lambda: linalg.lstsq(singular, singular, driver="qr"), "gelsy"),
                          (lambda: linalg.lu_factor(singular, pivot=False), "pivot=True"),
                          (lambda: linalg.lu_factor_ex(singular * 0, check_errors=True), "singular"),
                          (lambda: linalg.tensorinv(singular, ind=0), "positive ind"),
                          (lambda: linalg.tensorinv(singular, ind=1), "one product"),
                          (lambda: linalg.tensorsolve(singular[:1], singular), "one product")):
        with pytest.raises(RuntimeError, match=message):
            call()
    with pytest.raises(ValueError, match="nuc"):
        linalg.matrix_norm(singular, 3)
    with pytest.raises(RuntimeError, match="gradient"):
        linalg.qr(leaf(TALL), "complete")
    with pytest.raises(RuntimeError, match="gradient"):
        linalg.qr(leaf(TALL), "r")


def test_ranks_and_what_lacks_it():
    low = RNG.standard_normal((5, 2)) @ RNG.standard_normal((2, 4))
    assert linalg.matrix_rank(f32(np.stack([low, low * 0, np.eye(5, 4)]))).tolist() == [2, 0, 4]
    close(linalg.pinv(f32(low)), np.linalg.pinv(low), rtol=1e-3, atol=1e-5)
    x, its = f32(np.diag([4.0, 2.0, 1.0])), torch.diag(torch.tensor([4.0, 2.0, 1.0]))
    for options in ({"tol": 2.0}, {"tol": 1.0, "hermitian": True}, {"atol": 2.5}, {"atol": 1.5, "rtol": 0.5},
                    {"rtol": 0.3, "hermitian": True}):
        assert linalg.matrix_rank(x, **options).item() == torch.linalg.matrix_rank(its, **options).item()
    close(linalg.pinv(x, 0.6), torch.linalg.pinv(its, 0.6))
    close(linalg.pinv(x, atol=genesis.tensor(1.5)), torch.linalg.pinv(its, atol=1.5))
    assert linalg.matrix_rank(genesis.zeros(2, 0, 3)).tolist() == [0, 0]
    assert linalg.pinv(genesis.zeros(0, 3)).shape == (3, 0)
    u, s, vh = linalg.svd(f32(low * 0 + np.diag([3.0, 0.0, 1.0, 0.0, 0.0])[:, :4]))
    close(s, [3, 1, 0, 0])
    close(u.mT @ u, np.eye(5), atol=1e-6)
    close(vh @ vh.mT, np.eye(4), atol=1e-6)


def test_permutations_are_those_of_torch():
    """Of singular matrices, too, whose info says where U has a 0."""
    a = np.concatenate([SQUARE[:2], np.ones((1, 4, 4))]).astype(np.float32)
    for x in (a, a[:, :2], a[:, :, :3]):
        mine, its = linalg.lu(f32(x)), torch.linalg.lu(torch.tensor(x))
        assert np.array_equal(mine.P.numpy(), its.P.numpy())
        packed, wanted = linalg.lu_factor_ex(f32(x)), torch.linalg.lu_factor_ex(torch.tensor(x))
        assert packed.pivots.tolist() == wanted.pivots.tolist()
        assert packed.info.tolist() == wanted.info.tolist()
    assert linalg.vander(genesis.tensor(2.0), N=3).tolist() == [[1, 2, 4]]
    z = [RNG.standard_normal((2, 3)) + 1j, RNG.standard_normal((2, 3)) - 2j]
    mine = linalg.vecdot(*(genesis.tensor(x, dtype=genesis.cfloat) for x in z))
    np.testing.assert_allclose(mine.numpy(), (z[0].conj() * z[1]).sum(-1), rtol=1e-5)


def test_least_squares_of_each_driver():
    b = TALL[1]
    for x in (TALL[0] @ np.diag([1.0, 1.0, 0.0]), TALL[0]):
        solution, residuals, rank, values = np.linalg.lstsq(x, b)
        for driver in ("gelsy", "gelsd", "gelss"):
            mine = linalg.lstsq(f32(x), f32(b), driver=driver)
            close(mine.solution, solution, rtol=1e-3, atol=1e-5)
            assert mine.rank.item() == rank
            close(mine.residuals, residuals if driver != "gelsy" else [], rtol=1e-4)
            close(mine.singular_values, values if driver != "gelsy" else [], rtol=1e-4, atol=1e-6)


def test_factors_solve():
    b = f32(RIGHT)
    close(linalg.lu_solve(*linalg.lu_factor(f32(SQUARE)), b), np.linalg.solve(SQUARE, RIGHT), rtol=1e-4, atol=1e-5)
    pivots = torch.linalg.lu_factor(torch.tensor(SQUARE)).pivots
    assert linalg.lu_factor(f32(SQUARE)).pivots.tolist() == pivots.tolist()
    s = definite(3, 4, 4)
    for upper in (False, True):
        lower = linalg.cholesky(f32(s), upper=upper)
        close(genesis.cholesky_solve(b, lower, upper), np.linalg.solve(s, RIGHT), rtol=1e-3, atol=1e-5)
        close(genesis.cholesky_inverse(lower, upper), np.linalg.inv(s), rtol=1e-3, atol=1e-5)
    found, wanted = linalg.lstsq(f32(TALL), f32(TALL[..., 0] + 1)[0:2].unsqueeze(-1)), torch.linalg.lstsq(
        torch.tensor(TALL), torch.tensor(TALL[..., :1] + 1), driver="gels")
    close(found.residuals, wanted.residuals, rtol=1e-3)
    assert linalg.qr(f32(TALL), "r").R.shape == (2, 3, 3)


def test_names_at_the_top_level_and_methods():
    x = f32(SQUARE)
    close(genesis.inverse(x), linalg.inv(x).numpy())
    close(x.inverse(), linalg.inv(x).numpy())
    close(x.det(), genesis.det(x).numpy())
    close(genesis.slogdet(x).logabsdet, x.slogdet()[1].numpy())
    close(x.logdet(), genesis.logdet(x).numpy())
    s = f32(definite(4, 4))
    close(s.cholesky(), genesis.cholesky(s).numpy())
    close(genesis.qr(x)[1], x.qr()[1].numpy())
    u, values, v = genesis.svd(f32(TALL))
    close(u * values.unsqueeze(-2) @ v.mT, TALL, rtol=1e-4, atol=1e-5)
    close(x.pinverse() @ x, np.broadcast_to(np.eye(4), x.shape), atol=1e-4)
    close(x.matrix_exp(), genesis.matrix_exp(x).numpy())
    close(genesis.chain_matmul(x[0], x[1], x[2]), (x[0] @ x[1] @ x[2]).numpy(), rtol=1e-4)
    close(x.matrix_power(-1), linalg.inv(x).numpy(), rtol=1e-4)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "eigvalsh", "svdvals", "qr"])
def test_second_derivatives_are_those_of_torch(name):
    values, second = definite(3, 3), []
    for lib, dtype in ((genesis, genesis.float32), (torch, torch.float64)):
        a = lib.tensor(values, dtype=dtype, requires_grad=True)
        y = getattr(lib.linalg, name)(a)
        y = y[0] if name == "qr" else y
        g, = lib.autograd.grad((y * y * y).sum(), a, create_graph=True)
        second.append(lib.autograd.grad((g * g).sum(), a)[0].numpy())
    np.testing.assert_allclose(second[0], second[1], rtol=2e-3, atol=1e-3 * np.abs(second[1]).max())


@needs_float64
def test_float64_keeps_its_digits():
    a = genesis.tensor(square(9, 9), dtype=genesis.float64)
    wide = a.numpy()
    for found, wanted in ((linalg.inv(a), np.linalg.inv(wide)), (linalg.svdvals(a), np.linalg.svd(wide)[1]),
                          (linalg.eigvalsh(a), np.linalg.eigvalsh(wide)), (linalg.qr(a).R, np.linalg.qr(wide)[1]),
                          (linalg.det(a), np.linalg.det(wide))):
        close(found, wanted, rtol=1e-12, atol=1e-12)
