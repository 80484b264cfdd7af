"""Sampling images on grids, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis import autograd
from genesis.nn import functional as F
from genesis.ops import grid as ops

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
        check_like_torch(sample, image, GRID, gradients=(0, 1))
    # Far away, a rounding of the position is many elements.
    check_like_torch(sample, IMAGE, normal(2, 5, 6, 2).astype(np.float32), gradients=(0,))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample_of_volumes(mode, padding):
    grid = np.stack(np.meshgrid(EDGES[::4], EDGES[1::3], EDGES[::-3]), -1)[None].repeat(2, 0)
    for align in (True, False):
        check_like_torch(lambda lib, x, at, align=align: lib.nn.functional.grid_sample(x, at, mode, padding, align),
                         normal(2, 2, 3, 4, 5).astype(np.float32), grid,
                         gradients=(0, 1))


@needs_float64
def test_second_derivatives():
    x, grid = leaf(normal(1, 2, 3, 4), genesis.float64), leaf(0.8 * np.tanh(normal(1, 2, 3, 2)), genesis.float64)
    assert autograd.gradgradcheck(lambda a, b: F.grid_sample(a, b, align_corners=False), (x, grid))


@pytest.mark.parametrize(("mode", "padding"), [("bicubic", "zeros"), ("bicubic", "reflection"), ("bilinear", "border"),
                                               ("nearest", "reflection")])
def test_recorded_gradients_are_those_of_the_kernel(mode, padding):
    x, grid = leaf(IMAGE, genesis.float32), leaf(GRID, genesis.float32)
    y = F.grid_sample(x, grid, mode, padding, False)
    g = f32(normal(*y.shape))
    for mine, theirs in zip(autograd.grad(y, (x, grid), g, retain_graph=True),
                            autograd.grad(y, (x, grid), g, create_graph=True)):
        close(mine, theirs.detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.fixture(params=["spread", "collect"])
def way(request, monkeypatch):
    """Both ways to the gradient of the image, whichever the device would take."""
    if request.param == "collect" and genesis.device().quirks.max_loop:
        pytest.skip("the device ends loops early: sorted positions are not for it")
    monkeypatch.setattr(ops, "by_columns", lambda *_: request.param == "spread")


def test_positions_that_share_elements_add_up(way):
    x = normal(2, 3, 4, 5).astype(np.float32)
    grid = (0.3 * normal(2, 40, 2, 2)).astype(np.float32)
    check_like_torch(lambda lib, x, at: lib.nn.functional.grid_sample(x, at, "bicubic", align_corners=False), x, grid)
    first, second = leaf(x, genesis.float32), leaf(x, genesis.float32)
    for image in (first, second):
        F.grid_sample(image, f32(grid), align_corners=False).sin().sum().backward()
    assert (first.grad == second.grad).all()
    flat = leaf(x[:, :, None].repeat(3, 2), genesis.float32)
    deep = f32(np.concatenate([grid, grid[..., :1]], -1)[:, None])
    F.grid_sample(flat, deep, padding_mode="border", align_corners=True).sum().backward()
    close(flat.grad.sum(), 2 * 3 * 80, rtol=1e-5)          # weights of a position inside add up to 1


def test_parts_of_larger_tensors(way):
    image, grid = normal(2, 3, 6, 10).astype(np.float32), normal(2, 4, 10, 3).astype(np.float32)
    check_like_torch(lambda lib, x, at: lib.nn.functional.grid_sample(
        x[:, 1:, ::2, 3:].transpose(2, 3), at[:, :, ::2, 1:], align_corners=False), image, grid)


def test_positions_that_are_no_numbers():
    grid = np.array([[[[np.nan, 0.0], [0.0, np.nan]]]], np.float32)
    for padding in ("zeros", "border", "reflection"):
        for mode in ("bilinear", "nearest", "bicubic"):
            check_like_torch(lambda lib, x, at, mode=mode, padding=padding: lib.nn.functional.grid_sample(
                x, at, mode, padding, align_corners=False), IMAGE[:1], grid, gradients=())


def test_nothing_to_sample():
    x, grid = leaf(IMAGE, genesis.float32), leaf(np.zeros((2, 0, 3, 2)), genesis.float32)
    y = F.grid_sample(x, grid)
    y.sum().backward()
    assert y.shape == (2, 3, 0, 3)
    assert not x.grad.any()
    assert grid.grad.shape == (2, 0, 3, 2)


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
