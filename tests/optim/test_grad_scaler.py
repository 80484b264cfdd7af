"""The loss scale: against PyTorch's GradScaler, skipped steps, the order of calls, and that nothing waits."""

import gc
import weakref

import numpy as np
import pytest
from support import Reference, flow, give, launches, leaf, torch_class, updates

import genesis
from genesis.amp import GradScaler
from genesis.nn.utils import clip_grad_norm_
from genesis.opencl import Device
from genesis.optim import OPTIMIZERS, SGD, Adam, AdamW, Optimizer

SHAPES = [(3,), (65,), (7, 11), (1100,)]


def scaled_gradients(rng, scale, bad=None):
    gradients = [(scale * rng.standard_normal(shape)).astype(np.float32) for shape in SHAPES]
    if bad is not None:
        gradients[bad[0]].flat[-1] = bad[1]
    return gradients


def run(optimizer, scaler, params, gradients):
    """One iteration with given gradients, which carry the scale already."""
    scaler.scale(genesis.zeros(()))
    optimizer.zero_grad()
    for p, g in zip(params, gradients):
        give(p, g)
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("assigned", [True, False], ids=["assigned", "backward"])
def test_scaled_steps_equal_the_reference_and_skip_what_is_not_finite(name, assigned):
    rng = np.random.default_rng(0)
    params = [leaf(rng.standard_normal(shape)) for shape in SHAPES]
    optimizer = OPTIMIZERS[name](params, lr=0.01)
    reference = Reference(optimizer)
    scaler = GradScaler(init_scale=1024.0, growth_interval=3)
    scale, steps = 1024.0, 0
    for i in range(12):
        bad = {2: (1, np.inf), 3: (3, np.nan), 7: (0, -np.inf)}.get(i)
        gradients = scaled_gradients(rng, scale, bad)
        scaler.scale(genesis.zeros(()))
        optimizer.zero_grad()
        if assigned:
            for p, g in zip(params, gradients):
                give(p, g)
        else:
            flow(*zip(params, gradients))
        scaler.step(optimizer)
        if bad is None:
            reference.step([g.astype(np.float64) / scale for g in gradients])
            steps += 1
        scaler.update()
        scale, steps = (scale / 2, 0) if bad else (scale * 2, 0) if steps == 3 else (scale, steps)
        assert scaler.get_scale() == scale
        assert scaler._get_growth_tracker() == steps
    assert reference.error() < 32
    if optimizer.counts_steps and optimizer.state[params[0]]:
        assert optimizer.state[params[0]]["step"] == 9


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scaler_equals_torch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    values = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    mine = [leaf(v) for v in values]
    its = [torch.tensor(v, requires_grad=True) for v in values]
    optimizer, other = OPTIMIZERS[name](mine, lr=0.01), torch_class(torch, name)(its, lr=0.01)
    scaler, torch_scaler = GradScaler(growth_interval=2), torch.amp.GradScaler("cpu", growth_interval=2)
    for i in range(8):
        gradients = scaled_gradients(rng, 65536.0, {1: (0, np.inf), 5: (2, np.nan)}.get(i))
        torch_scaler.scale(torch.zeros(()))
        for p, g in zip(its, gradients):
            p.grad = torch.tensor(g)
        run(optimizer, scaler, mine, gradients)
        torch_scaler.step(other)
        torch_scaler.update()
        assert scaler.state_dict() == torch_scaler.state_dict()
    for p, q in zip(mine, its):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize("max_grad_norm", [None, 0.5])
@pytest.mark.parametrize("unscale", [False, True])
def test_the_norm_that_is_clipped_is_the_unscaled_one(max_grad_norm, unscale):
    rng = np.random.default_rng(2)
    values = [rng.standard_normal(shape) for shape in SHAPES]
    plain, scaled = [[leaf(v) for v in values] for _ in range(2)]
    one = Adam(plain, lr=0.1, max_grad_norm=max_grad_norm)
    two = Adam(scaled, lr=0.1, max_grad_norm=max_grad_norm)
    scaler = GradScaler(init_scale=512.0)
    for _ in range(4):
        gradients = scaled_gradients(rng, 1.0)
        for p, g in zip(plain, gradients):
            give(p, g)
        if max_grad_norm is None:
            expected = clip_grad_norm_(plain, 0.5)
        one.step()
        scaler.scale(genesis.zeros(()))
        two.zero_grad()
        flow(*[(p, 512 * g) for p, g in zip(scaled, gradients)])
        if unscale:
            scaler.unscale_(two)
            for p, g in zip(scaled, gradients):
                np.testing.assert_array_equal(p.grad.numpy(), g)
        if max_grad_norm is None:
            if not unscale:
                scaler.unscale_(two)
            assert clip_grad_norm_(scaled, 0.5) == pytest.approx(expected)
        scaler.step(two)
        scaler.update()
        if max_grad_norm is not None:
            assert two.grad_norm.item() == pytest.approx(one.grad_norm.item())
    for p, q in zip(plain, scaled):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert scaler.get_scale() == 512


@pytest.mark.parametrize("unscale", [False, True])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_a_bad_gradient_anywhere_skips_everything(unscale, max_grad_norm):
    params = [leaf(np.ones(n)) for n in (5, 2000, 1)]
    optimizer = Adam(params, lr=0.1, max_grad_norm=max_grad_norm)
    scaler = GradScaler(init_scale=4.0)
    for bad in (np.inf, np.nan, None, -np.inf, None):
        scale = scaler.get_scale()
        before = [p.detach().numpy() for p in params]
        scaler.scale(genesis.zeros(()))
        optimizer.zero_grad()
        gradients = [np.full(p.shape, scale, np.float32) for p in params]
        if bad is not None:
            gradients[1][1999] = bad
        flow(*zip(params, gradients))
        if unscale:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == (scale if bad is None else scale / 2)
        for p, b in zip(params, before):
            assert (p.detach().numpy() == b).all() == (bad is not None)
    assert optimizer.state[params[0]]["step"] == 2
    # Two first steps of Adam on equal gradients have length lr each, whatever was skipped before them.
    np.testing.assert_allclose(params[0].detach().numpy(), 0.8, rtol=1e-5)


def test_large_finite_gradients_are_not_taken_for_infinite():
    x = leaf(np.zeros(4))
    optimizer = SGD([x], lr=1.0)
    scaler = GradScaler(init_scale=2.0 ** 60)
    run(optimizer, scaler, [x], [np.full(4, 1e30, np.float32)])      # whose squares overflow
    np.testing.assert_allclose(x.detach().numpy(), -1e30 / 2.0 ** 60, rtol=1e-6)
    assert scaler.get_scale() == 2.0 ** 60


def test_float16_parameters_and_gradients():
    x = leaf(np.ones(70), genesis.float16)
    optimizer = SGD([x], lr=1.0)
    scaler = GradScaler(init_scale=2.0 ** 14)
    loss = (x * 2.0 ** -20).sum()                # this gradient does not exist in float16: it would be a subnormal
    assert loss.dtype is genesis.float16
    scaler.scale(loss).backward()
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert (x.detach().numpy() == np.float16(1 - 2.0 ** -20)).all()
    optimizer.zero_grad()
    scaler.scale((x * 100.0).sum()).backward()
    assert np.isinf(x.grad.numpy()).all()
    scaler.step(optimizer)
    scaler.update()
    assert (x.detach().numpy() == np.float16(1 - 2.0 ** -20)).all()
    assert scaler.get_scale() == 2.0 ** 13


def test_bfloat16_and_float64_gradients():
    for dtype in (genesis.bfloat16, genesis.float64):
        if dtype is genesis.float64 and not genesis.device().fp64:
            continue
        for unscale in (False, True):
            x = leaf(np.ones(70), dtype)
            optimizer = SGD([x], lr=0.5)
            scaler = GradScaler(init_scale=8.0)
            scaler.scale(x.sum()).backward()
            if unscale:
                scaler.unscale_(optimizer)
                assert (x.grad.numpy() == 1).all()
            scaler.step(optimizer)
            scaler.update()
            assert (x.detach().numpy() == 0.5).all()


def test_several_optimizers_share_a_scale_and_skip_for_themselves():
    a, b = leaf([1.0]), leaf([1.0])
    first, second = SGD([a], lr=0.1), AdamW([b], lr=0.1)
    scaler = GradScaler(init_scale=16.0)
    scaler.scale(genesis.zeros(()))
    give(a, [np.inf])
    give(b, [16.0])
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert a.item() == 1
    assert b.item() < 1
    assert scaler.get_scale() == 8


def test_parameters_without_a_gradient_are_left_out():
    params = [leaf(np.ones(3)), leaf(np.ones(5)), leaf(np.ones(2000))]
    optimizer = Adam(params, lr=0.1)
    scaler = GradScaler(init_scale=2.0)
    for unscale in (False, True):
        scaler.scale(genesis.zeros(()))
        optimizer.zero_grad()
        flow((params[1], np.full(5, 2.0)))
        if unscale:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    assert [optimizer.state[p].get("step", 0) for p in params] == [0, 2, 0]
    np.testing.assert_allclose(params[1].detach().numpy(), 0.8, rtol=1e-5)
    optimizer.zero_grad()
    for call in (scaler.unscale_, scaler.step):
        with pytest.raises(AssertionError, match="No inf checks"):
            call(optimizer)


def test_noncontiguous_gradient_is_unscaled():
    x = leaf(np.zeros((2, 3)))
    x.grad = genesis.tensor(np.arange(6.0).reshape(3, 2), dtype=genesis.float32).T
    scaler = GradScaler(init_scale=2.0)
    scaler.scale(genesis.zeros(()))
    scaler.unscale_(SGD([leaf([0.0]), x], lr=1.0))
    np.testing.assert_array_equal(x.grad.numpy(), np.arange(6.0).reshape(3, 2).T / 2)


class Descent(Optimizer):
    """An optimizer without a rule, as a user may write one."""

    def __init__(self, params):
        super().__init__(params, {})

    def step(self):
        with genesis.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= 0.5 * p.grad
        return "stepped"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["in the arena", "assigned"])
def test_complex_gradients_are_unscaled(elsewhere):
    p = genesis.tensor([1 + 1j, 2 - 1j], requires_grad=True)
    optimizer, scaler = SGD([p], lr=0.5), GradScaler(init_scale=8.0)
    scaler.scale((p * p.conj()).real.sum()).backward()
    if elsewhere:
        p.grad = p.grad.clone()
    scaler.unscale_(optimizer)
    assert p.grad.tolist() == [2 + 2j, 4 - 2j]                   # 2 p, which this step takes half of
    scaler.step(optimizer)
    assert p.tolist() == [0, 0]
    scaler.update()
    p.grad = genesis.tensor([complex(0, float("inf")), 1j])
    scaler.step(optimizer)
    assert p.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float16])
def test_optimizer_with_a_step_of_its_own(dtype):
    x = leaf([1.0, 2.0], dtype)
    optimizer = Descent([x])
    scaler = GradScaler(init_scale=4.0)
    scaler.scale(x.sum()).backward()
    assert scaler.step(optimizer) == "stepped"
    scaler.update()
    assert x.tolist() == [0.5, 1.5]
    give(x, [1.0, np.inf])
    scaler.scale(genesis.zeros(()))
    assert scaler.step(optimizer) is None
    scaler.update()
    assert x.tolist() == [0.5, 1.5]
    assert scaler.get_scale() == 2


def test_hooks_run_and_closures_are_refused():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("pre"))
    optimizer.register_step_post_hook(lambda *_: seen.append("post"))
    scaler = GradScaler()
    scaler.scale(x.sum()).backward()
    for call in (lambda: scaler.step(optimizer, closure=lambda: None), lambda: scaler.step(optimizer, lambda: None)):
        with pytest.raises(RuntimeError, match="Closure"):
            call()
    scaler.step(optimizer)
    assert seen == ["pre", "post"]


def test_wrong_order_of_calls():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    scaler = GradScaler()
    give(x, [1.0])
    for call in (lambda: scaler.step(optimizer), lambda: scaler.unscale_(optimizer), scaler.update):
        with pytest.raises(AssertionError, match="scale"):
            call()
    scaler.scale(x.detach())
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    scaler.update()
    scaler.step(optimizer)


def test_failed_step_leaves_the_optimizer_as_it_was():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    scaler = GradScaler(init_scale=2.0)
    scaler.scale(x.sum()).backward()
    handle = optimizer.register_step_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scaler.step(optimizer)
    handle.remove()
    give(x, [1.0])
    optimizer.step()                # without the scaler: nothing is divided
    assert x.item() == pytest.approx(0.9)


def test_disabled_scaler_does_nothing():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    scaler = GradScaler(enabled=False)
    loss = x.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert x.item() == pytest.approx(0.9)
    assert scaler.get_scale() == 1
    assert not scaler.is_enabled()
    assert scaler.state_dict() == {}
    scaler.load_state_dict({})
    with pytest.raises(RuntimeError, match="empty"):
        GradScaler().load_state_dict({})


def test_scale_of_containers():
    scaler = GradScaler(init_scale=8.0)
    ones = genesis.ones(2)
    result = scaler.scale([ones, (ones, [ones])])
    assert type(result) is list
    assert type(result[1]) is tuple
    assert result[1][1][0].tolist() == [8, 8]
    assert [x.tolist() for x in scaler.scale(x for x in (ones, ones))] == [[8, 8], [8, 8]]
    for wrong in (1.0, "loss", {"loss": ones}):
        with pytest.raises(ValueError, match="Tensor"):
            scaler.scale(wrong)


def test_update_with_a_new_scale():
    scaler = GradScaler()
    scaler.scale(genesis.zeros(()))
    for new in (32.0, genesis.tensor(16.0), genesis.tensor([8.0])):
        scaler.update(new)
        assert scaler.get_scale() == float(new)
    with pytest.raises(AssertionError, match="one element"):
        scaler.update(genesis.ones(2))


@pytest.mark.parametrize("arguments", [
    {"init_scale": 0}, {"init_scale": np.inf}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"backoff_factor": 0},
    {"growth_interval": 0}, {"growth_interval": 1.5}, {"growth_interval": 1 << 25}])
def test_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        GradScaler(**arguments)


def test_first_argument_is_a_device():
    with pytest.raises(TypeError, match="init_scale=1024"):
        GradScaler(1024)
    x = genesis.ones(())
    assert GradScaler(x.device, init_scale=2.0).scale(x).item() == 2


def test_state_survives_saving(tmp_path):
    x = leaf(np.ones(3))
    optimizer = Adam([x], lr=0.1)
    scaler = GradScaler(init_scale=64.0, growth_interval=5)
    rng = np.random.default_rng(0)
    gradients = [scaled_gradients(rng, 64.0, (0, np.nan) if i == 1 else None)[:1] for i in range(10)]
    for g in gradients[:4]:
        run(optimizer, scaler, [x], g)
    genesis.save({"scaler": scaler.state_dict(), "optimizer": optimizer.state_dict(), "x": x}, tmp_path / "state")
    saved = genesis.load(tmp_path / "state")
    y = leaf(saved["x"].detach().numpy())
    other, other_scaler = Adam([y], lr=0.1), GradScaler()
    other.load_state_dict(saved["optimizer"])
    other_scaler.load_state_dict(saved["scaler"])
    for g in gradients[4:]:
        run(optimizer, scaler, [x], g)
        run(other, other_scaler, [y], g)
    assert (x.detach().numpy() == y.detach().numpy()).all()
    assert scaler.state_dict() == other_scaler.state_dict()
    used = GradScaler()
    used.scale(genesis.ones(()))
    used.load_state_dict(saved["scaler"])
    assert used.state_dict() == saved["scaler"]


def test_state_loads_into_torch_and_back():
    torch = pytest.importorskip("torch")
    scaler, other = GradScaler(init_scale=128.0, growth_interval=7), torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    back = GradScaler()
    back.load_state_dict(other.state_dict())
    assert back.state_dict() == scaler.state_dict()


def test_bad_state_changes_nothing():
    scaler = GradScaler()
    before = scaler.state_dict()
    for wrong in ({**before, "growth_factor": 0.5}, {k: v for k, v in before.items() if k != "_growth_tracker"}):
        with pytest.raises((ValueError, KeyError)):
            scaler.load_state_dict(wrong)
        assert scaler.state_dict() == before


def test_a_step_reads_nothing_from_the_device(monkeypatch):
    params = [leaf(np.ones(n)) for n in (3, 70, 2000)]
    optimizer = Adam(params, lr=0.1)
    scaler = GradScaler(init_scale=2.0)

    def iteration():
        optimizer.zero_grad()
        loss = sum((p * p).sum() for p in params)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    for _ in range(5):
        iteration()
    for name in ("read", "write", "finish"):
        monkeypatch.setattr(Device, name, lambda *_: pytest.fail("waited for the device"))
    iteration()


def test_scaling_costs_three_launches_more():
    params = [leaf(np.ones(n)) for n in (3, 70, 2000)]
    optimizer = Adam(params, lr=0.1)
    scaler = GradScaler(init_scale=2.0)
    for unscale, expected in ((False, 4), (True, 6)):
        for _ in range(2):
            optimizer.zero_grad()
            scaler.scale(sum(p.sum() for p in params)).backward()
            with launches() as seen:
                if unscale:
                    scaler.unscale_(optimizer)
                scaler.step(optimizer)
                scaler.update()
        assert updates(seen) == 1
        # The norm in two stages, the update, that of the scale; more for unscale_: itself, and the decision made again.
        assert len(seen) == expected, seen


def test_stale_scaled_loss_is_an_error():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    scaler = GradScaler(init_scale=2.0, growth_interval=1)
    loss = scaler.scale(x.sum())
    give(x, [1.0])
    scaler.step(optimizer)
    scaler.update()
    with pytest.raises(genesis.GenesisError, match="changed in place"):
        loss.backward()


def test_scaler_lets_go_of_optimizers():
    x = leaf([1.0])
    optimizer = SGD([x], lr=0.1)
    scaler = GradScaler()
    scaler.scale(x.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    reference = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert reference() is None


def test_defaults_are_those_of_torch():
    torch = pytest.importorskip("torch")
    assert GradScaler().state_dict() == torch.amp.GradScaler("cpu").state_dict()
