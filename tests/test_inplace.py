"""Changes in place of tensors with history, and of views: values and gradients as PyTorch has them."""

import gc

import numpy as np
import pytest
from helpers import check_against_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis import autograd
from genesis.methods import ELEMENTWISE
from genesis.methods.twins import OPERATORS, WITHOUT

X, W = np.abs(normal(3, 4)) / 2 + 0.25, np.abs(normal(3, 4, seed=1)) / 2 + 0.5


def same(function, *inputs, **tolerance):
    """Compare with PyTorch a function that may change what it makes in place."""
    pytest.importorskip("torch")
    check_against_torch(function, *(inputs or (X, W)), rtol=1e-4, atol=1e-5, **tolerance)


def chained(*steps):
    """A function that copies its first input, changes the copy step by step, and multiplies by the second."""
    def function(x, w):
        y = x * 1.5
        for step in steps:
            result = step(y, w)
            y = y if result is None else result
        return y * w + y

    return function


CHANGES = {
    "add_": lambda y, w: y.add_(w),
    "add_ alpha": lambda y, w: y.add_(w, alpha=3),
    "sub_": lambda y, w: y.sub_(w),
    "mul_": lambda y, w: y.mul_(w),
    "div_": lambda y, w: y.div_(w),
    "pow_": lambda y, w: y.pow_(2),
    "mul_ number": lambda y, w: y.mul_(3.0),
    "mul_ broadcast": lambda y, w: y.mul_(w[0]),
    "exp_": lambda y, w: y.exp_(),
    "log_": lambda y, w: y.log_(),
    "sqrt_": lambda y, w: y.sqrt_(),
    "rsqrt_": lambda y, w: y.rsqrt_(),
    "sigmoid_": lambda y, w: y.sigmoid_(),
    "tanh_": lambda y, w: y.tanh_(),
    "sin_": lambda y, w: y.sin_(),
    "relu_": lambda y, w: (y.sub_(0.7), y.relu_())[1],
    "abs_": lambda y, w: (y.sub_(0.7), y.abs_())[1],
    "neg_": lambda y, w: y.neg_(),
    "square_": lambda y, w: y.square_(),
    "clamp_": lambda y, w: y.clamp_(0.5, 0.9),
    "masked_fill_": lambda y, w: y.masked_fill_(y.detach() > 0.7, 2.0),
    "floor_": lambda y, w: y.floor_(),
    "zero_": lambda y, w: y.zero_(),
    "fill_": lambda y, w: y.fill_(3.0),
    "fill_ tensor": lambda y, w: y.fill_(w[0, 0]),
    "copy_": lambda y, w: y.copy_(w),
    "copy_ broadcast": lambda y, w: y.copy_(w[0]),
    "copy_ half": lambda y, w: y.copy_(w * 2),
    "item": lambda y, w: y.__setitem__(0, w[1]),
    "item number": lambda y, w: y.__setitem__(0, 5.0),
    "item slice": lambda y, w: y.__setitem__((slice(None), slice(1, 3)), w[:, :2]),
    "item step": lambda y, w: y.__setitem__((slice(None), slice(0, None, 2)), w[:, :2]),
    "item broadcast": lambda y, w: y.__setitem__(slice(1, None), w[0]),
    "item leading one": lambda y, w: y.__setitem__(0, w[1:2]),
    "item all": lambda y, w: y.__setitem__(..., w),
    "item None": lambda y, w: y.__setitem__((None, 1), w[:1]),
    "item list": lambda y, w: y.__setitem__([2, 0], w[:2]),
    "item negative": lambda y, w: y.__setitem__([-1], w[:1]),
    "item column list": lambda y, w: y.__setitem__((slice(None), [3, 1]), w[:, :2]),
    "item pairs": lambda y, w: y.__setitem__(([0, 1], [2, 3]), w[0, :2]),
    "item apart": lambda y, w: y[:2].view(1, 2, 4).__setitem__(([0], slice(None), [1]), w[:1, :2]),
    "item list number": lambda y, w: y.__setitem__([0, 2], 1.0),
    "item mask": lambda y, w: y.__setitem__(y.detach() > 0.8, w[0, 0]),
    "item mask number": lambda y, w: y.__setitem__(y.detach() > 0.8, 0.0),
    "item of itself": lambda y, w: y.__setitem__(0, y[1]),
    "view": lambda y, w: (y[0].mul_(2), None)[1],
    "view of a view": lambda y, w: (y[1:][0][1:3].mul_(w[0, :2]), None)[1],
    "transposed": lambda y, w: (y.T[1].exp_(), None)[1],
    "reshaped": lambda y, w: (y.view(-1)[2:7].mul_(w.reshape(-1)[:5]), None)[1],
    "unsqueezed": lambda y, w: (y.unsqueeze(0).add_(w), None)[1],
    "view, whole": lambda y, w: (y.view(4, 3).copy_(w.T), None)[1],
    "view, number": lambda y, w: (y[:, 1].fill_(2.0), None)[1],
    "permuted base": lambda y, w: ((y * w).T.__getitem__(0).mul_(3), y.add_(1))[1],
}


@pytest.mark.parametrize("name", CHANGES)
def test_gradients_after_a_change(name):
    def step(y, w):
        result = CHANGES[name](y, w)
        return result if result is not None and result.shape == y.shape else None

    same(chained(step))


@pytest.mark.parametrize("operator", ["+=", "-=", "*=", "/="])
@pytest.mark.parametrize("target", ["y", "y[0]", "y[:, 1]", "y[1:, :2]", "y.T[2]", "y[[0, 2]]"])
def test_augmented_assignment(operator, target):
    for value in ("2.0", "w[0, 0]"):
        code = compile(f"{target} {operator} {value}", "<test>", "exec")

        def step(y, w, code=code):
            scope = {"y": y, "w": w}
            if target.startswith("y.T"):
                scope["y"] = y
            exec(code, scope)
            return scope["y"]

        same(chained(step))


def test_what_pytorch_refuses_and_is_right_here():
    x, w = leaf([2.0, 3.0]), f32([1.0, 10.0])
    for change in (lambda y: y.mul_(y), lambda y: y.mul_(y.clone()), lambda y: y.pow_(2), lambda y: y.square_()):
        y = x * 1
        change(y)
        (y * w).sum().backward()
        assert y.tolist() == [4, 9]
        assert x.grad.tolist() == [4, 60]
        x.grad = None
    y = x * 1
    y.mul_(y[0])                     # the factor is from before the change
    (y * w).sum().backward()
    assert y.tolist() == [4, 6]
    assert x.grad.tolist() == [34, 20]
    x.grad = None
    y = x * 1
    y[1] **= 3                       # PyTorch assigns the part to itself, and then finds it changed
    (y * w).sum().backward()
    assert y.tolist() == [2, 27]
    assert x.grad.tolist() == [1, 270]


def test_a_part_changed_by_an_operator_is_not_copied():
    y = leaf(X) * 2
    y[0] += 1
    node = y.grad_fn
    assert "Put" in repr(node)
    assert "Put" not in repr(node.inputs[0])      # a second Put would be the part assigned to itself
    close(y, np.where(np.arange(3)[:, None] == 0, X * 2 + 1, X * 2))


VIEWS = {
    "change the base, use the view": lambda y, v, w: (y.mul_(w), v),
    "change the base, use both": lambda y, v, w: (y.mul_(w), v * y[1] + y.sum(0)),
    "change the view, use the base": lambda y, v, w: (v.mul_(w[0]), y),
    "change the view, use both": lambda y, v, w: (v.mul_(w[0]), y * v),
    "change both": lambda y, v, w: (v.mul_(w[0]), y.sin_(), v.add_(1), y.mul_(w), y * v),
    "use, change, use": lambda y, v, w: (a := y + v, v.mul_(w[0]), y + v * a),
    "another view": lambda y, v, w: (u := y[0:2].T, v.mul_(2), u.add_(w[0, 0]), v * u.sum() + y),
    "overwrite the view": lambda y, v, w: (v.copy_(w[1]), y * v),
    "overwrite the base": lambda y, v, w: (y.zero_(), v + y),
    "assign in the view": lambda y, v, w: (v.__setitem__(1, w[0, 0]), y * v),
    "assign over the view": lambda y, v, w: (y.__setitem__(slice(0, 2), w[1:]), y * v),
    "twice": lambda y, v, w: (v.add_(w[0]), v.add_(w[1]), y[0].mul_(v.clone()), y),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_and_their_base(name):
    def function(x, w):
        y = x * 2
        return VIEWS[name](y, y[0], w)[-1]

    same(function)


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_what_needs_no_gradient(name):
    if "use, change" in name or name == "overwrite the base":
        pytest.skip("nothing that needs a gradient is left")

    def function(x, w):
        y = x.detach() * 2
        v = y[0]
        assert not v.requires_grad
        result = VIEWS[name](y, v, w * x)[-1]
        assert y.requires_grad
        assert v.requires_grad
        return result

    same(function)


def test_writing_the_steps_of_a_loop_into_a_tensor():
    def function(x, w):
        zeros = genesis.zeros if isinstance(x, genesis.Tensor) else (
            lambda *s: pytest.importorskip("torch").zeros(*s, dtype=x.dtype))
        out = zeros(5, 4)
        h = x[0]
        for t in range(5):
            h = (h * w[t % 3]).tanh()
            out[t] = h
        return out

    same(function)


def test_the_last_of_values_for_one_place_gets_the_gradient():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0])
    y = x * 1
    y[[1, 1, 0]] = v
    assert y.tolist() == [30, 20, 3]
    (y * f32([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [0, 0, 100]
    assert v.grad.tolist() == [0, 10, 1]


def test_other_element_types():
    x = leaf(X)
    y = (x * 1).half()
    y.mul_(leaf(W))
    assert y.dtype is genesis.float16
    y.sum().backward()
    close(x.grad, W, rtol=2e-3, atol=1e-3)
    z = genesis.zeros(3, 4)
    z.copy_(leaf(X, genesis.bfloat16))
    assert z.requires_grad
    n = genesis.tensor([1, 2])
    with pytest.raises(RuntimeError, match="cannot hold"):
        n.add_(0.5)
    with pytest.raises(RuntimeError, match="cannot hold"):
        n.exp_()
    n.add_(True)
    assert n.tolist() == [2, 3]
    with pytest.raises(RuntimeError, match="shape"):
        genesis.ones(1).add_(genesis.ones(3))
    with pytest.raises(RuntimeError, match="shape"):
        genesis.ones(1, requires_grad=True).mul(1).add_(genesis.ones(3))


@needs_float64
def test_float64():
    x = leaf(X, genesis.float64)
    y = x * 1
    y[0].exp_()
    y.sum().backward()
    close(x.grad, np.where(np.arange(3)[:, None] == 0, np.exp(X), 1), rtol=1e-12)


def names():
    for family in ELEMENTWISE:
        for name in family.FUNCTIONS.split():
            if name not in WITHOUT:
                yield name


@pytest.mark.parametrize("name", sorted(set(names())))
def test_every_elementwise_method_has_a_twin_in_place(name):
    method, twin = getattr(genesis.Tensor, name), getattr(genesis.Tensor, f"{name}_")
    assert name in twin.__doc__
    integers = name.startswith(("bitwise", "__"))
    for args in ((), (genesis.tensor(2) if integers else f32(0.5),), (f32(0.25), f32(0.75))):
        for recorded in (False, True):
            start = genesis.tensor([[1, 2], [3, 4]]) if integers else leaf([[0.1, 0.2], [0.3, 0.4]])
            y = start if integers else start * 1
            if not recorded:
                y = y.detach()
            try:
                expected = method(y, *args)
            except (TypeError, RuntimeError, AttributeError):
                continue
            if expected.shape != y.shape:
                continue
            memory, before = y._array, y._array.version.now
            assert twin(y, *args) is y
            assert y._array is memory
            close(y, expected.detach().numpy(), rtol=1e-6)
            if name != "positive":
                assert y._array.version.now > before
            assert y.requires_grad == (recorded and not integers)
            if y.requires_grad:
                y.sum().backward()
                got = start.grad
                start.grad = None
                result = method(start * 1, *args)
                if result.requires_grad:
                    result.sum().backward()
                close(got, np.zeros((2, 2)) if start.grad is None else start.grad.numpy())


def test_operators_in_place_keep_the_object():
    for operator in OPERATORS:
        if not hasattr(genesis.Tensor, operator):
            continue
        x = genesis.tensor([5, 6])
        if operator == "__itruediv__":
            x = x.float()
        memory = x._array
        twin = getattr(x, OPERATORS[operator])(2)
        assert getattr(x, operator)(2) is x
        assert x._array is memory
        assert x.tolist() == twin.tolist()
    with pytest.raises(TypeError):
        x += "a"


def test_unrecorded_changes_need_no_memory():
    x, y = genesis.ones(1 << 16), genesis.ones(1 << 16)
    pool = genesis.device().pool
    for change in (lambda: x.add_(y), lambda: x.mul_(2), lambda: x.exp_(), lambda: x.tanh_(), lambda: x.zero_(),
                   lambda: x.copy_(y), lambda: x.__setitem__(0, 1.0)):
        change()
        pool.reset_peak()
        base = pool.allocated
        change()
        assert pool.peak < base + 1024


def test_a_saved_result_is_kept_once():
    pool = genesis.device().pool
    x = leaf(np.zeros(1 << 16))
    gc.collect()
    base = pool.allocated
    y = x * 1
    y.exp_()
    assert pool.allocated - base < 1.2 * 4 * (1 << 16)
    with genesis.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_saved_input_keeps_its_old_values():
    x = leaf([0.5, 2.0])
    y = x * 1
    y.log_().add_(1)
    y.sum().backward()
    close(x.grad, [2, 0.5])


def test_saved_tensors_changed_by_recorded_operations_are_an_error():
    x = leaf([0.5, 2.0])
    for change in (lambda t: t.add_(1), lambda t: t[0].mul_(2), lambda t: t.__setitem__(0, 1.0), lambda t: t.exp_(),
                   lambda t: t.detach().zero_(), lambda t: t.copy_(x)):
        y = x * 1
        z = y * y
        change(y)
        with pytest.raises(RuntimeError, match="changed in place"):
            z.sum().backward()


def test_views_made_without_recording():
    y = leaf(X) * 1
    with genesis.no_grad():
        v = y[0]
    assert not v.requires_grad
    with pytest.raises(RuntimeError, match="no_grad"):
        v.mul_(2)
    with genesis.no_grad():
        v.mul_(2)
    z = genesis.zeros(3)
    with genesis.no_grad():
        v = z[0]
    v.add_(1)               # nothing here needs gradients
    assert z.tolist() == [1, 0, 0]
    with pytest.raises(RuntimeError, match="no_grad"):
        v.add_(leaf(1.0))


def test_detached_tensors_share_memory_and_not_history():
    y = leaf([1.0, 2.0]) * 1
    d = y.detach()
    d.mul_(2)
    assert y.tolist() == [2, 4]
    assert not d.requires_grad
    y.mul_(2)
    assert d.tolist() == [4, 8]
    assert d.is_leaf
    d2 = y.data
    d2[0] = 7
    assert y.tolist() == [7, 8]


def test_views_of_leaves_and_expanded_tensors_refuse():
    p = leaf(X)
    for view in (lambda: p[0], lambda: p.T, lambda: p.view(-1), lambda: p[0][1]):
        with pytest.raises(RuntimeError, match="leaf"):
            view().add_(1)
        with genesis.no_grad():
            view().add_(1)
    with pytest.raises(RuntimeError, match="expanded"):
        (genesis.ones(1, requires_grad=True) * 1).expand(3).add_(1)


def test_hooks_and_kept_gradients_follow_a_change():
    x = leaf([1.0, 2.0])
    y = x * 3
    seen = []
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.tolist()))      # of the value before the change
    y.mul_(5)
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2, 2]
    assert seen == [[2, 2], [10, 10]]
    y = x * 3
    v = y[0]
    v.retain_grad()
    y.mul_(5)
    (v * 7).backward()
    assert v.grad.item() == 7


def test_what_a_view_says_of_itself_follows_its_base():
    y = genesis.zeros(2, 3)
    v = y[0]
    d = v.detach()
    assert v.is_leaf
    y.add_(leaf(np.ones(3)))
    assert not v.is_leaf
    assert v.requires_grad
    assert "Slice" in repr(v.grad_fn)
    assert "grad_fn" in repr(v)
    assert not d.requires_grad
    with pytest.raises(RuntimeError, match="view"):
        v.detach_()
    y.detach_()
    assert not y.requires_grad
    assert y.is_leaf
    assert not v.requires_grad


def test_data_given_to_a_base_cuts_its_views_off():
    y = leaf(X) * 1
    v = y[0]
    y.data = genesis.zeros(3, 4)
    v.mul_(2)                       # its own memory by now
    assert y.tolist() == np.zeros((3, 4)).tolist()
    close(v, X[0] * 2)
    (gx,) = autograd.grad(v.sum(), y, allow_unused=True)
    assert gx is None or gx.shape == y.shape


def test_no_reference_cycles_keep_changed_tensors():
    x = leaf(normal(64, 64))
    gc.collect()
    gc.disable()
    try:
        base = genesis.device().pool.allocated
        y = x * 2
        v = y[0]
        w = y.T
        v.mul_(3)
        w[1].exp_()
        y[[0, 1]] = y[2] * 2
        (v.sum() + w.sum() + y.sum()).backward()
        x.grad = None
        del v, w, y
        assert genesis.device().pool.allocated == base
    finally:
        gc.enable()


@pytest.mark.lengthy
def test_many_changes_make_a_long_history():
    x = leaf([1.0, 1.0])
    y = x * 1
    for _ in range(3000):
        y.add_(0.5)
        y[0] += 1
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    del y
