"""Matrix products: shapes, layouts, gradients, and the kernel of the other device class."""

import dataclasses
import itertools
import struct

import numpy as np
import pytest
from helpers import check_against_torch, check_gradients, close, f32, leaf, needs_float64, normal

import genesis
from genesis.ops import matmul, matmul_tiles

SHAPES = [
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((1, 1), (1, 1)), ((13, 33), (33, 1)),
    ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)), ((2, 1, 2, 3), (5, 3, 4)), ((2, 5, 2, 3), (5, 3, 4)),
    ((4, 2, 5, 2, 3), (3, 7)),
]
EMPTY = [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0,), (0,)), ((0, 2, 3), (3, 4)), ((2, 5, 0), (0, 4)),
         ((2, 3, 4), (4, 0)), ((2, 0, 4), (4, 3))]


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_shapes_and_gradients(a, b):
    check_gradients(lambda x, y: x @ y, np.matmul, normal(*a), normal(*b, seed=1))


@pytest.mark.parametrize(("a", "b"), EMPTY, ids=str)
def test_empty_products_are_zeros(a, b):
    x, y = leaf(np.ones(a)), leaf(np.ones(b))
    result = x @ y
    close(result, np.matmul(np.ones(a), np.ones(b)))
    result.sum().backward()
    close(x.grad, np.zeros(a))
    close(y.grad, np.zeros(b))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12, 13, 31, 32, 33, 64, 65, 70])
def test_odd_sizes(n):
    for m, k in ((1, n), (12, 5), (25, n), (70, 33)):
        a, b = normal(m, k), normal(k, n, seed=1)
        close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-4)


def test_sizes_chosen_at_random():
    rng = np.random.default_rng(0)
    for m, k, n in rng.integers(1, 71, (40, 3)):
        a, b = normal(12 * m, k), normal(k, n, seed=1)      # multiples of 12 rows: one kernel for each width
        close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-4)


def test_a_long_inner_dimension():
    a, b = normal(3, 70_001) / 300, normal(70_001, 2, seed=1)
    close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-3)
    close(f32(a[0]) @ f32(b[:, 0]), a[0] @ b[:, 0], rtol=1e-4, atol=1e-3)


def _transposed(x):
    return x.swapaxes(-1, -2) if isinstance(x, np.ndarray) else x.mT


LAYOUTS = {
    "plain": lambda x: x,
    "transposed": _transposed,
    "part": lambda x: x[..., 1:, :-1],
    "steps": lambda x: x[..., ::2, 1::2],
    "transposed steps": lambda x: _transposed(x)[..., 1:, ::2],
}


@pytest.mark.parametrize(("left", "right"), list(itertools.product(LAYOUTS, LAYOUTS)))
def test_views_as_operands(left, right):
    def product(x, y):
        x, y = LAYOUTS[left](x), LAYOUTS[right](y)
        k = min(x.shape[-1], y.shape[-2])
        return x[..., :k] @ y[..., :k, :]

    check_gradients(product, product, normal(9, 14), normal(14, 11, seed=1))


def test_batches_of_views():
    a, b = normal(4, 6, 3, 5), normal(6, 4, 5, 2, seed=1)
    check_gradients(lambda x, y: x.permute(1, 0, 2, 3) @ y, lambda x, y: x.transpose(1, 0, 2, 3) @ y, a, b)
    check_gradients(lambda x, y: x.reshape(4, 1, 3, 5).expand(4, 6, 3, 5) @ y.permute(1, 0, 2, 3),
                    lambda x, y: np.broadcast_to(x.reshape(4, 1, 3, 5), (4, 6, 3, 5)) @ y.transpose(1, 0, 2, 3),
                    normal(4, 3, 5), b)


def test_against_torch():
    for a, b in (((65, 33), (33, 70)), ((3, 4, 17), (17, 9)), ((2, 3, 4, 5), (3, 5, 6))):
        check_against_torch(lambda x, y: (x @ y).tanh(), normal(*a) / 4, normal(*b, seed=1) / 4, rtol=1e-4, atol=1e-5)
    check_against_torch(lambda x, y: x.T.matmul(y.T), normal(4, 5), normal(6, 4, seed=1))
    check_against_torch(lambda x: x @ x, normal(5, 5), rtol=1e-4, atol=1e-5)
    check_against_torch(lambda x: x @ x.T, normal(5, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_are_multiplied_in_float32_and_rounded_once(dtype):
    a = normal(13, 40).astype(dtype.numpy)
    b = normal(40, 9, seed=1).astype(dtype.numpy)
    x, y = genesis.tensor(a, requires_grad=True), genesis.tensor(b, requires_grad=True)
    result = x @ y
    assert result.dtype is dtype
    exact = a.astype(np.float64) @ b.astype(np.float64)
    unit = 2.0 ** -11 if dtype is genesis.float16 else 2.0 ** -8
    close(result.float(), exact, rtol=1.01 * unit, atol=1e-5)
    result.sum().backward()
    assert x.grad.dtype is y.grad.dtype is dtype
    close(x.grad.float(), np.ones((13, 9)) @ b.astype(np.float64).T, rtol=1.01 * unit, atol=1e-5)
    mixed = x.detach() @ genesis.ones(40, 2)
    assert mixed.dtype is genesis.float32


@needs_float64
def test_float64_products():
    a, b = np.random.default_rng(0).standard_normal((2, 37, 37))
    for m, n in ((37, 37), (3, 2), (1, 9), (30, 20)):
        close(genesis.tensor(a[:m]) @ genesis.tensor(b[:, :n]), a[:m] @ b[:, :n], rtol=1e-12, atol=1e-12)


def test_products_repeat_bit_for_bit():
    a, b = f32(normal(65, 301)), f32(normal(301, 70, seed=1))
    np.testing.assert_array_equal((a @ b).numpy(), (a @ b).numpy())


@pytest.fixture
def way(request, monkeypatch):
    """The kernel that products take, whatever the device would."""
    monkeypatch.setattr(matmul, "_way", lambda a: request.param)
    monkeypatch.setattr(matmul, "_SIDE", 8)
    monkeypatch.setattr(matmul, "_plans", {})
    return request.param


every_way = pytest.mark.parametrize("way", ["matmul_local", "matmul_tile"], indirect=True)


@every_way
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (31, 15, 33), (32, 16, 32), (65, 17, 63), (5, 0, 5)])
def test_the_kernels_of_other_devices(way, m, k, n):
    a, b, bias = normal(2, m, k), normal(2, k, n, seed=1), normal(n, seed=2)
    for x, y in ((f32(a), f32(b)), (f32(a.swapaxes(1, 2)).mT, f32(b)), (f32(a), f32(b.swapaxes(1, 2)).mT)):
        x, y = x._array, y._array
        close(genesis.Tensor._wrap(matmul.product(x, y)), a @ b, rtol=1e-4, atol=1e-4)
        close(genesis.Tensor._wrap(matmul.product(x, y, bias=f32(bias)._array)), a @ b + bias, rtol=1e-4, atol=1e-4)
        short = matmul.product(x, y, dtype=genesis.bfloat16)
        close(genesis.Tensor._wrap(short).float(), a @ b, rtol=2 ** -7, atol=1e-4)


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.bfloat16])
@pytest.mark.parametrize("k", [5, 257, pytest.param(600, marks=pytest.mark.lengthy)])
def test_blocks_of_every_layout(k, dtype):
    m, n = 61, 163
    bias = normal(n, seed=2)
    for left, right in itertools.product((0, 1, 2), (0, 1, 2)):
        def laid_out(x, how):
            x = f32(x).to(dtype)
            return x if how == 0 else x.T.contiguous().T if how == 1 else genesis.cat([x, x], 1)[:, :x.shape[1]]

        a, b = laid_out(normal(m, k), left), laid_out(normal(k, n, seed=1), right)
        exact = a.float().numpy().astype(float) @ b.float().numpy().astype(float) + bias
        result = genesis.nn.functional.linear(a, b.T, f32(bias)) if dtype is genesis.float32 else a @ b
        if dtype is genesis.bfloat16:
            close(result.float(), exact - bias, rtol=1.01 * 2.0 ** -8, atol=1e-4)
        else:
            close(result, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_the_tables_blocks_on_any_processor(width, monkeypatch):
    """Blocks for other vectors than the device's; rows about the most of a block, where A is copied and where not."""
    device, tiles = genesis.device(), matmul_tiles.TABLE[width]
    if matmul.tiles_for(device) is None or tiles.local_memory > device.local_memory:
        pytest.skip("products do not go by such blocks on this device")
    monkeypatch.setattr(matmul, "_plans", {})
    b = normal(259, 37, seed=1)
    with matmul_tiles.using(device, tiles):
        for m in (5, 2 * tiles.rows - 3, tiles.mc, tiles.mc + 1, tiles.mc * 4 // 3, tiles.mc * 4 // 3 + 1):
            a = normal(m, 259)
            for left in (f32(a), f32(a.T.copy()).T, f32(a.T.copy()).T.to(genesis.bfloat16)):
                exact = left.float().numpy().astype(float) @ b
                result = matmul.product(left._array, f32(b)._array, dtype=genesis.float32)
                close(genesis.Tensor._wrap(result), exact, rtol=1e-4, atol=1e-4)
            short = genesis.Tensor._wrap(matmul.product(left._array, f32(b)._array, dtype=genesis.bfloat16))
            close(short.float(), exact, rtol=1.01 * 2.0 ** -8, atol=1e-4)


def test_large_parts_of_b(monkeypatch):
    """As cores with large caches have them: here for few rows, whose parts have edges everywhere."""
    device, tiles = genesis.device(), matmul.tiles_for(genesis.device())
    if tiles is None:
        pytest.skip("products do not go by blocks on this device")
    monkeypatch.setattr(matmul, "_plans", {})
    monkeypatch.setattr(matmul, "_AMPLE_ROWS", 30)
    large = dataclasses.replace(tiles, large_mc=3 * tiles.rows_in_place, large_nc=64, large_kc=40)
    a, b = normal(77, 100), normal(100, 150, seed=1)
    with matmul_tiles.using(device, large):
        for right in (f32(b), f32(b.T.copy()).T):
            result = matmul.product(f32(a)._array, right._array)
            close(genesis.Tensor._wrap(result), a.astype(float) @ b, rtol=1e-4, atol=1e-4)
            (*_, rows, columns, steps) = struct.unpack("15q", next(reversed(matmul._plans.values()))[3])
            assert rows <= large.large_mc
            assert columns <= 64
            assert steps <= 40


def test_asking_ahead_changes_no_value(monkeypatch):
    rows, columns = f32(normal(75, 1024))[:, :300], f32(normal(300, 75, seed=1)).T       # both are copied by blocks
    in_place = f32(normal(75, 300, seed=3))
    b = f32(normal(300, 270, seed=2))
    for a, right in itertools.product((rows, columns, rows.bfloat16(), in_place), (b, b.T.contiguous().T)):
        results = []
        for near in (1 << 40, 0):
            monkeypatch.setattr(matmul, "_plans", {})
            monkeypatch.setattr(matmul, "_NEAR", near)
            results.append((a @ right).numpy())
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("m", [255, 256, 371])
def test_many_long_rows(m):
    """Copied where that lets more of them be in registers."""
    a, b = normal(m, 300), normal(300, 257, seed=1)
    close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-4)


def test_rows_a_multiple_of_a_page_apart():
    a, b = normal(50, 1024), normal(1024, 40, seed=1)
    close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-4)


def test_batches_in_two_dimensions_are_not_copied(monkeypatch):
    def refuse(x):
        raise AssertionError(f"copied {x}")

    q, k = f32(normal(2, 7, 3, 5)), f32(normal(2, 6, 3, 5, seed=1))
    expected = np.einsum("bthd,bshd->bhts", q.numpy(), k.numpy())
    monkeypatch.setattr(matmul, "copy", refuse)
    close(q.permute(0, 2, 1, 3) @ k.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [genesis.int32, genesis.int64, genesis.int8])
def test_products_of_integers(dtype):
    a, b = np.random.default_rng(0).integers(-90, 90, (2, 33, 33)).astype(dtype.numpy)
    result = genesis.tensor(a) @ genesis.tensor(b).T
    assert result.dtype is dtype
    np.testing.assert_array_equal(result.numpy(), a @ b.T)


def test_long_inner_dimensions_are_split_where_a_device_limits_loops(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=16))
    a, b = normal(2, 5, 37), normal(37, 6, seed=1)
    close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-5)
    close(genesis.Tensor._wrap(matmul.product(f32(a)._array, f32(np.broadcast_to(b, (2, 37, 6)))._array)), a @ b,
          rtol=1e-4, atol=1e-5)


def test_shapes_and_types_that_do_not_fit():
    with pytest.raises(RuntimeError, match="3 columns meet 4 rows"):
        genesis.zeros(2, 3) @ genesis.zeros(4, 2)
    with pytest.raises(RuntimeError):
        genesis.zeros(2, 2, 3) @ genesis.zeros(3, 3, 4)
    with pytest.raises(RuntimeError, match="at least one dimension"):
        genesis.zeros(3) @ genesis.tensor(1.0)
    with pytest.raises(RuntimeError, match="int64"):
        genesis.tensor([1, 2]) @ genesis.zeros(2)
    with pytest.raises(RuntimeError, match="bool"):
        genesis.tensor([True]) @ genesis.tensor([True])
    with pytest.raises(TypeError):
        genesis.zeros(3) @ 2


def test_gradients_go_only_where_they_are_asked_for():
    a, b = normal(3, 4), normal(4, 5, seed=1)
    x, y = f32(a), leaf(b)
    (x @ y).sum().backward()
    assert x.grad is None
    close(y.grad, a.T @ np.ones((3, 5)))
    x, y = leaf(a), f32(b)
    (x @ y).sum().backward()
    assert y.grad is None
    close(x.grad, np.ones((3, 5)) @ b.T)
