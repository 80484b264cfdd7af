"""Fourier transforms against NumPy's, in float64, and PyTorch's."""

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")

WIDE = genesis.device().fp64
# All radices, lengths beyond a work-group's local memory, and some with large prime factors.
LENGTHS = (1, 2, 12, 1001, 17, 34, 256, 6144)


def signal(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def close(mine, expected, bound=2e-6):
    """Whether the largest error is small beside the root of the mean square."""
    size = np.sqrt(np.mean(np.abs(expected) ** 2))
    assert mine.shape == expected.shape
    assert np.abs(mine - expected).max() <= bound * size


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n):
    x = signal(3, n)
    z, wide = genesis.tensor(x), x.astype(np.complex128)
    close(genesis.fft.fft(z).numpy(), np.fft.fft(wide))
    if n not in (12, 17):
        return
    close(genesis.fft.ifft(z).numpy(), np.fft.ifft(wide))
    close(genesis.fft.rfft(z.real).numpy(), np.fft.rfft(wide.real))
    half = z[:, :n // 2 + 1]
    close(genesis.fft.irfft(half, n).numpy(), np.fft.irfft(wide[:, :n // 2 + 1], n))


@pytest.mark.parametrize("n", [9, 20])
def test_rows_side_by_side_and_their_rest(n):
    x = signal(3, n, 7)                     # 21 rows are no whole bundles, 7 do not end with one
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        values = x.real.copy() if name in ("rfft", "ihfft") else x[:, :n // 2 + 1] if name in ("irfft", "hfft") else x
        for turned, axis in ((values, 1), (values.transpose(0, 2, 1).copy(), 2)):
            wide = turned.astype(np.complex128 if turned.dtype.kind == "c" else np.float64)
            mine = getattr(genesis.fft, name)(genesis.tensor(turned), n, axis).numpy()
            close(mine, getattr(np.fft, name)(wide, n, axis))


def test_real_rows_do_not_touch_one_another():
    x = np.zeros((9, 8), np.float32)
    x[0], x[2, 3], x[5] = 1, np.nan, 1e30
    found = genesis.fft.rfft(genesis.tensor(x)).numpy()
    assert np.isnan(found).all(1).tolist() == [i == 2 for i in range(9)]
    assert (found[[0, 1, 3, 4]] == np.fft.rfft(x[[0, 1, 3, 4]])).all()


def test_very_long_rows_are_cut_twice(monkeypatch):
    monkeypatch.setattr(genesis.ops.fft, "_MOST", 16)
    x = signal(2, 1200)
    close(genesis.fft.fft(genesis.tensor(x)).numpy(), np.fft.fft(x.astype(np.complex128)))
    wide = x[:, :601].astype(np.complex128)
    close(genesis.fft.irfft(genesis.tensor(x[:, :601])).numpy(), np.fft.irfft(wide))
    close(genesis.fft.hfft(genesis.tensor(x[:, :601])).numpy(), np.fft.hfft(wide))
    real = genesis.tensor(x.real.copy().ravel())[1:1201]           # pairs that do not lie as complex numbers do
    close(genesis.fft.ihfft(real).numpy(), np.fft.ihfft(x.real.ravel()[1:1201].astype(float)))


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_functions_are_pytorchs(norm):
    z = signal(2, 4, 4)
    for name in ("fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 hfft2 ihfft2 fftn ifftn rfftn irfftn hfftn "
                 "ihfftn").split():
        real = name.startswith(("rfft", "ihfft"))
        values = z.real.copy() if real else z
        options = {"s": (4, -1), "dim": (0, -1)} if name[-1] in "2n" else {"n": 4, "dim": 1}
        for given in ({}, options) if norm is None else (options,):
            mine = getattr(genesis.fft, name)(genesis.tensor(values), norm=norm, **given)
            its = getattr(torch.fft, name)(torch.tensor(values), norm=norm, **given)
            close(mine.numpy(), its.resolve_conj().numpy())
    if norm is None:
        for name in ("fftfreq", "rfftfreq"):
            for n in (5, 6):
                np.testing.assert_allclose(getattr(genesis.fft, name)(n, 0.5).numpy(),
                                           getattr(torch.fft, name)(n, 0.5).numpy(), rtol=1e-6)
        for name in ("fftshift", "ifftshift"):
            for dim in (None, 1, (0, 2)):
                assert np.array_equal(getattr(genesis.fft, name)(genesis.tensor(z), dim).numpy(),
                                      getattr(torch.fft, name)(torch.tensor(z), dim).numpy())


def test_types_and_errors():
    assert genesis.fft.fft(genesis.arange(4)).dtype is genesis.complex64
    assert genesis.fft.fftn(genesis.ones(2), dim=()).dtype is genesis.complex64
    if WIDE:
        x = genesis.arange(1001, dtype=genesis.float64)
        close(genesis.fft.rfft(x).numpy(), np.fft.rfft(x.numpy()), 1e-14)
        close(genesis.fft.rfft(x[:17]).numpy(), np.fft.rfft(x[:17].numpy()), 1e-14)
    z = genesis.tensor(signal(2, 3))
    for wrong, message in ((lambda: genesis.fft.rfft(z), "real tensor"),
                           (lambda: genesis.fft.fft(z, 0), "at least one"),
                           (lambda: genesis.fft.fft(z, norm="x"), "norm"),
                           (lambda: genesis.fft.fftn(z, dim=(1, -1)), "twice"),
                           (lambda: genesis.fft.fft(z.real.half()), "float16"),
                           (lambda: genesis.fft.fftn(z, s=(1, 2, 3)), "sizes"),
                           (lambda: genesis.fft.rfftn(z.real, dim=()), "dimension")):
        with pytest.raises(RuntimeError, match=message):
            wrong()
    with pytest.raises(IndexError):
        genesis.fft.fft(z, dim=2)


@pytest.mark.parametrize("name", ["fft", "ifftn", "hfft2", "irfft"])
def test_gradient_of_a_real_signal_is_real(name):
    values, found = signal(2, 7).real.copy(), []
    for L in (genesis, torch):
        x = L.tensor(values, requires_grad=True)
        y = getattr(L.fft, name)(x)
        (g,) = L.autograd.grad(y.abs().pow(3).sum(), x, create_graph=True)
        g.square().sum().backward()
        getattr(L.fft, name)(x).abs().sum().backward()
        assert x.grad.dtype is L.float32
        found.append((g.detach().numpy(), x.grad.numpy()))
    for mine, its in zip(*found, strict=True):
        close(mine, its, 2e-5)


@pytest.mark.parametrize("options", [{"n_fft": 20, "hop_length": 5, "win_length": 16, "normalized": True},
                                     {"n_fft": 15, "onesided": False, "center": False}])
def test_short_time_transforms_are_pytorchs(options):
    x = signal(2, 64).real.copy()
    found = []
    for L in (genesis, torch):
        s = L.tensor(x, requires_grad=True)
        window = L.hann_window(options.get("win_length", options["n_fft"])) + 0.1
        y = L.stft(s, window=window, return_complex=True, **options)
        (y.abs().sum() + (L.istft(y, window=window, **options) ** 3).sum()).backward()
        found.append([v.detach().numpy() for v in (y, L.istft(y, window=window, length=60, **options), s.grad)])
    for a, b in zip(*found):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_signals_are_filled_up_with_zeros():
    y = genesis.stft(genesis.ones(16), 8, return_complex=True)
    with pytest.warns(UserWarning, match="zeros"):
        assert genesis.istft(y, 8, length=24)[-4:].tolist() == [0] * 4


def test_short_time_transforms_of_complex_signals_and_errors():
    z = signal(40)
    mine, its = (L.stft(L.tensor(z), 8, window=L.ones(8)) for L in (genesis, torch))
    close(mine.numpy(), its.numpy())
    mine, its = (L.istft(y, 8, window=L.ones(8), onesided=False, return_complex=True)
                 for L, y in ((genesis, mine), (torch, its)))
    close(mine.numpy(), its.numpy())
    x = genesis.ones(40)
    for wrong, message in ((lambda: genesis.stft(x, 8), "return_complex"),
                           (lambda: genesis.stft(x, 8, window=genesis.ones(7), return_complex=True), "window"),
                           (lambda: genesis.stft(x, 8, 0, return_complex=True), "hop_length"),
                           (lambda: genesis.istft(genesis.ones(5, 3), 8), "complex"),
                           (lambda: genesis.istft(genesis.ones(4, 3, dtype=genesis.cfloat), 8, onesided=True),
                            "frequencies"),
                           (lambda: genesis.istft(genesis.ones(5, 3, dtype=genesis.cfloat), 8, 8, center=False,
                                                  window=genesis.hann_window(8)), "windows")):
        with pytest.raises(RuntimeError, match=message):
            wrong()


def test_a_fourier_neural_operator_trains_as_pytorchs():
    rng = np.random.default_rng(0)
    start = 0.3 * (rng.random((2, 3, 4, 4)) + 1j * rng.random((2, 3, 4, 4)))
    x, target = rng.standard_normal((2, 2, 8, 8)), rng.standard_normal((2, 3, 8, 8))
    found = []
    for L in (genesis, torch):
        weight = L.nn.Parameter(L.tensor(start, dtype=L.cfloat))
        optimizer = L.optim.Adam([weight], lr=0.01)
        given, wanted = (L.tensor(v, dtype=L.float32) for v in (x, target))
        for _ in range(4):
            spectrum = L.fft.rfft2(given)
            out = L.zeros(2, 3, 8, 5, dtype=L.cfloat)
            out[:, :, :4, :4] = L.einsum("bixy,ioxy->boxy", spectrum[:, :, :4, :4], weight)
            loss = L.nn.functional.mse_loss(L.fft.irfft2(out, s=(8, 8)), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found.append(weight.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
