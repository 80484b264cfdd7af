"""Sampling images on grids, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis import autograd
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

IMAGE = normal(2, 3, 4, 5).astype(np.float32)
EDGES = np.array([-3.3, -1.4, -1.0, -0.8, -0.3, 0.1, 0.77, 1.0, 1.3, 2.9], np.float32)
GRID = np.stack([np.stack(np.meshgrid(EDGES, EDGES[::3]), -1), np.stack(np.meshgrid(EDGES[::-1], EDGES[2::2]), -1)])


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, padding, align):
    def sample(lib, image, grid):
        return lib.nn.functional.grid_sample(image, grid, mode, padding, align)

    for image in (IMAGE, IMAGE[:, :, :1, :], IMAGE[:, :1, :, :2]):
        check_like_torch(sample, image, GRID, gradients=(0,) if mode == "nearest" else (0, 1))
    # Far away, a rounding of the position is many elements.
    check_like_torch(sample, IMAGE, normal(2, 5, 6, 2).astype(np.float32), gradients=(0,))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample_of_volumes(mode, padding):
    grid = np.stack(np.meshgrid(EDGES[::4], EDGES[1::3], EDGES[::-3]), -1)[None].repeat(2, 0)
    for align in (True, False):
        check_like_torch(lambda lib, x, at, align=align: lib.nn.functional.grid_sample(x, at, mode, padding, align),
                         normal(2, 2, 3, 4, 5).astype(np.float32), grid,
                         gradients=(0,) if mode == "nearest" else (0, 1))


@needs_float64
def test_second_derivatives():
    x, grid = leaf(normal(1, 2, 3, 4), genesis.float64), leaf(0.8 * np.tanh(normal(1, 2, 3, 2)), genesis.float64)
    assert autograd.gradgradcheck(lambda a, b: F.grid_sample(a, b, align_corners=False), (x, grid))


def test_positions_at_infinity_are_outside():
    grid = f32([[[[np.inf, 0.0], [0.0, -np.inf], [1e30, 1e30]]]])
    assert not F.grid_sample(f32(IMAGE[:1]), grid, align_corners=False).any()
    close(F.grid_sample(f32(IMAGE[:1]), grid[:, :, :1], padding_mode="border", align_corners=True),
          IMAGE[:1, :, 1:3, -1].mean(2)[:, :, None, None])


def test_sixteen_bits_keep_positions():
    x = genesis.randn(1, 1, 1, 500).bfloat16()
    grid = genesis.stack([genesis.linspace(-1, 1, 9), genesis.zeros(9)], -1).view(1, 1, 9, 2)
    y = F.grid_sample(x, grid.bfloat16(), align_corners=True)
    assert y.dtype is genesis.bfloat16
    close(y.float(), F.grid_sample(x.float(), grid, align_corners=True).numpy(), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("align", [True, False])
def test_affine_grid(align):
    for size in ((2, 3, 4, 5), (2, 1, 1, 3)):
        if align and 1 in size[2:]:
            continue                     # PyTorch warns
        check_like_torch(lambda lib, theta, size=size: lib.nn.functional.affine_grid(theta, size, align),
                         normal(2, 2, 3).astype(np.float32))
    check_like_torch(lambda lib, theta: lib.nn.functional.affine_grid(theta, (2, 1, 3, 4, 5), align),
                     normal(2, 3, 4).astype(np.float32))


def test_an_identity_gives_the_image_back():
    grid = F.affine_grid(genesis.eye(2, 3).expand(2, 2, 3), IMAGE.shape, align_corners=False)
    close(F.grid_sample(f32(IMAGE), grid, align_corners=False), IMAGE, atol=1e-5)


def test_what_does_not_fit_is_told():
    x, grid, theta = f32(IMAGE), f32(GRID), genesis.zeros(2, 2, 3)
    for error, call in (
            (ValueError, lambda: F.grid_sample(x, grid, "cubic")),
            (ValueError, lambda: F.grid_sample(x, grid, padding_mode="same")),
            (RuntimeError, lambda: F.grid_sample(x.unsqueeze(2), genesis.zeros(2, 1, 1, 1, 3), "bicubic")),
            (RuntimeError, lambda: F.grid_sample(x.unsqueeze(0), grid)),
            (RuntimeError, lambda: F.grid_sample(x, grid[:1])), (RuntimeError, lambda: F.grid_sample(x, grid[0])),
            (RuntimeError, lambda: F.grid_sample(x, grid[..., :1])),
            (RuntimeError, lambda: F.grid_sample(x, grid.half())),
            (RuntimeError, lambda: F.grid_sample(x[:, :, :0], grid)),
            (ValueError, lambda: F.affine_grid(theta.long(), (2, 1, 3, 3))),
            (ValueError, lambda: F.affine_grid(theta, (2, 1, 3, 3, 3))),
            (ValueError, lambda: F.affine_grid(theta, (2, 1, 0, 3))),
            (NotImplementedError, lambda: F.affine_grid(theta, (2, 1, 3))),
            (RuntimeError, lambda: F.affine_grid(theta, (3, 1, 3, 3)))):
        with pytest.raises(error):
            call()
