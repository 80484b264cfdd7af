"""genesis.autograd.functional against torch.autograd.functional."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis.autograd import functional

torch = pytest.importorskip("torch")


def scalar(x, y):
    return (x ** 3).sum() * y.exp().sum() + (x[0] * y).sum()


def vector(x, y):
    return x[:2] * y.sum(), (x ** 2).sum() * y


ONE, TWO = normal(3), normal(2, 2, seed=1)


def flat(result):
    if isinstance(result, tuple):
        return [y for x in result for y in flat(x)]
    return [result.detach().numpy()]


def compare(name, function, values, vectors=None, **options):
    results = []
    for library, module in ((genesis, functional), (torch, torch.autograd.functional)):
        inputs = tuple(library.tensor(v, dtype=library.float32) for v in values)
        extra = () if vectors is None else (tuple(library.tensor(v, dtype=library.float32) for v in vectors),)
        results.append(getattr(module, name)(function, inputs, *extra, **options))
    assert _shape(results[0]) == _shape(results[1])
    for a, b in zip(flat(results[0]), flat(results[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def _shape(result):
    return tuple(_shape(x) for x in result) if isinstance(result, tuple) else tuple(result.shape)


@pytest.mark.parametrize("create_graph", [False, True])
def test_they_give_what_pytorch_gives(create_graph):
    v = normal(3, seed=2), normal(2, 2, seed=3)
    u = normal(2, seed=4), normal(2, 2, seed=5)
    compare("jacobian", vector, (ONE, TWO), create_graph=create_graph)
    compare("jacobian", lambda x: x ** 2, (ONE,), create_graph=create_graph)
    compare("hessian", scalar, (ONE, TWO), create_graph=create_graph)
    compare("vjp", vector, (ONE, TWO), u, create_graph=create_graph)
    compare("vjp", scalar, (ONE, TWO), create_graph=create_graph)
    compare("jvp", vector, (ONE, TWO), v, create_graph=create_graph)
    compare("hvp", scalar, (ONE, TWO), v, create_graph=create_graph)
    compare("vhp", scalar, (ONE, TWO), v, create_graph=create_graph)


def test_one_tensor_gives_one_tensor():
    x = f32(ONE)
    assert functional.jacobian(lambda x: x.sum(), x).shape == (3,)
    assert functional.hessian(lambda x: (x ** 2).sum(), x).shape == (3, 3)
    assert isinstance(functional.vjp(lambda x: (x, x), x, (x, x))[0], tuple)
    assert functional.jacobian(lambda x: x[:0], x).shape == (0, 3)


def test_inputs_and_modes_are_left_alone():
    x = leaf(ONE)
    with genesis.no_grad():
        h = functional.hessian(lambda x: (x ** 3).sum(), x)
    assert x.grad is None
    assert not h.requires_grad
    close(h, np.diag(6 * ONE))
    h = functional.hessian(lambda x: (x ** 3).sum(), x, create_graph=True)
    h.sum().backward()
    close(x.grad, np.full(3, 6.0))


def test_what_does_not_depend_on_an_input():
    x, y = f32(ONE), f32(TWO)
    close(functional.jacobian(lambda x, y: x * 2, (x, y))[1], np.zeros((3, 2, 2)))
    close(functional.hessian(lambda x: x.sum(), x), np.zeros((3, 3)))
    close(functional.jvp(lambda x: genesis.ones(2), x, x)[1], np.zeros(2))
    with pytest.raises(RuntimeError, match="input 1"):
        functional.jacobian(lambda x, y: x * 2, (x, y), strict=True)


def test_errors_say_what_is_wrong():
    x = f32(ONE)
    with pytest.raises(RuntimeError, match="one element"):
        functional.hessian(lambda x: x, x)
    with pytest.raises(RuntimeError, match=r"needs v of shapes \[\(3,\)\]"):
        functional.hvp(lambda x: x.sum(), x, genesis.ones(2))
    with pytest.raises(RuntimeError, match="needs v"):
        functional.jvp(lambda x: x, x)
    with pytest.raises(TypeError, match="entry 1 is a float"):
        functional.jacobian(lambda x: (x, 1.0), x)
