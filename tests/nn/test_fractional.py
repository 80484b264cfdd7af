"""Fractional max-pooling against PyTorch, with its draws."""

import numpy as np
import pytest
from helpers import check_like_torch, normal

import genesis
from genesis.nn import functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("shape", "options"), [
    ((2, 3, 9, 12), {"kernel_size": 2, "output_size": (5, 7)}),
    ((2, 3, 9, 12), {"kernel_size": (3, 2), "output_ratio": (0.5, 0.75)}),
    ((3, 7, 8), {"kernel_size": 2, "output_size": 1}),
    ((2, 2, 6, 7, 8), {"kernel_size": (1, 2, 3), "output_size": (5, 4, 3)}),
    ((2, 5, 6, 7), {"kernel_size": 2, "output_ratio": 0.6})])
def test_fractional_max_pool(shape, options):
    n = 3 if len(shape) == 5 or shape == (2, 5, 6, 7) else 2
    lead = shape[:-n] if len(shape) == n + 2 else (1, *shape[:-n])
    samples = np.random.default_rng(0).random((*lead, n)).astype(np.float32)
    for indices in (False, True):
        def pool(lib, x, indices=indices):
            function = getattr(lib.nn.functional, f"fractional_max_pool{n}d")
            result = function(x, **options, return_indices=indices, _random_samples=lib.tensor(samples).to(x.dtype))
            return result[1] if indices else result

        check_like_torch(pool, normal(*shape).astype(np.float32), gradients=() if indices else (0,))


def test_layers_draw_anew_each_time():
    layer = genesis.nn.FractionalMaxPool2d(2, output_ratio=0.7, return_indices=True)
    genesis.manual_seed(0)
    x = genesis.randn(2, 3, 20, 20)
    (first, places), (second, _) = layer(x), layer(x)
    assert first.shape == (2, 3, 14, 14)
    assert not (first == second).all()
    assert (x.flatten(2).gather(2, places.flatten(2)).reshape(first.shape) == first).all()
    assert genesis.nn.FractionalMaxPool3d(2, output_size=3)(genesis.randn(1, 1, 5, 5, 5)).shape == (1, 1, 3, 3, 3)


def test_what_does_not_fit_is_told():
    x = genesis.zeros(1, 2, 5, 5)
    for error, call in (
            (ValueError, lambda: F.fractional_max_pool2d(x, 2)),
            (ValueError, lambda: genesis.nn.FractionalMaxPool2d(2)),
            (ValueError, lambda: F.fractional_max_pool2d(x, 2, 3, 0.5)),
            (ValueError, lambda: F.fractional_max_pool2d(x, 2, output_ratio=1.5)),
            (ValueError, lambda: genesis.nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.5, 0))),
            (RuntimeError, lambda: F.fractional_max_pool2d(x, 2, 5)),
            (RuntimeError, lambda: F.fractional_max_pool2d(x[0, 0], 2, 3)),
            (RuntimeError, lambda: F.fractional_max_pool2d(x, 2, 3, _random_samples=genesis.zeros(1, 2, 3)))):
        with pytest.raises(error):
            call()
