"""What a tensor is: properties, conversion, change in place, printing."""

import math

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis


def test_in_place_arithmetic():
    values = normal(5, 3)
    x = f32(values)
    before, buffer = x, x._array.buffer
    x += 1
    x *= f32(normal(3, seed=1))
    x -= 0.5
    x /= 4
    assert x is before
    assert x._array.buffer is buffer
    close(x, ((values + 1) * normal(3, seed=1) - 0.5) / 4)
    x.add_(1).mul_(2).sub_(3).div_(4)
    y = x.clone()
    y.zero_()
    assert y.sum().item() == 0
    assert y.fill_(2.5).tolist()[0] == [2.5] * 3
    y.copy_(f32([1, 2, 3]))
    assert y.tolist() == [[1, 2, 3]] * 5
    x.copy_(genesis.ones(5, 3, dtype=genesis.int64))
    assert x.dtype is genesis.float32
    assert x.sum().item() == 15


def test_in_place_keeps_the_type_or_refuses():
    whole = genesis.tensor([1, 2], dtype=genesis.int32)
    whole += genesis.tensor([10, 2**33])
    assert whole.dtype is genesis.int32
    assert whole.tolist() == [11, 2]
    short = genesis.ones(2, dtype=genesis.float16)
    short += f32([0.5, 1.5])
    assert short.dtype is genesis.float16
    assert short.tolist() == [1.5, 2.5]
    for tensor, other in ((whole, 1.5), (whole, f32([1, 2])), (genesis.tensor([True]), 1)):
        with pytest.raises(RuntimeError, match="in place"):
            tensor += other
    with pytest.raises(RuntimeError, match="in place"):
        whole /= 2
    bytes_ = genesis.tensor([250], dtype=genesis.uint8)
    bytes_ += 10
    assert bytes_.item() == 4


def test_expanded_tensors_are_not_changed_in_place():
    x = f32([1.0]).expand(3)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.copy_(f32([1, 2, 3])),
                   lambda: x.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="clone"):
            change()
    assert f32([1.0]).expand(1).add_(1).item() == 2


def test_items_and_truth():
    assert genesis.tensor(2.5).item() == 2.5
    assert isinstance(genesis.tensor(2).item(), int)
    assert isinstance(genesis.tensor([[True]]).item(), bool)
    assert isinstance(genesis.ones(1, dtype=genesis.bfloat16).item(), float)
    assert float(genesis.tensor(2)) == 2.0
    assert int(genesis.tensor(2.7)) == 2
    assert bool(genesis.tensor([0.5])) is True
    assert not genesis.tensor(0)
    assert f"{genesis.tensor(1.23456):.2f}" == "1.23"
    for call in (lambda: genesis.zeros(2).item(), lambda: bool(genesis.zeros(2)), lambda: float(genesis.zeros(0))):
        with pytest.raises(RuntimeError):
            call()


def test_numpy_copies_and_asks_to_detach():
    x = f32([1.0, 2.0])
    values = x.numpy()
    values[0] = 9
    assert x.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="detach"):
        leaf([1.0]).numpy()
    assert leaf([1.0]).detach().numpy().tolist() == [1]
    assert leaf([1.5]).tolist() == [1.5]
    assert np.asarray(leaf([1.0]), dtype=np.float64).dtype == np.float64
    close(f32(normal(3, 4)).T[1:, ::2], normal(3, 4).T[1:, ::2])


def test_to_returns_the_tensor_when_nothing_changes():
    x = leaf([1.5, 2.5])
    for same in (x.to(genesis.float32), x.to(x.device), x.to(str(x.device)), x.to(x), x.to(dtype=float), x.float(),
                 x.to(x.device, genesis.float32)):
        assert same is x
    assert x.to(genesis.float32, copy=True) is not x
    y = x.half()
    assert y.dtype is genesis.float16
    assert x.to(y).dtype is genesis.float16
    assert x.to(genesis.int64).dtype is x.long().dtype is genesis.int64
    assert x.to(int).tolist() == [1, 2]
    assert x.type(genesis.bfloat16).dtype is x.bfloat16().dtype is genesis.bfloat16
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert x.grad.dtype is genesis.float32


def test_moving_between_devices():
    here = genesis.device()
    others = [d for d in genesis.devices() if d is not here and d.quirks.rank >= 0]
    if not others:
        pytest.skip("only one device")
    there = others[0]
    values = normal(4, 5)
    x = f32(values).T
    y = x.to(there)
    assert y.device is there
    close(y, values.T)
    assert (y * y).device is there
    close((y @ y.T).to(here), values.T @ values, rtol=1e-4, atol=1e-5)
    close(f32(np.zeros((5, 4))).copy_(y), values.T)
    assert genesis.ones(2, device=there).device is there
    assert genesis.tensor([1.0], device=str(there)).device is there
    assert genesis.tensor(y).device is there
    for mix in (lambda: x + y, lambda: x @ y.T, lambda: x > y, lambda: x.maximum(y),
                lambda: genesis.cat([x, y]), lambda: genesis.where(x > 0, x, y), lambda: genesis.where(y > 0, x, x),
                lambda: x.masked_fill(y > 0, 1.0), lambda: x.__setitem__(0, y[0]), lambda: x.add_(y),
                lambda: x[genesis.tensor([0], device=there)],
                lambda: genesis.nn.functional.cross_entropy(x, genesis.zeros(5, dtype=genesis.int64, device=there))):
        with pytest.raises(RuntimeError, match="different devices"):
            mix()
    z = leaf(values)
    moved = z.to(there)
    assert moved.requires_grad
    (moved * moved).sum().backward()          # gradients come back to where the leaf is
    assert z.grad.device is here
    close(z.grad, 2 * values)


@pytest.mark.parametrize(("make", "text"), [
    (lambda: genesis.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
    (lambda: genesis.tensor(3), "tensor(3)"),
    (lambda: genesis.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    (lambda: genesis.tensor([True, False]), "tensor([ True, False])"),
    (lambda: genesis.zeros(0, 3), "tensor([], size=(0, 3))"),
    (lambda: genesis.ones(2, dtype=genesis.bfloat16), "tensor([1., 1.], dtype=genesis.bfloat16)"),
    (lambda: genesis.ones(1, dtype=genesis.int32), "tensor([1], dtype=genesis.int32)"),
    (lambda: genesis.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: genesis.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward>)"),
    (lambda: genesis.nn.Parameter(genesis.ones(1)), "Parameter containing:\ntensor([1.], requires_grad=True)"),
    (lambda: genesis.tensor([math.nan, -math.inf]), "tensor([ nan, -inf])"),
])
def test_repr(make, text):
    assert repr(make()) == text


def test_repr_of_many_elements_is_short():
    text = repr(genesis.zeros(100, 100))
    assert "..." in text
    assert len(text) < 500
    assert str(genesis.tensor(1.5)) == "tensor(1.5)"
    assert f"{genesis.tensor(1.5)} {genesis.tensor(2)} {genesis.tensor(1.5, requires_grad=True) * 2}" == "1.5 2 3.0"
    assert f"{genesis.tensor([1.5])}" == "tensor([1.5])"
    assert f"{genesis.nn.Parameter(genesis.tensor(1.5))}".startswith("Parameter containing:")


def test_properties():
    x = genesis.zeros(2, 3, dtype=genesis.float16)
    assert x.shape == (2, 3)
    assert isinstance(x.shape, tuple)
    assert x.shape.numel() == x.numel() == 6
    assert repr(x.shape) == "genesis.Size([2, 3])"
    assert x.size() == (2, 3)
    assert x.size(1) == x.size(-1) == 3
    assert (x.ndim, x.dim(), x.itemsize, x.nbytes) == (2, 2, 2, 12)
    assert x.is_floating_point()
    assert not genesis.tensor([1]).is_floating_point()
    assert x.device is genesis.device()
    assert len({x, x, genesis.zeros(1)}) == 2
    assert genesis.is_tensor(x)
    assert not genesis.is_tensor(1)


def test_equal_and_allclose():
    x, y = f32([1.0, 2.0]), f32([1.0, 2.0 + 1e-6])
    assert genesis.equal(x, x.clone())
    assert not genesis.equal(x, y)
    assert not genesis.equal(x, x[:1])
    assert genesis.allclose(x, y)
    assert not genesis.allclose(x, y, rtol=0, atol=1e-9)
    assert genesis.allclose(f32([math.nan]), f32([math.nan]), equal_nan=True)


def test_functions_are_the_methods():
    x = f32(np.abs(normal(3, 3)) + 0.1)
    for name in genesis.functions.OF_METHODS:
        function = getattr(genesis, name)
        assert function.__doc__
        with pytest.raises(TypeError, match=name):
            function([1.0])
    close(genesis.exp(x), x.exp().numpy())
    close(genesis.sum(x, 1), x.sum(1).numpy())
    close(genesis.add(x, x, alpha=2), 3 * x.numpy())
    close(genesis.sub(x, x, alpha=2), -x.numpy())
    close(genesis.where(x > 1, x, 0.0), np.where(x.numpy() > 1, x.numpy(), 0))


def test_parts_and_sums_of_sizes_are_sizes():
    size = genesis.zeros(2, 3, 4).shape
    for found, wanted in ((size[:2], (2, 3)), (size + (5,), (2, 3, 4, 5)), ((5,) + size[1:], (5, 3, 4))):  # noqa: RUF005
        assert isinstance(found, genesis.Size)
        assert found == wanted
        assert found.numel() == np.prod(wanted)
    assert type(size[0]) is int
    assert genesis.Size(()).numel() == 1
