"""Interpolation and pixel shuffling against PyTorch."""

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

SIZES = [((2, 3, 5, 7), {"size": (8, 3)}), ((1, 2, 4, 4), {"scale_factor": 2}), ((2, 1, 9, 31), {"scale_factor": 1.7}),
         ((1, 2, 6, 5), {"scale_factor": (0.5, 2.3)}), ((1, 1, 1, 33), {"size": (1, 65)}), ((2, 2, 3, 3), {"size": 1}),
         ((1, 2, 6, 5), {"scale_factor": 1.7, "recompute_scale_factor": True}), ((0, 2, 3, 3), {"size": 5})]
MODES = [("nearest", None), ("nearest-exact", None), ("bilinear", False), ("bilinear", True), ("bicubic", False),
         ("bicubic", True), ("area", None)]
LINES = [("nearest", None), ("linear", None), ("linear", True), ("area", None)]


def compare(x, dtype=genesis.float32, tolerance=2e-6, **options):
    a = leaf(x, dtype)
    b = torch.tensor(a.detach().numpy().astype(np.float64 if dtype is genesis.float64 else np.float32),
                     requires_grad=True)
    y, z = F.interpolate(a, **options), torch.nn.functional.interpolate(b, **options)
    assert y.dtype is dtype
    close(y, z.detach().numpy(), rtol=tolerance, atol=tolerance)
    g = normal(*z.shape, seed=3)
    y.backward(genesis.tensor(g, dtype=dtype))
    z.backward(torch.tensor(g, dtype=b.dtype))
    close(a.grad, b.grad.numpy(), rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize(("shape", "options"), SIZES, ids=str)
@pytest.mark.parametrize(("mode", "align"), MODES)
def test_interpolate_planes_matches_torch(shape, options, mode, align):
    compare(normal(*shape), tolerance=1e-5, mode=mode, align_corners=align, **options)


@pytest.mark.parametrize(("mode", "align"), LINES)
@pytest.mark.parametrize("options", [{"size": 9}, {"scale_factor": 1003 / 65}, {"scale_factor": 0.3}], ids=str)
def test_interpolate_lines_matches_torch(mode, align, options):
    compare(normal(2, 3, 65), mode=mode, align_corners=align, tolerance=2e-5, **options)


@pytest.mark.parametrize(("mode", "align"), [("nearest", None), ("nearest-exact", None), ("trilinear", False),
                                             ("trilinear", True), ("area", None)])
@pytest.mark.parametrize("options", [{"size": (5, 3, 8)}, {"scale_factor": 2}, {"scale_factor": (0.5, 1.7, 1.0)}],
                         ids=str)
def test_interpolate_volumes_matches_torch(mode, align, options):
    compare(normal(2, 3, 4, 5, 6), mode=mode, align_corners=align, tolerance=1e-5, **options)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(("dtype", "unit"), [
    (genesis.float16, 2.0 ** -10), (genesis.bfloat16, 2.0 ** -7),
    pytest.param(genesis.float64, 1e-14, marks=needs_float64)])
def test_interpolate_in_other_types(mode, dtype, unit):
    compare(normal(1, 2, 4, 5), dtype, unit, mode=mode, size=(7, 11))


def test_interpolate_views():
    x = normal(2, 6, 5, 4)
    for view in (lambda v: v.permute(0, 1, 3, 2), lambda v: v[:, ::2, 1:]):
        a, b = leaf(x), torch.tensor(x, requires_grad=True)
        y = F.interpolate(view(a), scale_factor=2, mode="bilinear")
        z = torch.nn.functional.interpolate(view(b), scale_factor=2, mode="bilinear")
        close(y, z.detach().numpy())
        (y * y).sum().backward()
        (z * z).sum().backward()
        close(a.grad, b.grad.numpy(), rtol=1e-4, atol=1e-4)


def test_nearest_keeps_what_is_not_finite():
    x = f32([[[[np.inf, -np.inf, np.nan, 1.0]]]])
    np.testing.assert_array_equal(F.interpolate(x, scale_factor=2).numpy()[0, 0, 1], np.repeat(x.numpy()[0, 0, 0], 2))


@pytest.mark.parametrize(("shape", "r"), [((2, 12, 3, 5), 2), ((9, 4, 1), 3), ((1, 2, 4, 2, 2), 1)])
def test_pixel_shuffle_matches_torch_and_is_undone(shape, r):
    x = normal(*shape)
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    y, z = F.pixel_shuffle(a, r), torch.nn.functional.pixel_shuffle(b, r)
    np.testing.assert_array_equal(y.detach().numpy(), z.detach().numpy())
    np.testing.assert_array_equal(F.pixel_unshuffle(y, r).detach().numpy(), x)
    g = normal(*z.shape, seed=1)
    y.backward(f32(g))
    z.backward(torch.tensor(g))
    np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_layers():
    x = f32(normal(1, 8, 4, 6))
    wanted = torch.tensor(x.numpy())
    for name, options in (("Upsample", {"scale_factor": 2}), ("PixelShuffle", {"upscale_factor": 2}),
                          ("Upsample", {"size": (3, 9), "mode": "bilinear", "align_corners": True}),
                          ("PixelUnshuffle", {"downscale_factor": 2})):
        layer = getattr(nn, name)(**options)
        close(layer(x), getattr(torch.nn, name)(**options)(wanted).numpy())
        assert next(iter(options)) in repr(layer)


def test_what_does_not_fit_is_told():
    x = genesis.zeros(1, 4, 3, 3)
    for error, message, call in (
            (ValueError, "either size or scale_factor", lambda: F.interpolate(x)),
            (ValueError, "either size or scale_factor", lambda: F.interpolate(x, 3, 2.0)),
            (ValueError, "not one number or 2", lambda: F.interpolate(x, (3, 3, 3))),
            (ValueError, "not one number or 2", lambda: F.interpolate(x, scale_factor=(1.0,))),
            (ValueError, "align_corners only", lambda: F.interpolate(x, 5, align_corners=True)),
            (ValueError, "recompute_scale_factor", lambda: F.interpolate(x, 5, recompute_scale_factor=True)),
            (NotImplementedError, "'linear' does not go", lambda: F.interpolate(x, 5, mode="linear")),
            (NotImplementedError, "'trilinear' does not go", lambda: F.interpolate(x, 5, mode="trilinear")),
            (NotImplementedError, "'cubic' does not go", lambda: F.interpolate(x, 5, mode="cubic")),
            (RuntimeError, "at least 1", lambda: F.interpolate(x, scale_factor=0.1)),
            (RuntimeError, "floating", lambda: F.interpolate(x.long(), 5)),
            (RuntimeError, "no multiple", lambda: F.pixel_shuffle(x, 3)),
            (RuntimeError, "no multiples", lambda: F.pixel_unshuffle(x, 2)),
            (RuntimeError, "at least 3", lambda: F.pixel_shuffle(x[0, 0], 2)),
            (RuntimeError, "at least 1", lambda: F.pixel_shuffle(x, 0))):
        with pytest.raises(error, match=message):
            call()


def test_older_names():
    x = normal(2, 3, 4, 5)
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        for options in ({"scale_factor": 2}, {"size": (6, 7)}, {"scale_factor": (2, 1.5)}):
            mine, its = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
            assert repr(mine) == repr(its)
            close(mine(f32(x)), its(torch.tensor(x)).numpy())
    close(F.upsample(f32(x), scale_factor=2, mode="bilinear"),
          torch.nn.functional.interpolate(torch.tensor(x), scale_factor=2, mode="bilinear").numpy())
    close(F.upsample_nearest(f32(x), 6), torch.nn.functional.interpolate(torch.tensor(x), 6).numpy())
    close(F.upsample_bilinear(f32(x), (6, 7)),
          torch.nn.functional.interpolate(torch.tensor(x), (6, 7), mode="bilinear", align_corners=True).numpy())


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("options", [
    {"size": (3, 9)}, {"size": 4, "align_corners": True}, {"scale_factor": 0.37}, {"scale_factor": (2.3, 0.5)},
    {"scale_factor": 0.37, "recompute_scale_factor": True}, {"size": 1}], ids=str)
def test_antialiased_planes_match_torch(mode, options):
    compare(normal(2, 3, 13, 11), tolerance=1e-5, mode=mode, antialias=True, **options)


def test_antialiasing_keeps_types_and_out_of_autocast():
    compare(normal(1, 2, 8, 9), genesis.bfloat16, 2.0 ** -7, mode="bilinear", size=(3, 4), antialias=True)
    x = genesis.tensor(normal(1, 1, 8, 8), dtype=genesis.float32)
    with genesis.autocast():
        inside = F.interpolate(x, size=3, mode="bicubic", antialias=True)
    np.testing.assert_array_equal(inside.numpy(), F.interpolate(x, size=3, mode="bicubic", antialias=True).numpy())
    with pytest.raises(ValueError, match="antialias only goes"):
        F.interpolate(x, size=3, antialias=True)
