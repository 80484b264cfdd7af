"""The graph: where gradients go, how often, and what is kept for how long."""

import copy
import gc
import itertools
import threading
import weakref

import numpy as np
import pytest
from helpers import check_against_torch, close, f32, leaf, normal

import genesis
from genesis import autograd, dtypes
from genesis.nn import functional as F
from genesis.ops import elementwise
from genesis.ops.operation import Operation

OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a ** b,
    "maximum": lambda a, b: a.maximum(b),
    "remainder": lambda a, b: a % b,
    "where": lambda a, b: a.where(a.detach() > 1, b),
    "matmul": lambda a, b: a @ b,
    "cat": lambda a, b: genesis.cat([a, b]),
    "stack": lambda a, b: genesis.stack([a, b]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_reach_the_input_they_belong_to(name):
    a, b = np.abs(normal(4, 4)) + 0.5, np.abs(normal(4, 4, seed=1)) + 0.5
    gradients = {}
    for needs in itertools.product((False, True), repeat=2):
        x, y = (genesis.tensor(v.astype(np.float32), requires_grad=need) for v, need in zip((a, b), needs))
        result = OPERATIONS[name](x, y)
        assert result.requires_grad == any(needs)
        if any(needs):
            (result * f32(np.arange(result.numel()).reshape(result.shape))).sum().backward()
        for i, (tensor, need) in enumerate(zip((x, y), needs)):
            assert (tensor.grad is not None) == need
            if need:
                expected = gradients.setdefault(i, tensor.grad.numpy())
                np.testing.assert_array_equal(tensor.grad.numpy(), expected)
    assert name == "add" or not np.array_equal(gradients[0], gradients[1])


def test_where_condition_and_weights_get_no_gradient():
    x = leaf([1.0, -1.0])
    y = genesis.where(x > 0, x, 2.0)
    y.sum().backward()
    assert x.grad.tolist() == [1, 0]
    weight = f32([1.0, 2.0]).requires_grad_()
    logits = leaf([[1.0, 2.0]])
    F.cross_entropy(logits, genesis.tensor([1]), weight).backward()
    assert weight.grad is None
    assert logits.grad is not None


def test_gradients_accumulate():
    x = leaf([1.0, 2.0])
    for n in (1, 2, 3):
        (x * x).sum().backward()
        assert x.grad.tolist() == [2 * n, 4 * n]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_one_tensor_used_several_times():
    w = leaf([3.0])
    (w * w).backward()
    assert w.grad.item() == 6
    w.grad = None
    (w * w * w + w / w - w).backward()
    close(w.grad, [26])
    check_against_torch(lambda x: x @ x.T @ x + x * x.sum() - x, normal(4, 4), rtol=1e-4, atol=1e-4)
    check_against_torch(lambda w, x: ((x @ w).tanh() @ w).tanh() @ w, normal(4, 4), normal(3, 4, seed=1), rtol=1e-4,
                        atol=1e-4)


def test_diamonds_and_long_sums():
    def diamond(x):
        a = x.exp()
        b, c = a * 2, a.sin()
        d = b * c + a
        return d + b.sum() * c + d * d

    check_against_torch(diamond, normal(5) / 2, rtol=1e-4, atol=1e-5)
    x = leaf([1.0])
    y = x * 1
    total = y
    for _ in range(50):
        total = total + y
    total.backward()
    assert x.grad.item() == 51


def test_the_same_gradient_for_two_inputs_is_not_shared():
    a, b = leaf([1.0]), leaf([2.0])
    (a + b).backward()
    a.grad.zero_()
    assert b.grad.item() == 1
    c, d = leaf([1.0]), leaf([2.0])
    g = f32([5.0])
    (c + d).backward(g)
    c.grad += 1
    assert (d.grad.item(), g.item()) == (5, 5)
    e = leaf([1.0])
    e.backward(g)
    e.grad.zero_()
    assert g.item() == 5
    f = leaf([1.0, 2.0])
    p, q = f * 1, f * 1
    (p + q + p).sum().backward()
    assert f.grad.tolist() == [3, 3]


@pytest.mark.lengthy
def test_a_very_long_chain():
    x = leaf([1.0])
    y = x
    for _ in range(20_000):
        y = y + 0.0
    y.backward()
    assert x.grad.item() == 1
    del y


def test_backward_twice_needs_retain_graph():
    x = leaf([2.0])
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    a = x * x
    b, c = a * 2, a * 3
    b.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        c.backward()


def test_backward_of_several_tensors():
    x = leaf([1.0, 2.0])
    y = x * x
    autograd.backward([y.sum(), y], [None, f32([1.0, 10.0])])
    assert x.grad.tolist() == [4, 44]
    with pytest.raises(RuntimeError, match="2 tensors"):
        autograd.backward([y.sum(), y.sum()], [None])


def test_backward_asks_for_what_it_needs():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="one element"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(f32([1.0]))
    with pytest.raises(RuntimeError, match="does not require"):
        f32([1.0]).backward()
    with pytest.raises(RuntimeError, match="does not require"):
        (x.detach() * 2).sum().backward()
    leaf([3.0]).backward()
    (x * 2).backward(genesis.tensor([1, 2]))          # a gradient of another type is converted
    assert x.grad.tolist() == [2, 4]


def test_integer_results_end_the_graph():
    x = leaf([1.5, 2.5])
    for y in (x.long(), x > 1, x.argmax(), x.bool()):
        assert not y.requires_grad
        assert y.is_leaf
    with pytest.raises(RuntimeError, match="floating-point"):
        genesis.tensor([1]).requires_grad_()


SAVES = {
    "mul": lambda x: x * x.exp(), "exp": lambda x: x.exp(), "log": lambda x: x.log(), "div": lambda x: 1 / x,
    "matmul": lambda x: x @ x, "relu": lambda x: x.relu(), "pow": lambda x: x ** 3, "amax": lambda x: x.amax(),
    "maximum": lambda x: x.maximum(x * 2), "softmax": lambda x: x.softmax(0), "clamp": lambda x: x.clamp(0, 1),
    "cross_entropy": lambda x: F.cross_entropy(x, genesis.tensor([0, 1])),
}


@pytest.mark.parametrize("name", SAVES)
def test_a_saved_tensor_changed_before_backward_is_an_error(name):
    for change in (lambda t: t.add_(1), lambda t: t.zero_(), lambda t: t.__setitem__(0, 5.0),
                   lambda t: t[0].fill_(2), lambda t: t.T.copy_(t * 2), lambda t: t.detach().mul_(3)):
        x = leaf(np.abs(normal(2, 2)) + 0.1)
        y = SAVES[name](x)
        saved = y if name in ("exp", "relu", "softmax") else x
        with genesis.no_grad():
            change(saved)
        with pytest.raises(RuntimeError, match="changed in place"):
            y.sum().backward()


def test_changes_that_backward_does_not_notice():
    x = leaf([1.0, 2.0])
    y = (x + 1) * 2
    with genesis.no_grad():
        x.zero_()                     # neither operation needs its input
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    z = (x * 3).sum()
    z.backward(retain_graph=True)
    with genesis.no_grad():
        x.sub_(x.grad)
    z.backward()


def test_leaves_are_not_changed_in_place():
    x = leaf([1.0, 2.0])
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x.copy_(x.detach()),
                   lambda: x.exp_(), lambda: x[0].add_(1), lambda: x.__setitem__(x > 0, 1.0), lambda: x.T.fill_(1)):
        with pytest.raises(RuntimeError, match="in place"):
            change()
    y = f32([1.0, 2.0])
    y += 1
    assert (y * x).requires_grad


def test_memory_is_freed_as_backward_proceeds():
    pool = genesis.device().pool
    size = 1 << 18
    x = leaf(np.full(size, 0.5))
    x.sum().item()
    gc.collect()
    base = pool.allocated
    y = x
    for _ in range(10):
        y = (y * 1.01).tanh()
    loss = y.sum()
    held = pool.allocated - base
    assert held >= 10 * 4 * size
    del y
    pool.reset_peak()
    loss.backward()
    x.grad = None
    assert pool.allocated - base < 4 * size           # though the loss still names the graph
    assert pool.peak - base < held + 4 * 4 * size
    del loss
    assert pool.allocated == base


@pytest.mark.parametrize("use", ["plain", "retain_grad", "hook", "no backward", "retain_graph"])
def test_no_reference_cycles_keep_memory(use):
    x = leaf(normal(64, 64))
    gc.collect()
    gc.disable()
    try:
        base = genesis.device().pool.allocated
        y = x @ x
        if use == "retain_grad":
            y.retain_grad()
        if use == "hook":
            y.register_hook(lambda g: g * 2)
        loss = (y.tanh() * y).sum()
        if use != "no backward":
            loss.backward(retain_graph=use == "retain_graph")
        alive = weakref.ref(y)
        x.grad = None
        del y, loss
        assert alive() is None
        assert genesis.device().pool.allocated == base
    finally:
        gc.enable()


def test_grad_modes():
    x = leaf([1.0])
    assert genesis.is_grad_enabled()
    with genesis.no_grad():
        assert not (x * 2).requires_grad
        with genesis.enable_grad():
            assert (x * 2).requires_grad
            with genesis.no_grad(), genesis.no_grad():
                assert not genesis.is_grad_enabled()
            assert genesis.is_grad_enabled()
        assert not genesis.is_grad_enabled()
        assert genesis.zeros(1, requires_grad=True).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(ValueError, match="through"), genesis.no_grad():
        raise ValueError("through")
    assert genesis.is_grad_enabled()
    for mode in (genesis.inference_mode(), genesis.inference_mode(True), genesis.inference_mode(mode=True)):
        with mode:
            assert not genesis.is_grad_enabled()
            with genesis.inference_mode(False):
                assert genesis.is_grad_enabled()
            assert not genesis.is_grad_enabled()
    assert genesis.inference_mode(genesis.is_grad_enabled)() is False


def test_one_switch_entered_twice():
    switch = genesis.no_grad()
    with switch:
        with switch:
            assert not genesis.is_grad_enabled()
        assert not genesis.is_grad_enabled()
    assert genesis.is_grad_enabled()


def test_set_grad_enabled():
    with genesis.set_grad_enabled(False):
        assert not genesis.is_grad_enabled()
        with genesis.set_grad_enabled(True):
            assert genesis.is_grad_enabled()
        assert not genesis.is_grad_enabled()
    assert genesis.is_grad_enabled()
    genesis.set_grad_enabled(False)
    assert not genesis.is_grad_enabled()
    genesis.set_grad_enabled(True)

    @genesis.set_grad_enabled(False)
    def inside():
        return genesis.is_grad_enabled()

    assert genesis.is_grad_enabled()
    for _ in range(2):
        assert inside() is False
        assert genesis.is_grad_enabled()


@pytest.mark.parametrize("parentheses", [True, False])
def test_switches_as_decorators(parentheses):
    decorate = genesis.no_grad() if parentheses else genesis.no_grad

    @decorate
    def function(a, b=2):
        """The function's own text."""
        return genesis.is_grad_enabled(), a + b

    assert function(1, b=3) == (False, 4)
    assert function.__name__ == "function"
    assert function.__doc__ == "The function's own text."

    class Holder:
        @decorate
        def method(self, a):
            return self, a, genesis.is_grad_enabled()

    holder = Holder()
    assert holder.method(5) == (holder, 5, False)

    @genesis.no_grad()
    def outer():
        @genesis.enable_grad()
        def inner():
            return genesis.is_grad_enabled()

        return inner(), genesis.is_grad_enabled()

    assert outer() == (True, False)
    assert genesis.is_grad_enabled()


def test_decorated_generators_switch_only_while_they_run():
    seen = []

    @genesis.no_grad()
    def numbers(n):
        try:
            for i in range(n):
                try:
                    got = yield i, genesis.is_grad_enabled()
                    seen.append(got)
                except KeyError:
                    seen.append(("caught", genesis.is_grad_enabled()))
        finally:
            seen.append(("end", genesis.is_grad_enabled()))
        return "done"

    for _, enabled in numbers(2):
        assert not enabled
        assert genesis.is_grad_enabled()
    generator = numbers(4)
    next(generator)
    with genesis.no_grad():
        assert generator.send("x") == (1, False)
    assert genesis.is_grad_enabled()
    assert generator.throw(KeyError()) == (2, False)
    generator.close()
    assert seen[-3:] == ["x", ("caught", False), ("end", False)]

    def outer():
        result = yield from numbers(1)
        assert result == "done"

    assert list(outer()) == [(0, False)]


def test_grad_mode_belongs_to_the_thread():
    seen = []
    with genesis.no_grad():
        thread = threading.Thread(target=lambda: seen.append(genesis.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_backward_in_several_threads():
    errors = []

    def work(seed):
        try:
            x = leaf(normal(17, 17, seed=seed))
            for _ in range(20):
                ((x @ x).tanh() * x).sum().backward()
            close(x.grad / 20, expected[seed], rtol=1e-4, atol=1e-4)
        except Exception as error:
            errors.append(error)

    expected = {}
    for seed in range(3):
        x = leaf(normal(17, 17, seed=seed))
        ((x @ x).tanh() * x).sum().backward()
        expected[seed] = x.grad.numpy()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_autograd_grad_returns_instead_of_adding():
    x, y, z = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0])
    product = x * y
    loss = (product * product).sum()
    gx, gp = autograd.grad(loss, [x, product], retain_graph=True)
    close(gx, [18, 64])
    close(gp, [6, 16])
    assert x.grad is None
    assert y.grad is None
    (again,) = autograd.grad(loss, y, retain_graph=True)
    close(again, [6, 32])
    with pytest.raises(RuntimeError, match="not used"):
        autograd.grad(loss, [x, z], retain_graph=True)
    assert autograd.grad(loss, [z, x], retain_graph=True, allow_unused=True)[0] is None
    (weighted,) = autograd.grad(product, x, grad_outputs=f32([1.0, 10.0]))
    close(weighted, [3, 40])
    w = leaf([2.0])
    assert autograd.grad(w * w + w, w)[0].item() == 5
    assert autograd.grad(w, w)[0].item() == 1


def test_hooks_see_and_replace_the_whole_gradient():
    x = leaf([1.0, 2.0])
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    (x * x + x).sum().backward()             # three uses, one call
    assert seen == [[3, 5]]
    assert x.grad.tolist() == [30, 50]
    assert autograd.grad((x * x).sum(), x)[0].tolist() == [20, 40]
    handle.remove()
    (x * 1).sum().backward()
    assert len(seen) == 2
    assert x.grad.tolist() == [40, 60]

    y = leaf([1.0])
    middle = y * 2
    middle.register_hook(lambda g: g + 1)
    (middle * 3 + middle).backward()
    assert y.grad.item() == 10
    with pytest.raises(RuntimeError):
        f32([1.0]).register_hook(print)


def test_hooks_run_without_recording():
    x = leaf([1.0])
    modes = []
    y = x * 2
    y.register_hook(lambda g: modes.append(genesis.is_grad_enabled()))
    y.backward()
    assert modes == [False]


def test_retain_grad():
    x = leaf([1.0, 2.0])
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    assert y.grad.tolist() == [6, 12]
    (y * 1).sum().backward()
    assert y.grad.tolist() == [7, 13]
    assert (x * 2).grad is None
    x.retain_grad()
    assert x.grad.tolist() == [21, 39]


def test_detach_clone_and_data():
    x = leaf([1.0, 2.0])
    y = x * 2
    assert y.detach()._array.buffer is y._array.buffer
    assert not y.detach().requires_grad
    assert y.clone().requires_grad
    y.clone().sum().backward()
    assert x.grad.tolist() == [2, 2]
    z = x.detach()
    z[0] = 9
    assert x.tolist() == [9, 2]
    x.data = f32([5.0, 6.0])
    assert x.tolist() == [5, 6]
    assert x.requires_grad
    assert x.is_leaf
    x.data.mul_(2)
    assert x.tolist() == [10, 12]
    with pytest.raises(TypeError):
        x.data = [1.0]


def test_leaves():
    x = leaf([1.0])
    y = x + 1
    assert x.is_leaf
    assert x.grad_fn is None
    assert not y.is_leaf
    assert "Add" in repr(y.grad_fn)
    assert y.detach().is_leaf
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    with pytest.raises(RuntimeError, match="leaves"):
        y.requires_grad_(False)
    with genesis.no_grad():
        z = x.requires_grad_() * 2
    assert z.is_leaf


def test_assigning_grad_checks_it():
    x = leaf([1.0, 2.0])
    x.grad = f32([3.0, 4.0])
    (x * 1).sum().backward()
    assert x.grad.tolist() == [4, 5]
    del x.grad
    assert x.grad is None
    for bad in (f32([1.0]), f32([1.0, 2.0]).half()):
        with pytest.raises(RuntimeError, match="gradient"):
            x.grad = bad
    with pytest.raises(TypeError):
        x.grad = 1.0


def test_deep_copies():
    x = leaf([1.0, 2.0])
    (x * 2).sum().backward()
    model = {"a": x, "b": x, "c": genesis.nn.Linear(2, 2)}
    twin = copy.deepcopy(model)
    assert twin["a"] is twin["b"]
    assert twin["a"].requires_grad
    assert twin["a"].grad.tolist() == [2, 2]
    assert isinstance(twin["c"].weight, genesis.nn.Parameter)
    model["c"](x.detach()).sum().backward()
    assert copy.deepcopy(model["c"]).weight.grad is None                 # as in PyTorch
    assert copy.deepcopy(x).grad is not None
    with genesis.no_grad():
        twin["a"].zero_()
        twin["a"].grad.zero_()
    assert x.tolist() == [1, 2]
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)


def test_adding_to_an_expanded_gradient_treats_its_elements_apart():
    p = genesis.zeros(3, requires_grad=True)
    p.grad = genesis.ones(1).expand(3)
    p.backward(genesis.tensor([1.0, 2.0, 3.0]))
    assert p.grad.tolist() == [2.0, 3.0, 4.0]


class Halves(Operation):
    """The two halves of a vector and the place of its last element; what backward got is kept for the test."""

    got = ()

    @classmethod
    def forward(cls, ctx, x):
        ctx.save(x)
        n = x.shape[0] // 2
        return (elementwise.copy(x.view((n,), x.strides)), elementwise.copy(x.view((n,), x.strides, x.offset + n)),
                elementwise.full(x.device, (), 2 * n - 1, dtypes.int64))

    @classmethod
    def backward(cls, ctx, *gradients):
        cls.got = tuple(g is not None for g in gradients)
        n = ctx.saved[0].shape[0] // 2
        out = elementwise.full(ctx.saved[0].device, (2 * n,), 0, ctx.saved[0].dtype)
        for i, g in enumerate(gradients[:2]):
            if g is not None:
                elementwise.assign(out.view((n,), out.strides, i * n), g)
        return out


def test_operations_with_several_results():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = x * 2
    a, b, top = autograd.apply(Halves, y)
    assert [a.tolist(), b.tolist(), top.item()] == [[2, 4], [6, 8], 3]
    assert a.requires_grad
    assert not a.is_leaf
    assert not top.requires_grad
    (a * b + a).sum().backward()
    assert Halves.got == (True, True, False)
    assert x.grad.tolist() == [14, 18, 4, 8]
    x.grad = None
    _, b, _ = autograd.apply(Halves, x)
    seen = []
    b.register_hook(lambda g: seen.append(g.tolist()))
    b.retain_grad()
    (b * 3).sum().backward()
    assert Halves.got == (False, True, False)
    assert x.grad.tolist() == [0, 0, 3, 3]
    assert seen == [[3, 3]]
    assert b.grad.tolist() == [3, 3]
    a, b, _ = autograd.apply(Halves, x)
    gx, gb = autograd.grad((a * 2 + b * b).sum(), [x, b])
    assert gx.tolist() == [2, 2, 6, 8]
    assert gb.tolist() == [6, 8]
    assert not any(t.requires_grad for t in autograd.apply(Halves, x.detach()))


def test_operations_with_several_results_need_retain_graph_to_run_twice():
    x = leaf([1.0, 2.0])
    a, b, _ = autograd.apply(Halves, x)
    a.sum().backward(retain_graph=True)
    b.sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="retain_graph"):
        a.sum().backward()


def test_backward_to_some_inputs_only():
    x, w, other = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0, 6.0])
    middle = x * w
    loss = (middle * middle).sum() + other.exp().sum()
    loss.backward(inputs=[w, middle], retain_graph=True)
    assert w.grad.tolist() == [6, 32]
    assert middle.grad.tolist() == [6, 16]
    assert x.grad is None
    assert other.grad is None
    loss.backward(inputs=w)
    assert w.grad.tolist() == [12, 64]
    with pytest.raises(RuntimeError, match="empty"):
        loss.backward(inputs=[])
    with pytest.raises(RuntimeError, match="does not require"):
        loss.backward(inputs=[f32([1.0])])


def test_grad_computes_only_what_leads_to_its_inputs():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    ran = []
    a, b = x * 2, y * 3
    a.register_hook(lambda g: ran.append("a"))
    b.register_hook(lambda g: ran.append("b"))
    loss = (a * b).sum()
    (g,) = autograd.grad(loss, x, retain_graph=True)
    assert g.tolist() == [18, 24]
    assert ran == ["a"]
    assert [v.tolist() for v in autograd.grad([a, loss], [a, x], [f32([1.0, 1.0]), None], retain_graph=True)] == [
        [10, 13], [20, 26]]
    z = leaf([1.0])
    assert autograd.grad(loss, [z], retain_graph=True, materialize_grads=True)[0].tolist() == [0]
    with pytest.raises(ValueError, match="materialize"):
        autograd.grad(loss, [z], allow_unused=False, materialize_grads=True)
    with pytest.raises(RuntimeError, match="as many gradients"):
        autograd.grad([loss, a], x, [None], retain_graph=True)
    loss.backward()


def test_hooks_after_a_gradient_was_added():
    x, w = leaf([1.0]), leaf([2.0])
    seen = []

    def note(leaf):
        seen.append((leaf is w, leaf.grad.item(), genesis.is_grad_enabled()))
        leaf.grad = None

    handle = w.register_post_accumulate_grad_hook(note)
    h = x * 2
    h.register_hook(lambda g: seen.append("h"))
    ((h * w) * w).backward()                   # two parts, one call, before backward goes on below
    assert seen == [(True, 8, False), "h"]
    assert w.grad is None
    assert x.grad.item() == 8
    w.backward()
    assert seen[2] == (True, 1, False)
    (w * 3).backward(inputs=w)
    assert seen[3] == (True, 3, False)
    handle.remove()
    (w * 1).backward()
    assert len(seen) == 4
    with pytest.raises(RuntimeError, match="leaves"):
        h.register_post_accumulate_grad_hook(note)
    with pytest.raises(RuntimeError, match="leaves"):
        f32([1.0]).register_post_accumulate_grad_hook(note)


def test_a_hook_must_return_a_gradient_that_fits():
    x = leaf([1.0, 2.0])
    y = x * 2
    handle = y.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="hook"):
        y.sum().backward(retain_graph=True)
    handle.remove()
    y.register_hook(lambda g: (g * 3).half())
    y.sum().backward()
    assert x.grad.dtype is genesis.float32
    assert x.grad.tolist() == [6, 6]


def test_tied_weights_get_the_sum():
    torch = pytest.importorskip("torch")
    weight, x = normal(4, 4), normal(3, 4, seed=1)
    w = leaf(weight)
    module = genesis.nn.Linear(4, 4, bias=False)
    module.weight = genesis.nn.Parameter(w.detach())
    tied = genesis.nn.Sequential(module, genesis.nn.Tanh(), module)
    assert len(list(tied.parameters())) == 1
    tied(f32(x)).sum().backward()
    v = torch.tensor(weight, requires_grad=True)
    ((torch.tensor(x) @ v.T).tanh() @ v.T).sum().backward()
    close(module.weight.grad, v.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_what_a_node_says():
    x = leaf([1.0])
    y = x * 2
    z = y + x
    assert z.grad_fn.name() == "AddBackward"
    assert [f for f, _ in z.grad_fn.next_functions] == [y.grad_fn, x]
    assert y.retains_grad is False
    y.retain_grad()
    assert y.retains_grad


@pytest.mark.lengthy
def test_very_long_chains_of_views_and_of_several_results():
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(10_000):
        y = y.view(2, 1).view(2)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    del y
    z = x
    for _ in range(3000):
        a, b, _ = autograd.apply(Halves, z)
        z = genesis.cat([a, b])
    z.sum().backward()
    assert x.grad.tolist() == [2, 2]
    del a, b, z


def test_anomalies_are_told_with_the_operation_that_made_them():
    x = leaf([0.0, 1.0])
    for create_graph in (False, True):
        with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"SqrtBackward .* NaN .* \(2,\)"):
            ((x * 2).sqrt() * genesis.tensor([0.0, 1.0])).sum().backward(create_graph=create_graph)
    x.grad = None
    with autograd.set_detect_anomaly(True, check_nan=False):
        (x.sqrt() * genesis.tensor([0.0, 1.0])).sum().backward()
    assert np.isnan(x.grad.numpy()).tolist() == [True, False]
    with autograd.detect_anomaly():
        (x * 3).sum().backward()
    autograd.set_detect_anomaly(True)
    try:
        with autograd.set_detect_anomaly(False):
            x.sqrt().sum().backward()
        with pytest.raises(RuntimeError, match="Sqrt"):
            (x.sqrt() * 0).sum().backward()
    finally:
        autograd.set_detect_anomaly(False)
    (x.sqrt() * 0).sum().backward()


def test_gradients_of_parts_add_up_in_one_memory():
    x, w = leaf(normal(6, 5)), normal(6, 5, seed=1).astype(np.float32)

    def function(lib, x):
        y = x * 2                                       # not a leaf: its gradient is pending while parts arrive
        a, b = y.chunk(2)
        steps = sum(y[:, t] * (t + 1) for t in range(5))
        return (a * b).sum() + steps.sum() + (y * lib.tensor(w)).sum() + y[::2, 1:3].square().sum() + y[0, 0] + a.sum()

    torch = pytest.importorskip("torch")
    t = torch.tensor(x.detach().numpy(), requires_grad=True)
    function(torch, t).backward()
    result = function(genesis, x)
    result.backward(retain_graph=True)
    close(x.grad, t.grad.numpy())
    result.backward()                                   # the graph kept no sum of the first time
    close(x.grad, 2 * t.grad.numpy())
    (again,) = autograd.grad(function(genesis, x), x, create_graph=True)
    close(again.detach(), t.grad.numpy())


def test_hooks_see_gradients_that_nobody_adds_to_later():
    seen = []
    x = leaf(np.ones((4, 3)))
    y = x * 1
    y.register_hook(seen.append)
    part = y[1]
    part.register_hook(seen.append)
    (part * 2 + y[2] * 3 + y[1]).sum().backward()
    assert [tuple(g.shape) for g in seen] == [(3,), (4, 3)]
    close(seen[0], [2, 2, 2])
    close(seen[1], [[0, 0, 0], [3, 3, 3], [3, 3, 3], [0, 0, 0]])
    close(x.grad, seen[1].numpy())


def test_a_loop_over_parts_makes_one_gradient(monkeypatch):
    from genesis.ops import views

    made = []
    monkeypatch.setattr(views, "full", lambda *args: made.append(args) or elementwise.full(*args))
    y = leaf(np.ones((2, 50, 3))) * 1
    sum(y[:, t] for t in range(50)).sum().backward()
    assert len(made) == 1


def test_batched_gradients_equal_torch():
    torch = pytest.importorskip("torch")

    def run(library):
        x = library.tensor([1.0, 2.0, 3.0], requires_grad=True)
        unused = library.ones(1, requires_grad=True)
        one = library.autograd.grad(x ** 2, x, library.eye(3), is_grads_batched=True, create_graph=True)
        two = library.autograd.grad((x ** 3, x.sum()), (x, unused), (library.eye(3)[:2], library.ones(2)),
                                    is_grads_batched=True, allow_unused=True)
        (again,) = library.autograd.grad(one[0].sum(), x)
        assert two[1] is None
        return [t.detach().numpy() for t in (one[0], two[0], again)]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    y = leaf([1.0])
    with pytest.raises(RuntimeError, match="first dimension"):
        autograd.grad((y, y), y, (genesis.ones(2, 1), genesis.ones(3, 1)), is_grads_batched=True)
