"""``nn.utils``: clipping of gradients wherever they lie, and parameters as one vector."""

import math

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from genesis.opencl.program import Kernel

SHAPES = [(), (0,), (3,), (7, 11), (1024,), (1500,)]
NORMS = [0.5, 1, 2, 3.5, math.inf]
WHERE = ["alone", "arena", "assigned", "mixed", "partly", "strided"]
EPS = 2.0 ** -23


def leaf(values, dtype=None):
    return genesis.tensor(np.asarray(values), dtype=dtype or genesis.float32, requires_grad=True)


def values(x):
    return x.detach().numpy().astype(np.float64)


def backward(p, gradient):
    p.backward(genesis.tensor(np.asarray(gradient), dtype=p.dtype))


def made(where, dtype=None, seed=0, shapes=SHAPES):
    """Parameters with gradients that lie somewhere, the gradients, and what must be kept alive."""
    rng = np.random.default_rng(seed)
    params = [leaf(np.zeros(shape), dtype) for shape in shapes]
    gradients = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    kept = None
    if where in ("arena", "assigned", "mixed", "strided"):
        kept = genesis.optim.SGD(params, lr=1.0)
    elif where == "partly":
        kept = genesis.optim.SGD(params[::2], lr=1.0)
    for i, (p, g) in enumerate(zip(params, gradients)):
        if where == "strided" and p.ndim == 2:
            p.grad = genesis.tensor(g.T.copy(), dtype=p.dtype).T
        elif where == "assigned" or (where == "mixed" and i % 2):
            p.grad = genesis.tensor(g, dtype=p.dtype)
        else:
            backward(p, g)
    return params, [values(p.grad) for p in params], kept


def norm_of(gradients, p):
    flat = np.abs(np.concatenate([np.zeros(1), *(np.ravel(g) for g in gradients)]))
    return float(flat.max() if p == math.inf else (flat ** p).sum() ** (1 / p))


def torch_twins(gradients):
    torch = pytest.importorskip("torch")
    twins = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
    for x, g in zip(twins, gradients):
        x.grad = torch.tensor(g)
    return torch, twins


def clip_with_torch(torch, twins, max_norm, norm_type):
    return torch.nn.utils.clip_grad_norm_([x for x in twins if x.numel()], max_norm, norm_type).item()


@pytest.fixture
def launched(monkeypatch):
    seen = []
    original = Kernel.__call__
    monkeypatch.setattr(Kernel, "__call__", lambda self, *args: seen.append(self.name) or original(self, *args))
    return seen


# The norm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6])
def test_clipping_by_norm_equals_torch(where, norm_type, max_norm):
    params, gradients, _kept = made(where)
    torch, twins = torch_twins(gradients)
    total = clip_grad_norm_(params, max_norm, norm_type)
    expected = clip_with_torch(torch, twins, max_norm, norm_type)
    assert isinstance(total, float)
    assert type(total.item()) is type(total.detach().cpu().item()) is float
    assert abs(total - expected) <= 4 * EPS * expected
    for p, x in zip(params, twins):
        np.testing.assert_allclose(values(p.grad), x.grad.numpy(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
@pytest.mark.parametrize("where", WHERE)
def test_16_bit_gradients_are_clipped_in_float32(where, dtype):
    params, gradients, _kept = made(where, dtype)
    expected = norm_of(gradients, 2)
    total = clip_grad_norm_(params, 1.0)
    assert abs(total - expected) <= 4 * EPS * expected
    unit = 2.0 ** (-10 if dtype is genesis.float16 else -8)
    for p, g in zip(params, gradients):
        assert p.grad.dtype is dtype
        np.testing.assert_allclose(values(p.grad), g / (expected + 1e-6), rtol=unit, atol=1e-7)


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("where", WHERE)
def test_float64_gradients_keep_their_precision(where, norm_type):
    params, gradients, _kept = made(where, genesis.float64)
    expected = norm_of(gradients, norm_type)
    total = clip_grad_norm_(params, 0.1, norm_type)
    assert abs(total - expected) <= 1e-14 * expected
    for p, g in zip(params, gradients):
        np.testing.assert_allclose(values(p.grad), g * 0.1 / (expected + 1e-6), rtol=1e-14)


def test_gradients_of_several_types_are_clipped_together():
    dtypes = [genesis.float32, genesis.float16, genesis.bfloat16] + [genesis.float64] * genesis.device().fp64
    params = [leaf(np.zeros(100), dtype) for dtype in dtypes]
    kept = genesis.optim.SGD(params[:2], lr=1.0)
    for p in params:
        backward(p, np.full(100, 2.0))
    total = clip_grad_norm_(params, 1.0)
    assert total == math.sqrt(4.0 * 100 * len(params))
    for p in params:
        np.testing.assert_allclose(values(p.grad), 2 / total, rtol=2.0 ** -8)
    del kept


@pytest.mark.parametrize("where", WHERE)
def test_a_norm_within_the_limit_changes_nothing(where):
    params, gradients, _kept = made(where)
    clip_grad_norm_(params, norm_of(gradients, 2) * 1.01)
    assert all(np.array_equal(values(p.grad), g) for p, g in zip(params, gradients))


def test_only_the_given_parameters_are_clipped():
    params, gradients, _kept = made("arena")
    total = clip_grad_norm_([params[2], params[4]], 0.5)
    expected = norm_of([gradients[2], gradients[4]], 2)
    assert abs(total - expected) < 1e-6 * expected
    for i, (p, g) in enumerate(zip(params, gradients)):
        factor = 0.5 / (expected + 1e-6) if i in (2, 4) else 1
        np.testing.assert_allclose(values(p.grad), g * factor, rtol=1e-6)


def test_parameters_without_gradient_are_ignored():
    params, gradients, _kept = made("arena")
    params[3].grad = None
    frozen = leaf(np.zeros(3))
    gradients.pop(3)
    total = clip_grad_norm_([frozen, *params], 1.0)
    assert abs(total - norm_of(gradients, 2)) < 1e-5
    assert params[3].grad is None
    assert frozen.grad is None


def test_stale_values_in_slots_without_gradient_do_not_count():
    p, q = leaf(np.zeros(3)), leaf(np.zeros(3))
    optimizer = genesis.optim.SGD([p, q], lr=1.0)
    backward(p, [math.nan, 1.0, 1.0])
    optimizer.zero_grad()
    backward(q, [3.0, 4.0, 0.0])
    assert clip_grad_norm_([p, q], 1.0) == 5.0
    np.testing.assert_allclose(values(q.grad), [0.6, 0.8, 0.0], rtol=1e-5)


@pytest.mark.parametrize("what", ["generator", "tensor", "empty", "nothing", "twice", "tuple"])
def test_forms_of_the_argument(what):
    p, q = leaf(np.zeros(2)), leaf(np.zeros(2))
    kept = genesis.optim.SGD([p, q], lr=1.0)
    if what == "nothing":
        assert clip_grad_norm_([p, q], 1.0) == 0.0
        assert clip_grad_norm_([p, q], 1.0, math.inf, error_if_nonfinite=True) == 0.0
        clip_grad_value_([p, q], 1.0)
        return
    backward(p, [3.0, 4.0])
    argument = {"generator": (x for x in (p, q)), "tensor": p, "empty": [], "twice": [p, p], "tuple": (p, q)}[what]
    assert clip_grad_norm_(argument, 1.0) == (0.0 if what == "empty" else 5.0)
    expected = [3.0, 4.0] if what == "empty" else [0.6, 0.8]
    np.testing.assert_allclose(values(p.grad), expected, rtol=1e-6)
    del kept


def test_a_gradient_shared_by_two_parameters_is_scaled_once():
    p, q = leaf(np.zeros(2)), leaf(np.zeros(2))
    p.grad = q.grad = genesis.tensor([3.0, 4.0])
    assert clip_grad_norm_([p, q], 1.0) == 5.0
    np.testing.assert_allclose(values(p.grad), [0.6, 0.8], rtol=1e-6)


def test_expanded_gradients_are_clipped():
    p = leaf(np.zeros((2, 3)))
    p.grad = genesis.tensor([[3.0], [4.0]]).expand(2, 3)
    total = clip_grad_norm_([p], 1.0)
    assert abs(total - math.sqrt(75)) < 1e-5
    np.testing.assert_allclose(values(p.grad), np.array([[3.0] * 3, [4.0] * 3]) / total, rtol=1e-5)


@pytest.mark.parametrize("bad", [0, -1, math.nan, -math.inf])
def test_a_norm_type_out_of_range_is_refused(bad):
    params, gradients, _kept = made("arena")
    with pytest.raises(ValueError, match="norm_type"):
        clip_grad_norm_(params, 1.0, bad)
    with pytest.raises(ValueError, match="norm_type"):
        get_total_norm([p.grad for p in params], bad)
    assert all(np.array_equal(values(p.grad), g) for p, g in zip(params, gradients))


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_a_limit_out_of_range_is_refused(bad):
    params, gradients, _kept = made("mixed")
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm_(params, bad)
    with pytest.raises(ValueError, match="clip_value"):
        clip_grad_value_(params, bad)
    assert all(np.array_equal(values(p.grad), g) for p, g in zip(params, gradients))


# Gradients that are not finite --------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", WHERE)
def test_error_if_nonfinite_leaves_the_gradients_as_they_were(where, value, norm_type):
    params, gradients, _kept = made(where)
    gradients[3][2, 5] = value
    for p, g in zip(params, gradients):
        with genesis.no_grad():
            p.grad.copy_(genesis.tensor(g, dtype=p.dtype))
    with pytest.raises(RuntimeError, match="finite"):
        clip_grad_norm_(params, 1.0, norm_type, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match=f"is {abs(value)}"):
        get_total_norm([p.grad for p in params], norm_type, error_if_nonfinite=True)
    assert all(np.array_equal(values(p.grad), g, equal_nan=True) for p, g in zip(params, gradients))


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", WHERE)
def test_gradients_that_are_not_finite_behave_as_in_torch(where, value, norm_type):
    params, gradients, _kept = made(where)
    gradients[3][2, 5] = value
    gradients[2][0] = 0.0
    for p, g in zip(params, gradients):
        with genesis.no_grad():
            p.grad.copy_(genesis.tensor(g, dtype=p.dtype))
    torch, twins = torch_twins(gradients)
    total = clip_grad_norm_(params, 1.0, norm_type)
    expected = clip_with_torch(torch, twins, 1.0, norm_type)
    np.testing.assert_equal(total, expected)
    for p, x in zip(params, twins):
        np.testing.assert_array_equal(values(p.grad), x.grad.numpy())


@pytest.mark.parametrize("clip", [
    lambda ps: clip_grad_norm_(ps, 1.0), lambda ps: clip_grads_with_norm_(ps, 1.0, math.nan),
    lambda ps: clip_grad_value_(ps, 1.0)])
def test_nan_does_not_outlive_the_gradients_that_it_was_in(clip):
    p, q = leaf(np.zeros(3)), leaf(np.zeros(2000))
    optimizer = genesis.optim.SGD([p, q], lr=1.0)
    backward(p, [math.nan, 1.0, 1.0])
    backward(q, np.ones(2000))
    clip([p, q])
    optimizer.zero_grad()
    backward(p, [3.0, 4.0, 0.0])
    backward(q, np.zeros(2000))
    assert clip_grad_norm_([p, q], 1.0) == 5.0
    np.testing.assert_allclose(values(p.grad), [0.6, 0.8, 0.0], rtol=1e-5)


# By value, and in two parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
@pytest.mark.parametrize("where", WHERE)
def test_clipping_by_value_limits_each_element(where, dtype):
    params, gradients, _kept = made(where, dtype)
    assert clip_grad_value_(params, 0.75) is None
    for p, g in zip(params, gradients):
        assert np.array_equal(values(p.grad), np.clip(g, -0.75, 0.75))


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
def test_clipping_by_value_is_exact_in_float64():
    params, gradients, _kept = made("arena", genesis.float64)
    clip_grad_value_(params, 0.1)
    for p, g in zip(params, gradients):
        assert np.array_equal(values(p.grad), np.clip(g, -0.1, 0.1))


def test_clipping_by_value_keeps_nan_and_limits_infinity():
    for kept in (None, 1):
        p = leaf(np.zeros(5))
        kept = kept and genesis.optim.SGD([p], lr=1.0)
        backward(p, [math.nan, math.inf, -math.inf, 0.5, -2.0])
        clip_grad_value_(p, 1.0)
        np.testing.assert_array_equal(values(p.grad), [math.nan, 1.0, -1.0, 0.5, -1.0])
        clip_grad_value_(p, 0)
        np.testing.assert_array_equal(values(p.grad), [math.nan, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("where", WHERE)
def test_the_total_norm_and_clipping_with_it_equal_both_at_once(where, norm_type):
    params, gradients, _kept = made(where)
    others, _, _kept2 = made(where)
    total = get_total_norm([p.grad for p in params], norm_type)
    expected = norm_of(gradients, norm_type)
    assert isinstance(total, float)
    assert type(total.item()) is type(total.detach().cpu().item()) is float
    assert abs(total - expected) <= 4 * EPS * expected
    clip_grads_with_norm_((p for p in params), 0.5, total)
    clip_grad_norm_(others, 0.5, norm_type)
    for p, q in zip(params, others):
        np.testing.assert_allclose(values(p.grad), values(q.grad), rtol=1e-6)


def test_the_total_norm_may_be_a_tensor():
    p = leaf(np.zeros(2))
    backward(p, [3.0, 4.0])
    clip_grads_with_norm_(p, 1.0, genesis.tensor(5.0))
    np.testing.assert_allclose(values(p.grad), [0.6, 0.8], rtol=1e-6)
    assert get_total_norm([]) == 0.0
    assert get_total_norm(p.grad) == pytest.approx(1.0)
    assert get_total_norm(x for x in [p.grad]) == pytest.approx(1.0)


# Work, and what the optimizer sees ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize("clip", [
    lambda ps: clip_grad_norm_(ps, 0.1), lambda ps: clip_grad_norm_(ps, 0.1, 1), lambda ps: clip_grad_value_(ps, 0.1),
    lambda ps: clip_grad_norm_(ps[:1], 0.1)])
def test_gradients_in_an_arena_take_two_launches(clip, count, launched):
    params = [leaf(np.zeros(10 + i)) for i in range(count)]
    optimizer = genesis.optim.SGD(params, lr=1.0)
    for p in params:
        backward(p, np.ones(p.shape))
    launched.clear()
    clip(params)
    assert len(launched) <= 2
    del optimizer


@pytest.mark.parametrize("where", WHERE)
def test_a_step_uses_the_clipped_gradients(where):
    params, gradients, optimizer = made(where)
    optimizer = optimizer if where != "partly" and optimizer else genesis.optim.SGD(params, lr=1.0)
    clip_grad_norm_(params, 1.0)
    optimizer.step()
    for p, g in zip(params, gradients):
        np.testing.assert_allclose(values(p), -g / (norm_of(gradients, 2) + 1e-6), rtol=1e-5)


def test_gradients_read_before_clipping_are_those_that_are_clipped():
    p = leaf(np.zeros(2))
    optimizer = genesis.optim.SGD([p], lr=1.0)
    backward(p, [3.0, 4.0])
    held = p.grad
    clip_grad_norm_(p, 1.0)
    np.testing.assert_allclose(values(held), [0.6, 0.8], rtol=1e-6)
    del optimizer


def test_clipping_a_gradient_that_a_graph_saved_is_reported():
    p, q = leaf([3.0, 4.0]), leaf([1.0, 1.0])
    backward(p, [3.0, 4.0])
    loss = (q * p.grad).sum()
    clip_grad_norm_(p, 1.0)
    with pytest.raises(genesis.errors.GenesisError, match="in place"):
        loss.backward()


# Parameters as a vector ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimized", [False, True])
def test_parameters_become_a_vector_and_come_back(optimized):
    rng = np.random.default_rng(0)
    params = [leaf(rng.standard_normal(shape)) for shape in SHAPES]
    strided = leaf(rng.standard_normal((3, 4))).detach().T.requires_grad_()
    params.append(strided)
    kept = genesis.optim.SGD(params, lr=1.0) if optimized else None
    vector = parameters_to_vector(p for p in params)
    assert np.array_equal(values(vector), np.concatenate([values(p).ravel() for p in params]))
    new = rng.standard_normal(vector.numel()).astype(np.float32)
    vector_to_parameters(genesis.tensor(new), (p for p in params))
    assert np.array_equal(values(parameters_to_vector(params)), new)
    assert [p.shape for p in params] == [*SHAPES, (4, 3)]
    before = values(vector)
    vector_to_parameters(vector.detach(), params)
    assert np.array_equal(values(parameters_to_vector(params)), before)
    del kept


def test_a_vector_is_copied_not_shared():
    p = leaf([1.0, 2.0])
    vector = genesis.tensor([5.0, 6.0])
    vector_to_parameters(vector, [p])
    vector.zero_()
    assert values(p).tolist() == [5.0, 6.0]
    assert p.requires_grad
    assert p.is_leaf
    vector_to_parameters(parameters_to_vector([p]), [p])
    assert values(p).tolist() == [5.0, 6.0]


def test_gradients_flow_through_the_vector():
    p, q = leaf([1.0, 2.0]), leaf([[3.0]])
    (parameters_to_vector([p, q]) * genesis.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values(p.grad).tolist() == [1.0, 2.0]
    assert values(q.grad).tolist() == [[3.0]]


@pytest.mark.parametrize("size", [0, 2, 4])
def test_a_vector_of_the_wrong_size_changes_nothing(size):
    p, q = leaf([1.0, 2.0]), leaf([3.0])
    with pytest.raises(ValueError, match="3 elements"):
        vector_to_parameters(genesis.zeros(size), [p, q])
    with pytest.raises(ValueError, match="3 elements"):
        vector_to_parameters(genesis.zeros(3, 1), [p, q])
    with pytest.raises(TypeError, match="Tensor"):
        vector_to_parameters(np.zeros(3), [p, q])
    assert values(p).tolist() == [1.0, 2.0]


def test_a_vector_of_another_type_or_device_is_converted():
    p, q = leaf([1.0, 2.0]), leaf([3.0], genesis.bfloat16)
    vector_to_parameters(genesis.tensor([4.0, 5.0, 6.0], dtype=genesis.float16), [p, q])
    assert values(p).tolist() == [4.0, 5.0]
    assert values(q).tolist() == [6.0]
    assert (p.dtype, q.dtype) == (genesis.float32, genesis.bfloat16)
    others = [d for d in genesis.devices() if d is not genesis.device() and d.quirks.rank >= 0]
    if others:
        vector_to_parameters(genesis.tensor([7.0, 8.0, 9.0], device=others[0]), [p, q])
        assert values(p).tolist() == [7.0, 8.0]
        assert p.device is genesis.device()


def test_parameters_changed_through_a_vector_are_watched_by_graphs():
    p = leaf([1.0, 2.0])
    loss = (p * p).sum()
    vector_to_parameters(genesis.tensor([5.0, 6.0]), [p])
    with pytest.raises(genesis.errors.GenesisError, match="in place"):
        loss.backward()


def test_a_model_survives_the_round_trip_with_its_optimizer():
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    x = genesis.ones(2, 3)
    before = parameters_to_vector(model.parameters()).detach()
    expected = values(model(x))
    for _ in range(2):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert not np.array_equal(values(model(x)), expected)
    vector_to_parameters(before, model.parameters())
    assert np.array_equal(values(model(x)), expected)
