"""Operations that only look at memory in another way, and those that join tensors."""

import itertools

import numpy as np
import pytest
from helpers import check_against_torch, check_gradients, close, f32, leaf, normal

import genesis


def _shares_memory(a, b):
    return a._array.buffer is b._array.buffer


def _factorizations(n, parts):
    if parts == 1:
        yield (n,)
        return
    for first in range(1, n + 1):
        if n % first == 0:
            yield from ((first, *rest) for rest in _factorizations(n // first, parts - 1))


VIEWS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.T,
    "swapped inner": lambda x: x.transpose(0, 2, 1) if isinstance(x, np.ndarray) else x.permute(0, 2, 1),
    "swapped outer": lambda x: x.transpose(1, 0, 2) if isinstance(x, np.ndarray) else x.permute(1, 0, 2),
    "steps": lambda x: x[:, ::2],
    "one": lambda x: x[:, 1:2],
    "row": lambda x: x[1],
    "repeated": lambda x: (np.broadcast_to(x[:, :1], (3, 2, 4)) if isinstance(x, np.ndarray)
                           else x[:, :1].expand(3, 2, 4)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_reshape_copies_only_where_it_must(name):
    values = np.arange(3 * 4 * 4, dtype=np.float64).reshape(3, 4, 4)
    x, expected = VIEWS[name](f32(values)), VIEWS[name](values)
    for parts in (1, 2, 3, 4):
        for shape in _factorizations(expected.size, parts):
            wanted = expected.reshape(shape)
            copies = not np.may_share_memory(wanted, expected)
            y = x.reshape(shape)
            assert _shares_memory(x, y) == (not copies), shape
            if not copies:
                steps = zip(shape, y.stride(), wanted.strides)
                assert all(n == 1 or mine == its // 8 for n, mine, its in steps)
            if copies:
                with pytest.raises(RuntimeError, match="no view"):
                    x.view(shape)
    close(x.reshape(-1), expected.reshape(-1))
    close(x.reshape(2, -1), expected.reshape(2, -1))


SHAPE_OPERATIONS = {
    "reshape": (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
    "reshape of a transpose": (lambda x: x.T.reshape(6, 4), lambda x: x.T.reshape(6, 4)),
    "view": (lambda x: x.view(6, 4), lambda x: x.reshape(6, 4)),
    "flatten": (lambda x: x.flatten(), lambda x: x.reshape(-1)),
    "flatten part": (lambda x: x.flatten(1, 2), lambda x: x.reshape(2, 12)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, -1)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda x: x[:, None]),
    "unsqueeze last": (lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    "squeeze": (lambda x: x[:, :1].squeeze(), lambda x: x[:, 0]),
    "squeeze dim": (lambda x: x[:, :1].squeeze(1), lambda x: x[:, 0]),
    "squeeze nothing": (lambda x: x.squeeze(1), lambda x: x),
    "expand": (lambda x: x[:, :1].expand(5, -1, 3, 4), lambda x: np.broadcast_to(x[:, :1], (5, 2, 3, 4))),
    "slice": (lambda x: x[:, 1:, ::2], lambda x: x[:, 1:, ::2]),
    "slice of a slice": (lambda x: x[1][1:].T[::2], lambda x: x[1][1:].T[::2]),
    "contiguous": (lambda x: x.T.contiguous(), lambda x: x.T),
    "clone": (lambda x: x.clone(), lambda x: x),
    "cat": (lambda x: genesis.cat([x, x[:, :1], x.relu()], 1),
            lambda x: np.concatenate([x, x[:, :1], np.maximum(x, 0)], 1)),
    "cat first": (lambda x: genesis.cat((x, x * 2)), lambda x: np.concatenate((x, x * 2))),
    "stack": (lambda x: genesis.stack([x, x * 3], -1), lambda x: np.stack([x, x * 3], -1)),
    "stack first": (lambda x: genesis.stack([x, x]), lambda x: np.stack([x, x])),
}


@pytest.mark.parametrize("name", SHAPE_OPERATIONS)
def test_values_and_gradients(name):
    check_gradients(*SHAPE_OPERATIONS[name], normal(2, 3, 4))


def test_against_torch():
    torch = pytest.importorskip("torch")
    for function in (lambda x: x.permute(1, 2, 0).reshape(3, 8), lambda x: x.flatten(0, 1).T,
                     lambda x: x.unsqueeze(0).expand(2, 2, 3, 4).squeeze(), lambda x: x[:, None, 1:].mT):
        check_against_torch(function, normal(2, 3, 4))
    for shape in ((), (1,), (3,), (1, 3, 1)):
        x, y = genesis.zeros(shape), torch.zeros(shape)
        for function in (lambda t: t.flatten(), lambda t: t.squeeze(), lambda t: t.unsqueeze(-1), lambda t: t.T
                         if t.ndim == 2 else t, lambda t: t.reshape(-1), lambda t: t.expand(2, *t.shape)):
            assert function(x).shape == tuple(function(y).shape)


def test_views_share_memory():
    x = f32(np.zeros((4, 6)))
    for view in (x.reshape(24), x.view(2, 12), x.T, x[1:], x[:, ::2], x[2], x.flatten(), x.unsqueeze(0), x.detach(),
                 x.data, x.permute(1, 0), x[:, :1].expand(4, 5), x.squeeze()):
        assert _shares_memory(x, view)
    x[1, 2] = 5
    x.T[3, 1] = 7
    part = x[1]
    assert part.tolist() == [0, 0, 5, 7, 0, 0]
    part.fill_(1)
    assert x.sum().item() == 6
    for copy in (x.clone(), x.T.contiguous(), x.T.reshape(24), x + 0, genesis.tensor(x)):
        assert not _shares_memory(x, copy)
    assert x.contiguous() is x


def test_strides_and_offsets():
    x = genesis.zeros(4, 6)
    assert x.stride() == (6, 1)
    assert x[1:, ::2].stride() == (6, 2)
    assert x[1:, ::2].storage_offset() == 6
    assert x.T.stride(0) == 1
    assert x.is_contiguous()
    assert not x.T.is_contiguous()
    assert x[1:].is_contiguous()
    assert genesis.zeros(3, 1).T.is_contiguous()


def test_errors():
    x = genesis.zeros(2, 3)
    for call in (lambda: x.reshape(5), lambda: x.reshape(-1, -1), lambda: x.reshape(-1, 4), lambda: x.permute(0, 0),
                 lambda: x.permute(0), lambda: x.expand(3), lambda: x.expand(4, 3), lambda: genesis.zeros(2, 2, 2).t(),
                 lambda: genesis.cat([]), lambda: genesis.cat([x, genesis.zeros(3, 2)]),
                 lambda: genesis.cat([x, genesis.zeros(3)]), lambda: genesis.stack([x, x.T]),
                 lambda: genesis.stack([]), lambda: x.reshape(-2, -3)):
        with pytest.raises(RuntimeError):
            call()
    for call in (lambda: x.unsqueeze(4), lambda: x.transpose(0, 2), lambda: x.flatten(3), lambda: x.squeeze(2),
                 lambda: genesis.cat([x], 2)):
        with pytest.raises(IndexError):
            call()


def test_empty_shapes():
    x = genesis.zeros(0, 3)
    assert x.reshape(3, 0).shape == (3, 0)
    assert x.reshape(-1, 3).shape == (0, 3)
    assert x.T.shape == (3, 0)
    assert x.flatten().shape == (0,)
    assert genesis.cat([x, genesis.ones(2, 3)]).tolist() == [[1, 1, 1]] * 2
    assert genesis.stack([x, x]).shape == (2, 0, 3)
    assert x.expand(2, 0, 3).shape == (2, 0, 3)


def test_cat_promotes_types_and_routes_gradients():
    a, b = leaf([1.0, 2.0]), genesis.tensor([3])
    y = genesis.cat([b, a, b])
    assert y.dtype is genesis.float32
    (y * genesis.tensor([10.0, 1.0, 2.0, 20.0])).sum().backward()
    assert a.grad.tolist() == [1, 2]
    assert b.grad is None
    for needs in itertools.product((False, True), repeat=3):
        parts = [genesis.tensor([[float(i)]], requires_grad=need) for i, need in enumerate(needs)]
        joined = genesis.cat(parts, 1)
        if any(needs):
            (joined * genesis.tensor([[1.0, 2.0, 3.0]])).sum().backward()
        for i, part in enumerate(parts):
            assert (part.grad is not None) == needs[i]
            if needs[i]:
                assert part.grad.item() == i + 1


@pytest.mark.parametrize("dtype", ["bool", "float16", "float32", "int64", "complex64"])
@pytest.mark.parametrize(("shape", "order"), [
    ((130, 141), (1, 0)), ((3, 70, 131), (0, 2, 1)), ((3, 70, 131), (2, 1, 0)), ((5, 40, 7, 33), (0, 3, 2, 1)),
    ((2, 3, 4, 50, 60), (0, 4, 1, 3, 2)), ((1000, 17), (1, 0)), ((17, 1000), (1, 0))])
def test_large_arrays_are_copied_to_and_from_other_orders(dtype, shape, order):
    x = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    tensor, moved = genesis.tensor(x), x.transpose(order)
    np.testing.assert_array_equal(tensor.permute(*order).contiguous().numpy(), moved)
    inner = tuple(slice(1, -1) if n > 100 else slice(None) for n in shape)
    np.testing.assert_array_equal(tensor[inner].permute(*order).contiguous().numpy(), x[inner].transpose(order))
    back = genesis.zeros(*shape, dtype=tensor.dtype)
    back.permute(*order).copy_(genesis.tensor(np.ascontiguousarray(moved)))
    np.testing.assert_array_equal(back.numpy(), x)
