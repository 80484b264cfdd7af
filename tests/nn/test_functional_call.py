"""Modules called with other parameters, made without starting values, and fused with the normalization after them."""

import numpy as np
import pytest
from helpers import close, normal

import genesis
from genesis import nn
from genesis.func import functional_call
from genesis.nn.utils import skip_init


def test_calls_with_other_parameters_against_torch():
    torch = pytest.importorskip("torch")

    def run(L):
        model = L.nn.Sequential(L.nn.Linear(3, 4), L.nn.BatchNorm1d(4), L.nn.Linear(4, 2))
        state = {name: L.tensor(normal(*p.shape, seed=i).astype(np.float32), requires_grad=True)
                 for i, (name, p) in enumerate(model.named_parameters())}
        buffers = {"1.running_mean": L.ones(4), "1.running_var": L.ones(4)}
        y = L.func.functional_call(model, (state, buffers), L.tensor(normal(5, 3, seed=9).astype(np.float32)))
        (y * y).sum().backward()
        assert all(p.grad is None for p in model.parameters())
        assert (model[1].running_mean == 0).all()
        return [y, *[x.grad for x in state.values()], *buffers.values()]

    for mine, its in zip(run(genesis), run(torch), strict=True):
        close(mine, its.detach().numpy(), 1e-4, 1e-4)


def test_calls_leave_the_module_as_it_was():
    layer = nn.Linear(2, 1, bias=False)
    weight = layer.weight
    assert functional_call(layer, {"weight": genesis.ones(1, 2)}, genesis.ones(2)).item() == 2
    assert functional_call(nn.GRU(2, 1), {}, None, {"input": genesis.ones(3, 2)})[0].shape == (3, 1)
    with pytest.raises(RuntimeError):
        functional_call(layer, {"weight": genesis.ones(1, 2)}, (genesis.ones(3),))
    assert layer.weight is weight
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_tied_weights_are_replaced_together():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    x, two = genesis.ones(2), 2 * genesis.eye(2)
    assert functional_call(model, {"0.weight": two}, x).tolist() == [4, 4]
    model[0].weight.detach().fill_(0)
    assert functional_call(model, {"1.weight": two}, x, tie_weights=False).tolist() == [0, 0]
    for call, error, message in [
            (lambda: functional_call(model, {"0.weight": two, "1.weight": 3 * two}, x), ValueError, "one tensor"),
            (lambda: functional_call(model, [{"0.weight": two}, {"0.weight": two}], x), ValueError, "several dicts"),
            (lambda: functional_call(model, {"0.weight": 3.0}, x), TypeError, "not float"),
            (lambda: functional_call(model, {}, x, strict=True), RuntimeError, r"missing: 0\.weight"),
            (lambda: functional_call(model, {"0.weight": two, "b": two}, x, strict=True), RuntimeError,
             "unexpected: b")]:
        with pytest.raises(error, match=message):
            call()


def test_modules_without_starting_values():
    before = genesis.get_rng_state()
    layer = skip_init(nn.GRU, 3, 4, bidirectional=True, dtype=genesis.float16)
    assert genesis.get_rng_state() == before
    assert layer.weight_ih_l0_reverse.shape == (12, 3)
    assert layer.weight_hh_l0.dtype is genesis.float16
    assert (nn.Linear(50, 3).weight.detach().std() > 0).item()
    with pytest.raises(RuntimeError, match="class of modules"):
        skip_init(len)
    with pytest.raises(RuntimeError, match="takes device"):
        skip_init(nn.ReLU)


@pytest.mark.parametrize(("layer", "norm", "shape", "transpose"), [
    (lambda: nn.Conv2d(2, 3, 3), lambda: nn.BatchNorm2d(3), (2, 2, 4, 4), False),
    (lambda: nn.Conv1d(2, 3, 2, bias=False), lambda: nn.BatchNorm1d(3, affine=False), (2, 2, 4), False),
    (lambda: nn.ConvTranspose2d(2, 3, 2, bias=False), lambda: nn.BatchNorm2d(3), (2, 2, 4, 4), True),
    (lambda: nn.Linear(4, 3), lambda: nn.BatchNorm1d(3), (5, 4), None)])
def test_fused_layers_do_what_both_did(layer, norm, shape, transpose):
    first, second = layer().eval(), norm().eval()
    second.running_mean.normal_()
    second.running_var.uniform_(0.5, 2)
    for p in second.parameters():
        p.detach().normal_()
    fused = nn.utils.fuse_linear_bn_eval(first, second) if transpose is None else nn.utils.fuse_conv_bn_eval(
        first, second, transpose)
    x = genesis.tensor(normal(*shape).astype(np.float32))
    close(fused(x), second(first(x)).detach().numpy(), 1e-4, 1e-5)
    assert type(fused) is type(first)
    assert fused is not first
    assert all(isinstance(p, nn.Parameter) for p in (fused.weight, fused.bias))


def test_layers_that_cannot_be_fused():
    layer = nn.Linear(2, 3).eval()
    for call, message in [
            (lambda: nn.utils.fuse_linear_bn_eval(layer, nn.BatchNorm1d(3)), "eval"),
            (lambda: nn.utils.fuse_linear_bn_eval(layer, nn.BatchNorm1d(2).eval()), "3, or 1, not 2"),
            (lambda: nn.utils.fuse_linear_bn_eval(layer, nn.BatchNorm1d(3, track_running_stats=False).eval()),
             "without running statistics")]:
        with pytest.raises(RuntimeError, match=message):
            call()


def same(mine, its):
    np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_gradients_of_functions_are_those_of_torch():
    x, y = (normal(3, seed=i).astype(np.float32) for i in (1, 2))

    def results(lib):
        a, b = lib.tensor(x), lib.tensor(y)
        f = lib.func.grad
        yield f(lambda a: a.sin().sum())(a)
        yield from f(lambda a, b: (a * b).exp().sum(), argnums=(0, 1))(a, b)
        gradient, aux = f(lambda a: ((a ** 2).sum(), a * 2), has_aux=True)(a)
        yield from (gradient, aux)
        yield from lib.func.grad_and_value(lambda a, b: (a * b).sum(), 1)(a, b)
        yield f(f(lambda z: (z * a[0]) ** 3))(b[1])                              # the second derivative
        yield f(lambda u: f(lambda v: u * v * v)(u * 2))(b[0])                   # across both
        yield f(lambda p: (p["w"] * a).sum() + p["rest"][0].sum())({"w": b, "rest": [a, b]})["rest"][0]
        with lib.no_grad():
            yield f(lambda a: (a ** 3).sum())(a)

    for mine, its in zip(results(genesis), results(pytest.importorskip("torch")), strict=True):
        same(mine, its)
        assert mine.requires_grad == its.requires_grad


def test_gradients_of_functions_lead_back_to_what_else_requires_them():
    a, b = genesis.tensor([1.0, 2.0], requires_grad=True), genesis.tensor([3.0, 4.0])
    gradient, value = genesis.func.grad_and_value(lambda b: (a * b * b).sum())(b)
    (gradient.sum() + value).backward()
    assert a.grad.tolist() == [6.0 + 9.0, 8.0 + 16.0]
    a.grad = None
    genesis.func.grad(lambda a: (a ** 3).sum())(a).sum().backward()
    assert a.grad.tolist() == [6.0, 12.0]
    assert b.grad is None
    assert not genesis.func.grad(lambda b: (b * b).sum())(b).requires_grad
    assert genesis.func.grad(lambda b: genesis.tensor(1.0))(b).tolist() == [0.0, 0.0]
    for wrong in (lambda b: b, lambda b: 3.0):
        with pytest.raises(RuntimeError, match="one element"):
            genesis.func.grad(wrong)(b)
    with pytest.raises(TypeError, match="no tensors"):
        genesis.func.grad(lambda b: b)(3.0)
