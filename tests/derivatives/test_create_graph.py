"""Backward that is recorded: what it does to leaves, hooks, Functions, optimizers, checkpoints and autocast."""

import gc
import weakref

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import autograd, nn
from genesis.autograd import Function, apply, functional, once_differentiable
from genesis.errors import GenesisError, SecondDerivativeError
from genesis.nn import functional as F
from genesis.nn.functional.attention import packed_self_attention
from genesis.ops import elementwise
from genesis.ops.operation import Operation
from genesis.utils.checkpoint import checkpoint

FP64 = genesis.device().fp64


def slope(y, *inputs, **options):
    found = autograd.grad(y, inputs, create_graph=True, **options)
    return found[0] if len(inputs) == 1 else found


def test_derivatives_of_rising_order():
    x = leaf([2.0, -1.0])
    y = (x ** 5).sum()
    for factor, power in ((5, 4), (20, 3), (60, 2), (120, 1), (120, 0)):
        (g,) = autograd.grad(y, x, create_graph=True)
        close(g, factor * np.array([2.0, -1.0]) ** power)
        y = g.sum()
    assert not autograd.grad(y, x, create_graph=True)[0].any()      # PyTorch: an error, as a number is left


def test_backward_gives_leaves_gradients_with_a_history():
    x = leaf([1.0, 2.0])
    (x ** 3).sum().backward(create_graph=True)
    assert x.grad.grad_fn is not None
    first = x.grad
    (x ** 3).sum().backward(create_graph=True)
    close(x.grad, [6, 24])
    close(first, [3, 12])                  # a new tensor: what others hold is left alone
    second = x.grad
    (x * 5).sum().backward()               # an ordinary backward does not write into it either
    close(x.grad, [11, 29])
    close(second, [6, 24])
    assert x.grad.grad_fn is None
    close(autograd.grad(second.sum(), x)[0], [12, 24])


def test_leaves_that_share_a_gradient_do_not_share_memory():
    x, y = leaf([1.0]), leaf([1.0])
    (x + y).sum().backward(create_graph=True)
    x.grad.detach().zero_()
    assert y.grad.item() == 1


def test_gradients_of_inputs_that_are_no_leaves():
    x = leaf([1.0, 2.0])
    h = x * x
    autograd.backward((h ** 2).sum(), inputs=[h, x], create_graph=True)
    assert h.grad.grad_fn is not None
    close(x.grad, [4, 32])
    close(autograd.grad(h.grad.sum(), x)[0], [4, 8])
    k = x * 3
    k.retain_grad()
    (k ** 2).sum().backward(create_graph=True)
    close(autograd.grad(k.grad.sum(), x)[0], [6, 6])


def test_gradients_that_are_given_have_a_history():
    x, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    g = slope(x ** 2, x, grad_outputs=v)
    close(autograd.grad(g.sum(), v)[0], [2, 4])


def test_the_graph_is_kept_unless_it_is_not_wanted():
    x = leaf([3.0])
    y = (x.exp() * x).sum()
    slope(y, x)
    y.backward()
    y = (x.exp() * x).sum()
    (g,) = autograd.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()
    with pytest.raises(RuntimeError, match="freed"):      # what its history shares with the graph was freed, too
        g.sum().backward()


def test_recording_is_on_only_while_backward_records():
    x = leaf([1.0])
    seen = []
    h = x * 2
    h.register_hook(lambda g: seen.append((genesis.is_grad_enabled(), g.requires_grad)))
    y = (h ** 2).sum()
    with genesis.no_grad():
        g = slope(y, x)
    assert g.requires_grad
    y.backward()
    assert seen == [(True, True), (False, False)]
    assert genesis.is_grad_enabled()


def test_hooks_are_differentiated():
    x = leaf([1.0, 2.0])
    h = x * 1
    h.register_hook(lambda g: g * x)
    (h ** 2).sum().backward(create_graph=True)
    close(x.grad, [2, 8])
    close(autograd.grad(x.grad.sum(), x)[0], [4, 12])      # 2 h x; what goes through h meets the hook again
    calls = []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: calls.append(leaf.grad.grad_fn is not None))
    (x ** 2).sum().backward(create_graph=True)
    handle.remove()
    assert calls == [True]


def test_several_results_of_one_operation():
    x = leaf(normal(4, 3))
    values, positions = x.max(1)
    a, b = x.split([1, 2], 1)
    y = (values ** 2).sum() + (a ** 3).sum() + (a * b).sum()
    v = normal(4, 3, seed=3)
    (second,) = autograd.grad((slope(y, x) * f32(v)).sum(), x)
    data, expected = normal(4, 3), np.zeros((4, 3))
    expected[np.arange(4), positions.numpy()] += 2 * v[np.arange(4), positions.numpy()]
    expected[:, 0] += 6 * data[:, 0] * v[:, 0] + v[:, 1] + v[:, 2]
    expected[:, 1] += v[:, 0]
    expected[:, 2] += v[:, 0]
    close(second, expected, rtol=1e-4)


def test_changes_in_place_are_noticed():
    x = leaf([1.0, 2.0])
    y = (x ** 3).sum()
    g = slope(y, x)
    with genesis.no_grad():
        x.add_(1)
    for late in (lambda: slope(y, x), lambda: g.sum().backward()):
        with pytest.raises(GenesisError, match="changed in place"):
            late()


# Functions ----------------------------------------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        y = x * x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return 3 * y / x * g


def test_backward_of_a_function_is_recorded():
    x = leaf([2.0, 3.0])
    g = slope((Cube.apply(x) * 2).sum(), x)
    close(g, [24, 54])
    h = slope(g.sum(), x)
    close(h, [24, 36])
    close(slope(h.sum(), x), [12, 12], rtol=1e-4)
    Cube.apply(x).sum().backward()
    assert x.grad.grad_fn is None


def test_a_function_with_several_results():
    class Both(Function):
        @staticmethod
        def forward(ctx, x, y):
            product, total = x * y, x + y
            ctx.save_for_backward(x, product, y, None)
            return product, total

        @staticmethod
        def backward(ctx, g, h):
            x, product, _, nothing = ctx.saved_tensors
            assert nothing is None
            return g * (product / x) + h, g * x + h

    x, y = leaf([2.0]), leaf([5.0])
    product, total = Both.apply(x, y)
    gx, gy = slope((product ** 2 + total ** 3).sum(), x, y)
    close(gx, [2 * 10 * 5 + 3 * 49])
    hx, hy = autograd.grad(gx.sum() + 2 * gy.sum(), [x, y])
    close(hx, [2 * 25 + 6 * 7 + 2 * (4 * 2 * 5 + 6 * 7)], rtol=1e-4)
    close(hy, [4 * 2 * 5 + 6 * 7 + 2 * (2 * 4 + 6 * 7)], rtol=1e-4)


def test_once_differentiable_says_so():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not genesis.is_grad_enabled()
            return 2 * ctx.saved_tensors[0] * g

    x = leaf([2.0])
    g = slope(Once.apply(x).sum(), x)
    assert g.item() == 4
    with pytest.raises(SecondDerivativeError, match="once_differentiable"):
        g.sum().backward()


# What has no rule ---------------------------------------------------------------------------------------------------


class Cubed(Operation):
    """Its backward is stated on arrays alone."""

    @classmethod
    def forward(cls, ctx, x):
        ctx.save(x)
        return elementwise.run("pow", [x, 3.0], x.dtype)

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved
        square = elementwise.run("mul", [x, x], x.dtype)
        return elementwise.run("mul", [elementwise.run("mul", [g, 3.0], g.dtype), square], g.dtype)


def test_an_operation_without_a_rule_says_so_when_it_matters():
    x = leaf(normal(2, 3))
    y = apply(Cubed, x).sum()
    g = slope(y, x)
    y.backward()
    close(g, x.grad.numpy())
    for error in (SecondDerivativeError, NotImplementedError, GenesisError):
        with pytest.raises(error, match="Cubed has no second derivative yet"):
            autograd.grad(g.sum(), x, retain_graph=True)
    with pytest.raises(SecondDerivativeError, match="Cubed"):
        functional.hessian(lambda x: apply(Cubed, x).sum(), x)


def test_dropout_drops_the_same_elements():
    x = leaf(np.full(100, 2.0))
    g = slope((F.dropout(x, 0.5) ** 3).sum(), x)
    close(autograd.grad(g.sum(), x)[0], np.where(g.detach().numpy() > 0, 8 * 6 * 2.0, 0), rtol=1e-4)


@pytest.mark.parametrize("packed", [False, True])
def test_attention_drops_the_same_entries(packed):
    """The recorded gradient, made of other operations, is the kernels'; and its own gradient is right."""
    def attend(q, k, v):
        genesis.manual_seed(3)
        if packed:
            x = genesis.cat([x.transpose(1, 2).reshape(2, 5, 8) for x in (q, k, v)], -1)
            return packed_self_attention(x, 2, dropout_p=0.4, is_causal=True)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4, is_causal=True)

    leaves = [leaf(normal(2, 2, 5, 4, seed=i), dtype=genesis.float64 if FP64 else None) for i in range(3)]
    y = attend(*leaves)
    weights = genesis.tensor(normal(*y.shape, seed=4), dtype=y.dtype)
    plain = autograd.grad(y, leaves, weights, retain_graph=True)
    recorded = autograd.grad(y, leaves, weights, create_graph=True)
    for a, b in zip(recorded, plain):
        close(a, b.numpy(), rtol=1e-5, atol=1e-6)
        assert b.abs().amax().item() > 0
    if FP64:
        assert autograd.gradgradcheck(attend, leaves)


# Checkpoints, autocast, optimizers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_are_differentiated_twice(use_reentrant):
    def body(x, w):
        return ((x @ w).tanh() @ w).exp()

    w = leaf(normal(3, 3) / 2)
    results = []
    for run in (body, lambda *a: checkpoint(body, *a, use_reentrant=use_reentrant)):
        x = leaf(normal(2, 3))
        g = slope(run(x * 1, w).sum(), x)
        results.append([z.numpy() for z in autograd.grad((g ** 2).sum(), [x, w])])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_conversions_of_autocast_are_differentiated():
    x, w = leaf(normal(4, 3)), leaf(normal(3, 5))
    with genesis.autocast(dtype=genesis.bfloat16):
        y = (x @ w).float().tanh().sum()
        gx = slope(y, x)
    assert gx.dtype is genesis.float32
    second = autograd.grad((gx ** 2).sum(), [x, w])
    exact = slope((x @ w).tanh().sum(), x)
    for mine, its in zip(second, autograd.grad((exact ** 2).sum(), [x, w])):
        assert mine.dtype is genesis.float32
        scale = np.abs(its.numpy()).max()
        np.testing.assert_allclose(mine.numpy(), its.numpy(), atol=0.05 * scale)


def test_parameters_in_an_optimizer_get_gradients_of_their_own():
    p = leaf(normal(3))
    optimizer = genesis.optim.SGD([p], lr=0.1)
    start = p.detach().clone()
    (p ** 2).sum().backward()
    (p ** 3).sum().backward(create_graph=True)
    assert p.grad.grad_fn is not None
    close(p.grad, 2 * normal(3) + 3 * normal(3) ** 2)
    penalty = (p.grad ** 2).sum()
    optimizer.zero_grad()
    penalty.backward()
    g = 2 * normal(3) + 3 * normal(3) ** 2
    # The first gradient was an ordinary one: a number, as far as the second is concerned.
    close(p.grad, 2 * g * 6 * normal(3), rtol=1e-4)
    optimizer.step()
    close(p, start.numpy() - 0.1 * 2 * g * 6 * normal(3), rtol=1e-4)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_a_step_with_gradients_that_have_a_history(set_to_none):
    results = []
    for create_graph in (False, True):
        p = leaf(normal(3))
        optimizer = genesis.optim.Adam([p], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=set_to_none)
            (p ** 2).sum().backward(create_graph=create_graph)
            nn.utils.clip_grad_norm_([p], 1.0)
            optimizer.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_nothing_is_left_when_the_tensors_are_gone():
    def run():
        x = leaf(normal(3))
        h = x * 2
        slope((h.exp() * h).sum(), x)
        return weakref.ref(x), weakref.ref(h)

    gc.collect()
    gc.disable()
    try:
        assert all(r() is None for r in run())
    finally:
        gc.enable()
