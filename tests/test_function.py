"""Operations that users define, and the comparison of gradients with finite differences."""

import gc

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64, normal

import genesis
from genesis import autograd
from genesis.autograd import Function, GradcheckError, gradcheck, once_differentiable


def both(make, *inputs):
    """Run the same Function in genesis and PyTorch; compare values and gradients.

    ``make(library, base)`` gives a function from tensors to a tensor or tuple.
    """
    torch = pytest.importorskip("torch")
    mine, its = [leaf(x) for x in inputs], [torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True)
                                            for x in inputs]
    results = make(genesis, Function)(*mine), make(torch, torch.autograd.Function)(*its)
    pairs = list(zip(*(r if isinstance(r, tuple) else (r,) for r in results)))
    for mine_y, its_y in pairs:
        close(mine_y, its_y.detach().numpy(), rtol=1e-5)
        assert mine_y.requires_grad == its_y.requires_grad
    sum((y * (i + 2)).sum() for i, (y, _) in enumerate(pairs) if y.requires_grad).backward()
    sum((y * (i + 2)).sum() for i, (_, y) in enumerate(pairs) if y.requires_grad).backward()
    for x, y in zip(mine, its):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            close(x.grad, y.grad.numpy(), rtol=1e-5)


def cube(library, base):
    class Cube(base):
        @staticmethod
        def forward(ctx, x, factor, note=None):
            ctx.save_for_backward(x)
            ctx.factor = factor
            assert not library.is_grad_enabled()
            return factor * x ** 3

        @staticmethod
        @once_differentiable if library is genesis else library.autograd.function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, False, False)
            return 3 * ctx.factor * x ** 2 * g, None, None

    return lambda x: Cube.apply(x, 2.0, "note")


def two_results(library, base):
    class SumAndDifference(base):
        @staticmethod
        def forward(ctx, x, y):
            return x + y, x - y

        @staticmethod
        def backward(ctx, gs, gd):
            return gs + gd, gs - gd

    return SumAndDifference.apply


def set_up_apart(library, base):
    class Scaled(base):
        @staticmethod
        def forward(x, y):
            return x * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * y, g * x

    return Scaled.apply


def dirty(library, base):
    class Double(base):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    def function(x):
        y = x * 3
        z = Double.apply(y)
        assert z is y
        return y * y

    return function


def without_gradient(library, base):
    class Sorted(base):
        @staticmethod
        def forward(ctx, x):
            double, sign = x * 2, x / 3
            ctx.mark_non_differentiable(sign)
            return double, sign

        @staticmethod
        def backward(ctx, g, nothing):
            return g * 2

    return Sorted.apply


@pytest.mark.parametrize("make", [cube, two_results, set_up_apart, dirty, without_gradient])
def test_functions_are_as_in_pytorch(make):
    n = 2 if make in (two_results, set_up_apart) else 1
    both(make, *(normal(3, 4, seed=i) for i in range(n)))


def test_results_that_are_not_used():
    got = []

    class Pair(Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            return x * 1, x * 2, x.argmax()

        @staticmethod
        def backward(ctx, *grads):
            got.append([None if g is None else g.tolist() for g in grads])
            return (grads[0], None) if grads[0] is not None else (2 * grads[1], None)

    x = leaf([1.0, 2.0])
    Pair.apply(x, True)[0].sum().backward()
    Pair.apply(x, False)[1].sum().backward()
    assert got == [[[1, 1], [0, 0], None], [None, [1, 1], None]]
    assert x.grad.tolist() == [3, 3]
    assert not Pair.apply(x, True)[2].requires_grad
    assert not Pair.apply(x.detach(), True)[0].requires_grad
    with genesis.no_grad():
        assert not Pair.apply(x, True)[0].requires_grad


def test_gradients_are_checked():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, gradients):
            ctx.gradients = gradients
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return ctx.gradients

    x = leaf(np.ones((2, 3)))
    for gradients, error, words in (((f32(np.ones(4)), None), RuntimeError, "shape"),
                                    ((f32(np.ones((2, 3))),), RuntimeError, "1 gradients for the 2 arguments"),
                                    ((1.0, None), TypeError, "float")):
        with pytest.raises(error, match=words):
            Wrong.apply(x, gradients).sum().backward()
    Wrong.apply(x, (f32(2.0), None, None)).sum().backward()      # broadcast; further Nones are allowed
    close(x.grad, np.full((2, 3), 2))
    x.grad = None
    Wrong.apply(x, (f32(np.ones((4, 2, 3))).half(), None)).sum().backward()
    close(x.grad, np.full((2, 3), 4))
    assert x.grad.dtype is genesis.float32
    Wrong.apply(x, (None, None)).sum().backward()
    close(x.grad, np.full((2, 3), 4))

    class Nothing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    with pytest.raises(NotImplementedError, match="backward"):
        Nothing.apply(x).sum().backward()
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(x)


def test_saved_tensors_of_a_function_notice_changes_and_leave_with_the_graph():
    square = cube(genesis, Function)
    x = leaf([1.0, 2.0])
    y = x * 1
    z = square(y)
    with genesis.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    z = square(x).sum()
    z.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        z.backward()

    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.result = y = x.exp()
            ctx.save_for_backward(y, None)
            return y

        @staticmethod
        def backward(ctx, g):
            y, nothing = ctx.saved_tensors
            assert nothing is None
            return g * y

    gc.collect()
    gc.disable()
    try:
        base = genesis.device().pool.allocated
        out = Exp.apply(leaf(np.zeros(5000)))
        del out
        assert genesis.device().pool.allocated == base
    finally:
        gc.enable()
    with pytest.raises(TypeError, match="save_for_backward"):
        autograd.function.FunctionContext(()).save_for_backward(3)


def test_dirty_arguments():
    class Twice(Function):
        @staticmethod
        def forward(ctx, x, returned):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x if returned else x * 1

        @staticmethod
        def backward(ctx, g):
            return g * 2, None

    y = leaf(np.ones((2, 2))) * 1
    with pytest.raises(RuntimeError, match="mark_dirty"):
        Twice.apply(y, False)
    with pytest.raises(RuntimeError, match="leaf"):
        Twice.apply(leaf([1.0]), True)
    x = leaf(np.ones((2, 2)))
    y = x * 1
    Twice.apply(y[0], True)            # a view: the base has the change in its history
    (y * f32([[1.0], [10.0]])).sum().backward()
    assert x.grad.tolist() == [[2, 2], [10, 10]]


def test_a_chain_of_functions():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf([1.0])
    y = x
    for _ in range(5000):
        y = Same.apply(y)
    assert y.grad_fn is not x.grad_fn
    y.backward()
    assert x.grad.item() == 1
    assert y.grad_fn.name() == "SameBackward"
    del y


@needs_float64
def test_gradcheck_passes_what_is_right():
    def double(*shape, seed=0):
        return genesis.tensor(normal(*shape, seed=seed), requires_grad=True)

    x, w = double(3, 4), double(4, 2, seed=1)
    assert gradcheck(lambda x, w: (x.sum(0) * w.T).tanh(), (x, w))
    assert gradcheck(lambda x: (x.exp(), x.sum(0)), x)
    assert gradcheck(lambda x, n: x * n, (x, 3))
    assert gradcheck(lambda x, w: x * 2, (x, w))
    assert gradcheck(lambda x: x.T[1:].reshape(-1)[::2] ** 2, [x])
    assert gradcheck(lambda x: x * 2, (double(0),))
    assert x.grad is None
    assert gradcheck(cube(genesis, Function), (x,))


@needs_float64
def test_gradcheck_finds_what_is_wrong():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            Wrong.factor *= Wrong.growth
            return g * Wrong.factor

    x = genesis.tensor([1.0, 2.0], dtype=genesis.float64, requires_grad=True)
    Wrong.factor, Wrong.growth = 2.001, 1
    with pytest.raises(GradcheckError, match=r"2\.001"):
        gradcheck(Wrong.apply, x, rtol=1e-4)
    assert not gradcheck(Wrong.apply, x, rtol=1e-4, raise_exception=False)
    assert gradcheck(Wrong.apply, x, rtol=1e-2)
    Wrong.factor, Wrong.growth = 2, 1 + 1e-7
    with pytest.raises(GradcheckError, match="two runs"):
        gradcheck(Wrong.apply, x)
    assert gradcheck(Wrong.apply, x, nondet_tol=1e-4)


def test_gradcheck_asks_for_what_it_needs(monkeypatch):
    with pytest.raises(ValueError, match="requires"):
        gradcheck(lambda x: x, genesis.ones(2))
    with pytest.raises(TypeError, match="float64"):
        gradcheck(lambda x: x, leaf([1.0]))
    if not genesis.device().fp64:
        with pytest.raises(TypeError, match="another device"):
            gradcheck(lambda x: x, leaf([1.0]))


def test_function_gets_saved_inputs_with_their_history():
    torch = pytest.importorskip("torch")

    def run(library):
        class Again(library.autograd.Function):
            """Computes again in backward, as adjoint methods do, and differentiates by what was saved."""

            @staticmethod
            def forward(ctx, module, x, *parameters):
                ctx.module = module
                ctx.save_for_backward(x, *parameters)
                with library.no_grad():
                    return module(x)

            @staticmethod
            def backward(ctx, grad):
                x, *parameters = ctx.saved_tensors
                assert x.requires_grad
                assert parameters[0] is ctx.module.weight or library is torch
                with library.enable_grad():
                    inside = x.detach().requires_grad_()
                    y = ctx.module(inside)
                    inner = library.autograd.grad(y, (inside, *parameters), grad)
                return (None, *inner)

        layer = library.nn.Linear(3, 2)
        with library.no_grad():
            layer.weight.copy_(library.tensor([[1.0, -2.0, 0.5], [0.3, 0.1, 2.0]]))
            layer.bias.fill_(0.25)
        x = library.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
        Again.apply(layer, x * 2, *layer.parameters()).tanh().sum().backward()
        return [t.grad.numpy() for t in (x, *layer.parameters())]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
