"""What stands between the brackets: reading, assigning, gradients, errors."""

import dataclasses

import numpy as np
import pytest
from helpers import check_gradients, close, f32, leaf, normal

import genesis

SHAPE = (4, 5, 6)
VIEWS = [0, -1, (1, 2), (1, 2, 3), slice(None), slice(1, 3), slice(None, None, 2), slice(-2, None), slice(3, 1),
         slice(5, 9), ..., (), None, (None, 1), (..., 0), (0, ...), (slice(None), 2), (slice(1, 3), None, ..., 1),
         (..., slice(1, 5, 2)), (1, ..., slice(2, 4)), (slice(None), slice(None), slice(None)), np.int64(2),
         (None, None, ..., None)]
LISTS = [[0, 2], [3, -1, 3], [[0, 1], [2, 3]], [], (slice(None), [4, 0]), (..., [1, 1, 5]), ([0, 1], [2, 3]),
         ([0, 1], slice(None), [2, 3]), (slice(None), [0, 1], [2, 3]), ([[0], [1]], [2, 3]), (1, [0, 2]),
         ([0, 2], 3), (None, [0, 2]), ([0, 2], None, [1, 3]), ([1], slice(1, 4, 2), slice(2, None)),
         (slice(1, None), [-1, -5], ...), ([0, 1], ..., [2, 3]), ([0, 3], [1, 2], [3, 4])]


def _masks():
    rng = np.random.default_rng(0)
    return [rng.random(SHAPE) > 0.5, rng.random(4) > 0.5, rng.random((4, 5)) > 0.5, np.zeros(4, bool),
            (slice(None), rng.random(5) > 0.5), (0, rng.random((5, 6)) > 0.5), (..., rng.random(6) > 0.5),
            (np.array([True, False, True, False]), [1, 2]), (slice(1, 3), rng.random((5, 6)) > 0.5),
            (rng.random((4, 5)) > 0.9, slice(None, None, 2))]


def _as_tensors(index):
    """The same index with tensors in the place of lists and arrays."""
    if isinstance(index, tuple):
        return tuple(_as_tensors(i) for i in index)
    if isinstance(index, list | np.ndarray):
        array = np.asarray(index)
        return genesis.tensor(array, dtype=genesis.int64 if array.size == 0 else
                              genesis.float32 if array.dtype.kind == "f" else None)
    return index


def _as_arrays(index):
    if isinstance(index, tuple):
        return tuple(_as_arrays(i) for i in index)
    return np.array(index, int if not index else None) if isinstance(index, list) else index


@pytest.mark.parametrize("index", VIEWS, ids=str)
def test_views(index):
    values = normal(*SHAPE)
    x = f32(values)
    y = x[index]
    assert y._array.buffer is x._array.buffer
    close(y, values[index])


@pytest.mark.parametrize("index", LISTS + _masks(), ids=str)
def test_reading_by_arrays(index):
    values = normal(*SHAPE)
    expected = values[_as_arrays(index)]
    close(f32(values)[index], expected)
    close(f32(values)[_as_tensors(index)], expected)
    turned = f32(values.transpose(2, 0, 1)).permute(1, 2, 0)      # the same values, other strides
    close(turned[_as_tensors(index)], expected)


def test_an_integer_beside_arrays_is_taken_first():
    # NumPy would count the integer as an array and put the new dimension in front; PyTorch does as here.
    torch = pytest.importorskip("torch")
    values = normal(*SHAPE)
    close(f32(values)[0, :, [1, 2]], torch.tensor(values)[0, :, [1, 2]].numpy())


@pytest.mark.parametrize("index", VIEWS + LISTS + _masks(), ids=str)
def test_assignment(index):
    values = normal(*SHAPE)
    x = f32(values)
    places = _as_arrays(index)
    x[_as_tensors(index)] = 7
    values[places] = 7
    close(x, values)
    some = normal(*values[places].shape, seed=1)
    some[...] = some.reshape(-1)[:1].repeat(some.size).reshape(some.shape) if some.size else some
    x[index] = f32(some)
    values[places] = some
    close(x, values)
    row = normal(*values[places].shape[-1:], seed=2)
    x[index] = f32(row)
    values[places] = row
    close(x, values)


def test_assignment_to_distinct_places_keeps_their_order():
    values = np.zeros(SHAPE)
    x = f32(values)
    index = ([3, 0, 2], slice(None), [5, 1, 0])
    some = normal(3, 5)
    x[index] = f32(some)
    values[index] = some
    close(x, values)
    turned, expected = f32(normal(6, 4)).T, normal(6, 4).T.copy()
    turned[[2, 0]] = f32(normal(2, 6, seed=1))
    expected[[2, 0]] = normal(2, 6, seed=1)
    close(turned, expected)
    x[[0, 0, 0], 0, 0] = f32([1, 2, 3])
    assert x[0, 0, 0].item() == 3


def test_assignment_converts_and_broadcasts():
    x = genesis.zeros(3, 2, dtype=genesis.int64)
    x[0] = 2.7
    x[1] = f32([1.5, -1.5])
    x[2] = [5, 6]
    assert x.tolist() == [[2, 2], [1, -1], [5, 6]]
    x[1] = f32([[[8, 9]]])                     # leading dimensions of size 1 are dropped
    x[[0, 2]] = genesis.tensor([[[4], [3]]])
    assert x.tolist() == [[4, 4], [8, 9], [3, 3]]
    x[x > 4] = 0
    assert x.tolist() == [[4, 4], [0, 0], [3, 3]]
    x[:, 0] += 1
    assert x.tolist() == [[5, 4], [1, 0], [4, 3]]
    y = f32(np.arange(6).reshape(2, 3))
    y[0], y[1] = y[1].clone(), y[0].clone()
    assert y.tolist() == [[3, 4, 5], [0, 1, 2]]
    y[:, 1:] = y[:, :-1]
    assert y.tolist() == [[3, 3, 4], [0, 0, 1]]
    y[...] = np.ones((2, 3), np.float32)
    assert y.sum().item() == 6
    with pytest.raises(RuntimeError):
        y[0] = f32([1, 2])
    with pytest.raises(RuntimeError):
        y[[0, 1]] = f32(np.ones((3, 3)))


@pytest.mark.parametrize("index", [VIEWS[i] for i in (0, 3, 6, 13, 15, 17)] + LISTS + _masks(), ids=str)
def test_gradients(index):
    check_gradients(lambda x: x[_as_tensors(index)] * 2, lambda x: x[_as_arrays(index)] * 2, normal(*SHAPE))


def test_repeated_indices_add_their_gradients():
    x = leaf(normal(5, 2))
    index = genesis.tensor([1, 1, -4, 0])
    (x[index] * f32([[1], [2], [4], [8]])).sum().backward()
    assert x.grad.tolist() == [[8, 8], [7, 7], [0, 0], [0, 0], [0, 0]]


def test_long_indices_are_split_where_a_device_limits_loops(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=16))
    index = np.random.default_rng(0).integers(-5, 5, 50)
    check_gradients(lambda x: x[genesis.tensor(index)], lambda x: x[index], normal(5, 3))
    values, x = normal(5, 3), f32(normal(5, 3))
    values[index] = normal(50, 3, seed=1)
    x[index] = f32(normal(50, 3, seed=1))
    close(x, values)


def test_very_long_indices():
    index = np.random.default_rng(0).integers(0, 3, 70_001)
    x = leaf(np.zeros(3))
    x[genesis.tensor(index)].sum().backward()
    assert x.grad.tolist() == np.bincount(index).tolist()
    y = genesis.zeros(3)
    y[genesis.tensor(index)] = f32(np.arange(70_001))
    assert y.tolist() == [np.flatnonzero(index == i)[-1] for i in range(3)]


def test_indices_drawn_at_random():
    rng = np.random.default_rng(1)
    for _ in range(60):
        shape = tuple(rng.integers(1, 6, rng.integers(1, 5)))
        values = rng.standard_normal(shape).astype(np.float32)
        index, lists = [], 0
        for n in shape[:rng.integers(1, len(shape) + 1)]:
            kind = rng.integers(5)
            if rng.random() < 0.2:
                index.append(None)
            if kind == 0 and not lists:
                index.append(int(rng.integers(-n, n)))
            elif kind <= 2:
                index.append(slice(*rng.integers(-n - 1, n + 2, 2).tolist(), int(rng.integers(1, 4))))
            elif kind == 3:
                index.append(rng.integers(-n, n, (1, 3)[rng.integers(2)]))
                lists += 1
            else:
                index.append(slice(None))
        if lists and any(isinstance(i, int) for i in index):
            continue                            # where NumPy and PyTorch differ
        x, places = f32(values), tuple(index)
        close(x[_as_tensors(places)], values[places])
        if not lists:
            assert x[places]._array.buffer is x._array.buffer
        x[_as_tensors(places)] = -1.0
        values[places] = -1
        close(x, values)


@pytest.mark.parametrize("dtype", [genesis.int8, genesis.bool, genesis.int16, genesis.float16, genesis.bfloat16,
                                   genesis.int64, genesis.int32])
def test_every_element_size(dtype):
    values = (np.arange(12).reshape(4, 3) % 2).astype(dtype.numpy)
    x = genesis.tensor(values)
    np.testing.assert_array_equal(x[[2, 0]].numpy(), values[[2, 0]])
    x[[1, 3]] = 1
    values[[1, 3]] = 1
    np.testing.assert_array_equal(x.numpy(), values)


@pytest.mark.parametrize("index", [4, -5, (0, 5), (0, 0, 0, 0), [4], [-5], (slice(None), [5]), 1.5, "a", (..., ...),
                                   [0.5], np.zeros(3, bool), (0, np.zeros((4, 5), bool)), ([0, 1], [0, 1, 2]),
                                   (True, 0), (0, np.bool_(True)), (np.array(True), 0), (0, 0, [6])], ids=str)
def test_errors(index):
    x = genesis.zeros(4, 5, 6)
    for places in (index, _as_tensors(index)):
        with pytest.raises(IndexError):
            x[places]
            genesis.synchronize()      # what tensors hold is found out on the device
        with pytest.raises(IndexError):
            x[places] = 1.0
            genesis.synchronize()


def test_slices_run_forwards():
    with pytest.raises(ValueError, match="positive"):
        genesis.zeros(4)[::-1]


def test_tensors_as_integers():
    x = f32(np.arange(5))
    at = genesis.tensor(3)
    assert x[at].item() == 3
    assert x[at]._array.buffer is x._array.buffer
    assert list(range(5))[at] == 3
    assert x[genesis.tensor(1):at].tolist() == [1, 2]
    assert [int(v) for v in genesis.tensor([1, 2])] == [1, 2]
    with pytest.raises(TypeError):
        list(range(5))[f32(1.0)]


def test_empty_tensors():
    x = genesis.zeros(0, 3)
    assert x[:, 1].shape == (0,)
    assert x[genesis.zeros(0, dtype=genesis.bool)].shape == (0, 3)
    assert x[[]].shape == (0, 3)
    x[:] = 1.0
    x[[]] = 1.0
    with pytest.raises(IndexError):
        x[[0]]
    y = leaf(normal(3, 2))
    y[[]].sum().backward()
    assert y.grad.tolist() == [[0, 0]] * 3


def test_iteration():
    x = f32(normal(3, 2))
    assert len(x) == 3
    assert [row.tolist() for row in x] == x.tolist()
    _, _, c = x
    assert c.tolist() == x[2].tolist()
    with pytest.raises(TypeError):
        len(genesis.tensor(1.0))
    with pytest.raises(TypeError):
        iter(genesis.tensor(1.0))
    assert (1.0 in f32([1.0, 2.0])) is True


def test_many_index_arrays():
    rng = np.random.default_rng(3)
    x, at = rng.standard_normal((3, 2, 4, 3, 2, 3)), [rng.integers(-n, n, (7, 5)) for n in (3, 2, 4, 3, 2, 3)]
    for n in range(2, 7):
        def read(x, n=n):
            return x[tuple(genesis.tensor(i) for i in at[:n])]

        def same(x, n=n):
            return x[tuple(at[:n])]

        check_gradients(read, same, x)
    z = leaf(x)
    y = z[tuple(genesis.tensor(i) for i in at)]
    (first,) = genesis.autograd.grad((y ** 3).sum(), z, create_graph=True)
    (second,) = genesis.autograd.grad(first.sum(), z)
    counts = np.zeros(x.shape)
    np.add.at(counts, tuple(at), 1)
    close(second, 6 * x * counts, rtol=1e-5)


def test_an_error_names_the_dimension_that_an_index_leaves():
    x = genesis.ones(4, 5, 6)
    for bad, size in (([1, 5, 0], 5), ([-5, 0, 0], 4), ([0, 4, 6], 6)):
        index = tuple(genesis.tensor([0, i]) for i in bad)
        for source in (x, x.unsqueeze(-1)):
            y = source[index]
            with pytest.raises(IndexError, match=f"of size {size}"):
                genesis.synchronize()
            assert y.flatten().tolist() == [1, 0]
