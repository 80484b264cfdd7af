"""Linear algebra of complex matrices against PyTorch's, with derivatives; eigenvalues of general matrices."""

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")



def numbers(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def to(library, values):
    return library.tensor(values, dtype=library.complex64 if np.iscomplexobj(values) else library.float32)


def host(x):
    return x.detach().resolve_conj().numpy()


def hermitian(a):
    return a @ a.mH + a.shape[-1] * (a[..., :1, :1] * 0 + 1)


def projector(vectors):
    """What of eigenvectors does not depend on their phases."""
    return vectors[..., :2] @ vectors[..., :2].mH


A, B, TALL, WIDE_ONE = numbers(2, 3, 3), numbers(3, 2, seed=1), numbers(4, 3), numbers(2, 4)
CASES = {
    "solve": (lambda L, a, b: (L.linalg.solve(a, b), L.linalg.solve(a[0], b.mT, left=False)), A, B),
    "triangular": (lambda L, a, b: L.linalg.solve_triangular(a, b, upper=True), A, B),
    "inverse": (lambda L, a: (L.linalg.inv(a), L.linalg.matrix_power(a, -2)), A),
    "determinants": (lambda L, a: (L.linalg.det(a), *L.linalg.slogdet(a)), A),
    "lu": (lambda L, a: L.linalg.lu(a)[1:], TALL),
    "lu_solve": (lambda L, a, b: L.linalg.lu_solve(*L.linalg.lu_factor(a), b, adjoint=True), A[0], B),
    "cholesky": (lambda L, a: (L.linalg.cholesky(hermitian(a)), L.linalg.cholesky(hermitian(a), upper=True)), A),
    "qr": (lambda L, a: L.linalg.qr(a), TALL),
    "qr_wide": (lambda L, a: L.linalg.qr(a), WIDE_ONE),
    "eigh": (lambda L, a: (L.linalg.eigh(a).eigenvalues, projector(L.linalg.eigh(a, "U").eigenvectors)), A),
    "svd": (lambda L, a: (lambda u, s, vh: (s, u[:, :2] @ vh[:2]))(*L.linalg.svd(a, False)), TALL),
    "norms": (lambda L, a: (L.linalg.matrix_norm(a, "nuc"), L.linalg.matrix_norm(a, 2), L.linalg.cond(a)), WIDE_ONE),
    "pinv": (lambda L, a: L.linalg.pinv(a), TALL),
    "lstsq": (lambda L, a, b: L.linalg.lstsq(a, b).solution, TALL, numbers(4, 2)),
    "matrix_exp": (lambda L, a: L.linalg.matrix_exp(a), A),
    "products": (lambda L, a, b: (L.kron(a[0], b), a.adjoint() @ b, L.addmm(b, a[0], b, beta=2, alpha=1j),
                                  a.diagonal(0, 1, 2).sum(), a.triu().tril(), a[0].H.trace()), A, B),
    "eig": (lambda L, a: (L.linalg.eig(a).eigenvalues, L.linalg.eigvals(a[0]) ** 2), A),
    "eig_vectors": (lambda L, a: L.linalg.eig(a).eigenvectors.abs(), A),
    "eig_of_real": (lambda L, a: L.linalg.eig(a).eigenvalues, A.real),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name):
    function, *values = CASES[name]
    found = []
    for L in (genesis, torch):
        leaves = [to(L, v).requires_grad_() for v in values]
        results = function(L, *leaves)
        results = [results] if hasattr(results, "requires_grad") else list(results)
        seeds = [numbers(*y.shape, seed=7) for y in results]
        seeds = [to(L, s if y.is_complex() else s.real) for y, s in zip(results, seeds)]
        found.append([*results, *L.autograd.grad(results, leaves, seeds)])
    assert [str(x.dtype).split(".")[1] for x in found[0]] == [str(x.dtype).split(".")[1] for x in found[1]]
    for a, b in zip(*found):
        np.testing.assert_allclose(host(a), host(b), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("n", [2, pytest.param(19, marks=pytest.mark.slow), pytest.param(70, marks=pytest.mark.slow)])
def test_factors_of_matrices_of_any_rank(n):
    L = genesis.linalg
    low, tolerance = numbers(2, n + 2, 1) @ numbers(2, 1, n, seed=1), 2e-5
    for values in (numbers(2, n, n), low, low.swapaxes(-1, -2), np.zeros((1, n, n), complex)):
        a, size = to(genesis, values), max(1, np.abs(values).max())

        def same(x, y, size=size):
            np.testing.assert_allclose(x.numpy(), y, atol=tolerance * size, rtol=0)

        def unitary(q):
            same(q.mH @ q, np.broadcast_to(np.eye(q.shape[-1]), (len(q), *[q.shape[-1]] * 2)), 1)

        u, s, vh = L.svd(a)
        k = s.shape[-1]
        same(u[..., :k] * s.unsqueeze(-2) @ vh[..., :k, :], values)
        q, r = L.qr(a, "complete")
        same(q @ r, values)
        assert not r.tril(-1).any()
        for x in (u, vh.mH, q):
            unitary(x)
        p, lower, upper = L.lu(a)
        same(p @ lower @ upper, values)
        assert (L.matrix_rank(a) == torch.linalg.matrix_rank(torch.tensor(values)).numpy()[0]).all()
        both = a @ a.mH
        w, v = L.eigh(both)
        same(v * w.unsqueeze(-2) @ v.mH, both.numpy(), size * size * n)
        unitary(v)


def test_what_has_no_factors_is_an_error():
    L = genesis.linalg
    with pytest.raises(L.LinAlgError, match="positive definite"):
        L.cholesky(to(genesis, -np.eye(2) + 0j))
    with pytest.raises(L.LinAlgError, match="singular"):
        L.inv(to(genesis, np.full((2, 2), 1j)))
    with pytest.raises(L.LinAlgError, match="infinite"):
        L.eig(to(genesis, np.array([[1.0, np.inf], [0, 1]])))
    with pytest.raises(RuntimeError, match="square"):
        L.eigvals(to(genesis, TALL))
    with pytest.raises(RuntimeError, match="one type"):
        L.solve(to(genesis, A), to(genesis, B.real))
    assert L.slogdet(genesis.zeros(2, 2, dtype=genesis.cfloat)).logabsdet.item() == -np.inf
