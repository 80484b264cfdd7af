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
