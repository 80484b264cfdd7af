"""Muon: its values, its place between other optimizers, and the products between its two passes."""

import math

import numpy as np
import pytest
from support import Reference, give, launches, leaf, values

import genesis
from genesis.optim import AdamW, Muon

# Two shapes whose matrices lie evenly, but for the last (5, 5); one matrix on end, vectors, and one without elements.
SHAPES = [(5, 5), (33, 65), (5, 5), (33, 65), (64, 17), (5, 5), (1, 9), (9, 1), (0, 4)]
CASES = [{}, {"nesterov": False, "weight_decay": 0, "adjust_lr_fn": "original"},
         {"momentum": 0, "ns_steps": 2, "ns_coefficients": (1.5, -0.5, 0), "adjust_lr_fn": "match_rms_adamw", "eps": 9}]


def made(rng, shapes=SHAPES, dtype=None):
    return [leaf(rng.standard_normal(shape).astype(np.float32), dtype) for shape in shapes]


@pytest.mark.parametrize("case", [*CASES, {"maximize": True}])
def test_muon_values_equal_float64_reference(case):
    rng = np.random.default_rng(0)
    params = made(rng)
    optimizer = Muon([{"params": params[:3]}, {"params": params[3:], "lr": 0.01}], lr=0.02, **case)
    reference = Reference(optimizer)
    for step in range(12):
        gradients = [None if step == 3 and i in (0, 4) else rng.standard_normal(p.shape).astype(np.float32)
                     for i, p in enumerate(params)]
        for p, g in zip(params, gradients):
            give(p, g)
        reference.step([g if g is not None and g.size else None for g in gradients])
        optimizer.step()
    assert reference.error() < 40


@pytest.mark.parametrize("case", CASES)
def test_muon_is_pytorchs_within_bfloat16(case):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    shapes = [(5, 5), (33, 65), (64, 17)]
    mine = made(rng, shapes)
    its = [torch.tensor(values(p).astype(np.float32), requires_grad=True) for p in mine]
    optimizer, other = Muon(mine, lr=0.1, **case), torch.optim.Muon(its, lr=0.1, **case)
    for _ in range(4):
        for p, q in zip(mine, its):
            g = rng.standard_normal(p.shape).astype(np.float32)
            give(p, g)
            q.grad = torch.tensor(g)
        before = [values(p) for p in mine]
        optimizer.step()
        other.step()
        for p, q, old in zip(mine, its, before):
            step = np.linalg.norm(values(p) - old)
            assert np.linalg.norm(values(p) - q.detach().numpy()) < 0.03 * step
            q.data.copy_(torch.tensor(values(p)))


def test_muon_makes_steps_orthogonal_whatever_the_gradients_size():
    rng = np.random.default_rng(2)
    g = rng.standard_normal((24, 40))
    steps = []
    for size in (1.0, 1e-3, 1e4):
        p = leaf(np.zeros((24, 40)))
        give(p, size * g)
        Muon([p], lr=1.0).step()
        steps.append(values(p))
    s = np.linalg.svd(steps[0], compute_uv=False)
    assert 0.65 < s.min() <= s.max() < 1.25
    np.testing.assert_allclose(steps[1], steps[0], atol=1e-4)
    np.testing.assert_allclose(steps[2], steps[0], atol=1e-4)


def test_muon_without_gradients_only_decays():
    p = leaf(np.ones((3, 4)))
    give(p, np.zeros((3, 4)))
    Muon([p], lr=0.5, weight_decay=0.1).step()
    np.testing.assert_allclose(values(p), 0.95, rtol=1e-6)


@pytest.mark.parametrize("dtype", [genesis.float64, genesis.bfloat16, genesis.float16], ids=str)
def test_muon_takes_all_types(dtype):
    if dtype is genesis.float64 and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    rng = np.random.default_rng(3)
    start, g = rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
    p = leaf(start, dtype)
    begun = values(p)
    give(p, g)
    used = values(p.grad)
    optimizer = Muon([p], lr=0.1)
    optimizer.step()
    want = Muon.reference(begun * 0.99, used, {}, optimizer.param_groups[0])
    tolerance = {genesis.float64: 1e-12, genesis.bfloat16: 2.0 ** -8, genesis.float16: 2.0 ** -11}[dtype]
    np.testing.assert_allclose(values(p), want, rtol=tolerance, atol=tolerance)
    assert optimizer.state[p]["momentum_buffer"].dtype is (dtype if dtype is genesis.float64 else genesis.float32)


# Arguments ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4)])
def test_muon_refuses_what_is_no_matrix(shape):
    with pytest.raises(ValueError, match=r"Muon updates matrices.*AdamW"):
        Muon([leaf(np.zeros(shape))])
    optimizer = Muon([leaf(np.zeros((2, 2)))])
    with pytest.raises(ValueError, match="Muon updates matrices"):
        optimizer.add_param_group({"params": [leaf(np.zeros(shape))]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(("name", "value"), [
    ("lr", -1), ("momentum", -0.1), ("weight_decay", math.nan), ("eps", -1e-9), ("ns_steps", 100), ("ns_steps", 2.5),
    ("ns_steps", -1), ("ns_coefficients", (1, 2)), ("ns_coefficients", 3.0), ("ns_coefficients", (1, 2, math.inf)),
    ("adjust_lr_fn", "other"), ("nesterov", "yes")])
def test_muon_refuses_values(name, value):
    with pytest.raises(ValueError, match=name):
        Muon([leaf(np.zeros((2, 2)))], **{name: value})


# Around it ----------------------------------------------------------------------------------------------------------

def test_muon_state_dict_goes_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    (p,), g = made(rng, [(4, 6)]), rng.standard_normal((4, 6))
    optimizer = Muon([p], lr=0.1, ns_steps=3)
    give(p, g)
    optimizer.step()
    q = torch.tensor(values(p).astype(np.float32), requires_grad=True)
    other = torch.optim.Muon([q])
    saved = optimizer.state_dict()
    assert set(saved["state"][0]) == {"momentum_buffer"}
    saved["state"][0] = {"momentum_buffer": torch.tensor(saved["state"][0]["momentum_buffer"].numpy())}
    other.load_state_dict(saved)
    q.grad = torch.tensor(g, dtype=torch.float32)
    other.step()
    again = Muon([p])
    again.load_state_dict(other.state_dict())
    assert again.param_groups[0]["ns_steps"] == 3
    np.testing.assert_allclose(values(again.state[p]["momentum_buffer"]), (1 - 0.95 ** 2) * g, rtol=1e-5)


def test_muon_clips_by_the_norm_of_all_gradients():
    rng = np.random.default_rng(5)
    params = made(rng, [(4, 6), (3, 3)])
    gradients = [rng.standard_normal(p.shape) for p in params]
    for p, g in zip(params, gradients):
        give(p, g)
    optimizer = Muon(params, lr=0.1, max_grad_norm=0.5)
    optimizer.step()
    norm = np.sqrt(sum((g ** 2).sum() for g in gradients))
    assert optimizer.grad_norm.item() == pytest.approx(norm, rel=1e-5)
    for p, g in zip(params, gradients):
        np.testing.assert_allclose(values(optimizer.state[p]["momentum_buffer"]), 0.05 * g * 0.5 / norm, rtol=1e-4)


def test_muon_skips_on_the_device_what_is_not_finite():
    rng = np.random.default_rng(6)
    (p, q), others = made(rng, [(4, 6), (7, 3)]), made(rng, [(4, 6), (7, 3)])
    optimizer, scaler = Muon([p, q], lr=0.1), genesis.amp.GradScaler(init_scale=8.0)
    plain = Muon(others, lr=0.1)
    for other, x in zip(others, (p, q)):
        other.data.copy_(x.data)
    for step in range(8):
        bad = step in (0, 3)
        factors = [genesis.tensor(rng.standard_normal(x.shape).astype(np.float32)) for x in (p, q)]
        loss = (p * factors[0]).sum() + (q * factors[1]).sum() * (math.inf if bad else 1.0)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if not bad:
            for other, f in zip(others, factors):
                other.grad = f
            plain.step()
    assert scaler.get_scale() == 2.0
    for x, other in zip((p, q), others):
        np.testing.assert_allclose(values(x), values(other), rtol=1e-5, atol=1e-6)


def test_muon_multiplies_matrices_of_one_shape_together():
    def multiplications(shapes):
        params = made(np.random.default_rng(7), shapes)
        for p in params:
            give(p, np.ones(p.shape))
        optimizer = Muon(params)
        with launches() as seen:
            optimizer.step()
        return sum("matmul" in name for name in seen)

    once = multiplications([(8, 12)])
    assert once > 0
    assert multiplications([(8, 12)] * 4) == once
    assert multiplications([(8, 12), (12, 8)] * 3) == 2 * once
    assert multiplications([(8, 12), (8, 12), (3, 2), (8, 12)]) == 3 * once      # the last lies farther away


def test_muon_and_adamw_share_a_model():
    genesis.manual_seed(0)
    model = genesis.nn.Sequential(genesis.nn.Linear(6, 16), genesis.nn.Tanh(), genesis.nn.Linear(16, 2))
    hidden = [model[0].weight]
    muon, adamw = Muon(hidden, lr=0.1), AdamW([p for p in model.parameters() if p is not hidden[0]], lr=0.01)
    x, y = genesis.randn(32, 6), genesis.randint(0, 2, (32,))
    first = None
    for _ in range(30):
        loss = genesis.nn.functional.cross_entropy(model(x), y)
        first = loss.item() if first is None else first
        muon.zero_grad()
        adamw.zero_grad()
        loss.backward()
        muon.step()
        adamw.step()
    assert loss.item() < 0.5 * first
