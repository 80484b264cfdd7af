"""Functions of functions: derivatives and batches, against PyTorch's."""

import numpy as np
import pytest
from helpers import close, normal

import genesis

torch = pytest.importorskip("torch")

SCRIPTS = pytest.mark.filterwarnings("ignore:.torch.jit.script")     # which PyTorch's forward mode uses
X, Y = normal(4, 3).astype(np.float32), normal(3, 2, seed=1).astype(np.float32)


def both(run):
    """What a program gives with each library: tensors in dicts, lists and tuples, which must agree."""
    def agree(mine, its):
        assert isinstance(its, torch.Tensor) or type(mine) is type(its)
        if isinstance(its, dict):
            assert list(mine) == list(its)
            mine, its = list(mine.values()), list(its.values())
        if isinstance(its, list | tuple):
            assert len(mine) == len(its)
            for x, y in zip(mine, its):
                agree(x, y)
        else:
            close(mine.detach(), its.detach().numpy(), 1e-5, 1e-6)

    agree(run(genesis), run(torch))


def test_gradients_of_each_example_of_a_batch():
    def run(L):
        model = L.nn.Sequential(L.nn.Linear(3, 4), L.nn.Tanh(), L.nn.Linear(4, 2))
        for i, p in enumerate(model.parameters()):
            p.data = L.tensor(normal(*p.shape, seed=i).astype(np.float32))
        weights = {name: p.detach() for name, p in model.named_parameters()}

        def loss(weights, x, target):
            y = L.func.functional_call(model, weights, (x.unsqueeze(0),))
            return ((y - target) ** 2).sum()

        each = L.func.vmap(L.func.grad(loss), in_dims=(None, 0, 0))
        return each(weights, L.tensor(X), L.tensor(normal(4, 2, seed=9).astype(np.float32)))

    both(run)


def test_models_side_by_side():
    def run(L):
        models = [L.nn.Linear(3, 2) for _ in range(3)]
        for i, model in enumerate(models):
            model.weight.data = L.tensor(normal(2, 3, seed=i).astype(np.float32))
            model.bias.data = L.tensor(normal(2, seed=5 + i).astype(np.float32))
        parameters, buffers = L.func.stack_module_state(models)
        assert all(p.requires_grad and p.is_leaf for p in parameters.values())
        call = L.func.vmap(lambda p, b, x: L.func.functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None))
        y = call(parameters, buffers, L.tensor(X))
        (y ** 2).sum().backward()
        return y, parameters["weight"].grad, parameters["bias"].grad

    both(run)


@pytest.mark.parametrize(("dims", "out"), [((0, None), 0), ((1, 0), 1), ((-1, {"y": 0}), (0, -1))], ids=str)
def test_dimensions_of_batches(dims, out):
    def run(L):
        def f(x, other):
            y = other["y"] if isinstance(other, dict) else other
            z = (x.unsqueeze(-1) * y).sum(0)
            return (z, z.exp()) if isinstance(out, tuple) else z

        x = L.tensor(X[:, :3] if dims[0] == 0 else X[:3, :3])
        y = L.tensor(Y if dims[1] is None else normal(3, 3, 2, seed=4).astype(np.float32))
        return L.func.vmap(f, in_dims=dims, out_dims=out)(x, {"y": y} if isinstance(dims[1], dict) else y)

    both(run)


@SCRIPTS
def test_pulls_and_pushes():
    def run(L):
        def f(p, x):
            return {"a": p["w"] * x, "b": [(p["w"] * x).sin().sum()]}, x + 1

        p, x = {"w": L.tensor(X[0])}, L.tensor(X[1])
        value, pull, aux = L.func.vjp(f, p, x, has_aux=True)
        given = {"a": L.tensor(X[2]), "b": [L.tensor(2.0)]}
        pushed = L.func.jvp(lambda p, x: f(p, x)[0], (p, x), ({"w": L.tensor(X[3])}, L.tensor(X[2])))
        assert not value["a"].requires_grad
        assert not pushed[0]["a"].requires_grad
        return value, pull(given), pull(given), aux, pushed

    both(run)


@SCRIPTS
def test_jacobians_and_hessians():
    def run(L):
        def f(x, y):
            return (x.unsqueeze(-1) * y).sum(0).exp(), {"square": x ** 2}

        x, y = L.tensor(X[0]), L.tensor(Y)
        scale = L.tensor([1.0, 2.0, 3.0], requires_grad=True)
        outside = L.func.jacrev(lambda x: scale * x ** 2)(x)        # its history leads to what is outside
        outside.sum().backward()
        return (L.func.jacrev(f)(x, y), L.func.jacfwd(f, argnums=(0, 1))(x, y), scale.grad,
                L.func.jacrev(lambda p: p["w"] ** 2, has_aux=False)({"w": x}),
                L.func.jacrev(lambda x: (x ** 2, x.sum()), has_aux=True)(x),
                L.func.hessian(lambda x: (x ** 3).sum() * x[0])(x),
                L.func.vmap(L.func.hessian(lambda x: (x ** 3).sum()))(L.tensor(X)))

    both(run)


def test_random_numbers_and_errors():
    x = genesis.ones(3, 2)

    def noisy(x):
        return x + genesis.rand(2)

    with pytest.raises(RuntimeError, match="randomness"):
        genesis.func.vmap(noisy)(x)
    same = genesis.func.vmap(noisy, randomness="same")(x)
    assert (same[0] == same[1]).all()
    different = genesis.func.vmap(noisy, randomness="different")(x)
    assert (different[0] != different[1]).any()
    for error, call in ((ValueError, lambda: genesis.func.vmap(noisy, randomness="no")),
                        (ValueError, lambda: genesis.func.vmap(lambda x, y: x)(x, genesis.ones(2))),
                        (ValueError, lambda: genesis.func.vmap(lambda x: x, in_dims=2)(x)),
                        (ValueError, lambda: genesis.func.vmap(lambda x: x, in_dims=(0, 0))(x)),
                        (ValueError, lambda: genesis.func.vmap(lambda x: x)(3.0)),
                        (ValueError, lambda: genesis.func.vmap(lambda x: x)(genesis.ones(0, 2))),
                        (ValueError, lambda: genesis.func.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(x)),
                        (TypeError, lambda: genesis.func.vmap(lambda x: x.sum().item())(x)),
                        (RuntimeError, lambda: genesis.func.vjp(lambda x: x, x)[1](genesis.ones(2))),
                        (RuntimeError, lambda: genesis.func.jvp(lambda x: x, (x,), (genesis.ones(2),))),
                        (RuntimeError, lambda: genesis.func.stack_module_state([])),
                        (RuntimeError, lambda: genesis.func.stack_module_state(
                            [genesis.nn.Linear(1, 2), genesis.nn.Linear(1, 2, bias=False)])),
                        (RuntimeError, lambda: genesis.func.stack_module_state(
                            [genesis.nn.Linear(1, 2), genesis.nn.ReLU()]))):
        with pytest.raises(error):
            call()
