"""Gradients: written into their slots by backward, and everything that does not go there by itself."""

import numpy as np
import pytest
from support import OPTIMIZERS, decaying, everything, extremes, flow, give, launches, leaf, updates, values

import genesis
from genesis import nn


def arena_of(p):
    return p._slot.arena


def sgd(*params, lr=1.0, **arguments):
    return genesis.optim.SGD(list(params), lr=lr, **arguments)


# Where backward leaves gradients ------------------------------------------------------------------------------------


def test_backward_writes_gradients_into_their_slots():
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    optimizer = sgd(*model.parameters())
    model(genesis.ones(4, 5)).sum().backward()
    arena = arena_of(next(model.parameters()))
    assert arena.present == 0b1111
    assert not arena.assigned
    assert not arena.outside
    flat = genesis.Tensor._wrap(arena.gradients(arena.present).array).numpy()
    for i, p in enumerate(model.parameters()):
        start = arena.arena.starts[i]
        assert np.array_equal(flat[start:start + p.numel()], p.grad.numpy().ravel())
    optimizer.step()
    assert arena.source == "grad"


def test_a_product_writes_its_gradient_into_the_slot_without_a_copy():
    p, alone = leaf(np.ones((5, 3))), leaf(np.ones((5, 3)))
    optimizer = sgd(p)
    counts = []
    for x in (alone, p):
        loss = (genesis.ones(4, 5) @ x).sum()
        with launches() as seen:
            loss.backward()
        counts.append(len(seen))
    assert seen[-1].rpartition(":")[2] in ("matmul_block", "matmul_tile", "matmul_local")
    assert counts[1] == counts[0]          # the leaf on its own keeps the product that backward made
    with launches() as seen:
        optimizer.step()
    assert len(seen) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_from_backward_equal_gradients_assigned(name):
    rng = np.random.default_rng(0)
    shapes = [(), (3,), (65,), (7, 11), (0,)]
    start = [rng.standard_normal(s) for s in shapes]
    mine, others = [leaf(x) for x in start], [leaf(x) for x in start]
    a, b = OPTIMIZERS[name](mine, lr=0.1), OPTIMIZERS[name](others, lr=0.1)
    for _ in range(4):
        gradients = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        a.zero_grad()
        flow(*zip(mine, gradients))
        for p, g in zip(others, gradients):
            give(p, g)
        a.step()
        b.step()
    for p, q in zip(mine, others):
        assert np.array_equal(values(p), values(q))


def test_several_backward_calls_add_up():
    p, q = leaf([1.0, 2.0]), leaf([[3.0]])
    optimizer = sgd(p, q)
    for k in range(1, 4):
        flow((p, [1.0, 10.0]), (q, [[100.0]]))
        assert values(p.grad).tolist() == [k, 10.0 * k]
        assert values(q.grad).tolist() == [[100.0 * k]]
    assert not arena_of(p).assigned
    optimizer.step()
    assert values(p).tolist() == [-2.0, -28.0]
    assert values(q).tolist() == [[-297.0]]


def test_a_parameter_used_several_times_in_one_graph_gets_the_sum():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((4, 4))
    p, q = leaf(start), leaf(start)
    optimizer = sgd(p)
    for x in (p, q):
        ((x @ x) @ x + x * 2).sum().backward()
    np.testing.assert_allclose(values(p.grad), values(q.grad), rtol=1e-5)
    assert not arena_of(p).assigned
    optimizer.step()
    np.testing.assert_allclose(values(p), start - values(q.grad), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_accumulation_over_iterations_starts_anew_after_zero_grad(set_to_none):
    p = leaf([0.0])
    optimizer = sgd(p)
    for _ in range(3):
        optimizer.zero_grad(set_to_none)
        flow((p, [1.0]))
        flow((p, [1.0]))
        optimizer.step()
    assert p.item() == -6.0


def test_module_zero_grad_clears_the_slots():
    model = nn.Linear(3, 2)
    optimizer = sgd(*model.parameters())
    model(genesis.ones(1, 3)).sum().backward()
    model.zero_grad()
    before = values(model.weight)
    assert model.weight.grad is None
    optimizer.step()
    assert np.array_equal(values(model.weight), before)
    model(genesis.ones(1, 3)).sum().backward()
    assert arena_of(model.weight).present == 0b11


def test_gradients_that_exist_before_the_optimizer_are_used():
    p = leaf([1.0, 1.0])
    flow((p, [1.0, 2.0]))
    held = p.grad
    optimizer = sgd(p)
    assert p.grad is held
    optimizer.step()
    assert values(p).tolist() == [0.0, -1.0]
    flow((p, [1.0, 2.0]))            # adds to the tensor that was there, as in PyTorch
    assert values(held).tolist() == [2.0, 4.0]
    optimizer.zero_grad()
    flow((p, [5.0, 5.0]))
    assert values(held).tolist() == [2.0, 4.0]
    assert not arena_of(p).assigned


# Gradients assigned by hand -----------------------------------------------------------------------------------------


def test_an_assigned_gradient_keeps_its_memory():
    p = leaf([1.0, 1.0])
    optimizer = sgd(p)
    mine = genesis.tensor([3.0, 4.0])
    p.grad = mine
    assert p.grad is mine
    optimizer.step()
    assert values(p).tolist() == [-2.0, -3.0]
    flow((p, [1.0, 1.0]))
    assert p.grad is mine
    assert values(mine).tolist() == [4.0, 5.0]
    optimizer.zero_grad()
    assert p.grad is None
    flow((p, [7.0, 7.0]))
    optimizer.step()
    assert values(mine).tolist() == [4.0, 5.0]


def test_changes_of_an_assigned_gradient_are_seen_by_the_step():
    p = leaf([0.0])
    optimizer = sgd(p)
    mine = genesis.tensor([1.0])
    p.grad = mine
    optimizer.step()
    mine.fill_(10.0)
    optimizer.step()
    assert p.item() == -11.0


def test_one_tensor_may_be_the_gradient_of_two_parameters():
    p, q = leaf([0.0]), leaf([1.0])
    optimizer = sgd(p, q)
    p.grad = q.grad = genesis.tensor([2.0])
    optimizer.step()
    assert (p.item(), q.item()) == (-2.0, -1.0)


def test_gradients_can_be_swapped():
    p, q = leaf([0.0, 0.0]), leaf([0.0, 0.0])
    optimizer = sgd(p, q)
    flow((p, [1.0, 2.0]), (q, [10.0, 20.0]))
    p.grad, q.grad = q.grad, p.grad
    optimizer.step()
    assert values(p).tolist() == [-10.0, -20.0]
    assert values(q).tolist() == [-1.0, -2.0]
    assert values(p.grad).tolist() == [10.0, 20.0]
    assert values(q.grad).tolist() == [1.0, 2.0]
    optimizer.step()
    assert values(p).tolist() == [-20.0, -40.0]


def test_a_view_of_the_own_gradient_can_be_assigned():
    p = leaf(np.zeros((2, 2)))
    optimizer = sgd(p)
    flow((p, [[1.0, 2.0], [3.0, 4.0]]))
    p.grad = p.grad.T
    for k in (1, 2):
        optimizer.step()
        assert values(p).tolist() == [[-k, -3.0 * k], [-2.0 * k, -4.0 * k]]
        assert values(p.grad).tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_the_own_gradient_assigned_again_stays_in_its_slot():
    p = leaf([0.0, 0.0])
    optimizer = sgd(p)
    flow((p, [1.0, 2.0]))
    p.grad = p.grad
    assert not arena_of(p).assigned
    p.grad += 1
    assert not arena_of(p).assigned
    p.grad = p.grad.detach()
    optimizer.step()
    assert values(p).tolist() == [-2.0, -3.0]
    flow((p, [1.0, 1.0]))
    optimizer.step()
    assert values(p).tolist() == [-5.0, -7.0]


def test_a_gradient_taken_away_and_given_back_is_the_same():
    p = leaf([0.0, 0.0])
    optimizer = sgd(p)
    flow((p, [1.0, 2.0]))
    held = p.grad
    p.grad = None
    optimizer.step()
    assert values(p).tolist() == [0.0, 0.0]
    p.grad = held
    optimizer.step()
    assert values(p).tolist() == [-1.0, -2.0]


def test_changes_in_place_of_a_gradient_are_used():
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = sgd(p, q)
    flow((p, [1.0, 2.0]), (q, [3.0]))
    p.grad.mul_(10)
    p.grad[0] = 5.0
    q.grad.zero_()
    optimizer.step()
    assert values(p).tolist() == [-5.0, -20.0]
    assert q.item() == 0.0


def test_new_data_of_a_gradient_are_used():
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = sgd(p, q)
    flow((p, [1.0, 2.0]), (q, [3.0]))
    p.grad.data = p.grad.data * 10
    held = p.grad
    optimizer.step()
    assert values(p).tolist() == [-10.0, -20.0]
    assert p.grad is held
    flow((p, [1.0, 1.0]))
    assert values(held).tolist() == [11.0, 21.0]
    optimizer.zero_grad(set_to_none=False)
    assert values(p.grad).tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    held.data = genesis.zeros(2)
    flow((p, [1.0, 2.0]))
    old = p.grad
    optimizer.zero_grad()
    old.data = genesis.full((2,), 9.0)       # of a gradient that is no longer the parameter's
    assert p.grad is None
    flow((p, [1.0, 2.0]))
    optimizer.step()
    assert values(p).tolist() == [-11.0, -22.0]


def test_a_gradient_may_have_a_gradient():
    p = leaf([1.0, 2.0])
    optimizer = sgd(p)
    flow((p, [3.0, 4.0]))
    g = p.grad.requires_grad_()
    for _ in range(2):
        (g * g).sum().backward()
    assert values(g.grad).tolist() == [12.0, 16.0]
    g.grad = None
    assert g.grad is None
    g.requires_grad_(False)
    optimizer.step()
    assert values(p).tolist() == [-2.0, -2.0]


def test_a_deleted_gradient_is_none_and_the_parameter_skipped():
    p, q = leaf([1.0]), leaf([1.0])
    optimizer = genesis.optim.Adam([p, q], lr=0.1)
    flow((p, [1.0]), (q, [1.0]))
    optimizer.step()
    del p.grad
    assert p.grad is None
    before = p.item()
    optimizer.step()
    assert p.item() == before
    assert optimizer.state[p]["step"] == 1
    assert optimizer.state[q]["step"] == 2
    flow((p, [1.0]))
    assert values(p.grad).tolist() == [1.0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_any_gradient_a_step_does_nothing(name):
    p = leaf([1.0, 2.0])
    optimizer = OPTIMIZERS[name]([p], lr=0.1, **decaying(name, 0.1))
    with launches() as seen:
        optimizer.step()
    assert not updates(seen)
    assert values(p).tolist() == [1.0, 2.0]
    assert optimizer.state[p].get("step", 0) == 0
    assert len(optimizer.state) == (1 if optimizer.first_values(optimizer.param_groups[0]) else 0)


@pytest.mark.parametrize(("wrong", "what"), [
    (lambda: genesis.zeros(3), "shape"), (lambda: genesis.zeros(2, 1), "shape"),
    (lambda: genesis.zeros(2, dtype=genesis.float16), "dtype"),
    (lambda: genesis.zeros(2, dtype=genesis.int64), "dtype")])
def test_a_gradient_that_does_not_fit_is_refused(wrong, what):
    p = leaf([1.0, 2.0])
    optimizer = sgd(p)
    flow((p, [1.0, 1.0]))
    with pytest.raises(RuntimeError, match=what):
        p.grad = wrong()
    assert values(p.grad).tolist() == [1.0, 1.0]
    optimizer.step()
    assert values(p).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("wrong", [1.0, [1.0, 1.0], np.ones(2)])
def test_a_gradient_that_is_no_tensor_is_refused(wrong):
    p = leaf([1.0, 2.0])
    sgd(p)
    with pytest.raises(TypeError, match="Tensor"):
        p.grad = wrong
    assert p.grad is None


def test_expanded_and_transposed_gradients_can_be_assigned():
    p, q = leaf(np.zeros((2, 3))), leaf(np.zeros((2, 3)))
    optimizer = sgd(p, q)
    p.grad = genesis.tensor([[1.0], [2.0]]).expand(2, 3)
    q.grad = genesis.tensor([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]).T
    optimizer.step()
    assert values(p).tolist() == [[-1.0] * 3, [-2.0] * 3]
    assert values(q).tolist() == [[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]]
    flow((p, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), (q, np.ones((2, 3))))
    assert values(p.grad).tolist() == [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    assert values(q.grad).tolist() == [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]


# Gradients that somebody keeps --------------------------------------------------------------------------------------


def test_parts_of_a_larger_tensor_can_be_gradients():
    p, q, empty = leaf(np.zeros(3)), leaf(np.zeros((2, 2))), leaf(np.zeros((0, 2)))
    all_gradients = genesis.arange(12, dtype=genesis.float32)
    p.grad, q.grad, empty.grad = all_gradients[1:4], all_gradients[5:9].reshape(2, 2), all_gradients[9:9].reshape(0, 2)
    optimizer = sgd(p, q, empty)
    with launches() as seen:
        optimizer.step()
    assert len(seen) == 1                  # the device copies them without a kernel
    assert values(p).tolist() == [-1, -2, -3]
    assert values(q).tolist() == [[-5, -6], [-7, -8]]
    all_gradients.add_(1)
    optimizer.step()
    assert values(p).tolist() == [-3, -5, -7]


def test_kept_gradients_stay_as_they_are():
    p, q = leaf([0.0, 0.0]), leaf([[0.0]])
    optimizer = sgd(p, q)
    kept = []
    for k in range(1, 6):
        optimizer.zero_grad()
        flow((p, [k, 2.0 * k]), (q, [[3.0 * k]]))
        kept.append((p.grad, q.grad))
        optimizer.step()
    for k, (a, b) in enumerate(kept, 1):
        assert values(a).tolist() == [k, 2.0 * k]
        assert values(b).tolist() == [[3.0 * k]]
    assert values(p).tolist() == [-15.0, -30.0]
    assert values(q).tolist() == [[-45.0]]


def test_a_kept_view_of_a_gradient_stays_as_it_is():
    p = leaf(np.zeros((2, 3)))
    optimizer = sgd(p)
    flow((p, np.arange(6.0).reshape(2, 3)))
    row, flat = p.grad[1], p.grad.detach().reshape(-1)
    for _ in range(3):
        optimizer.zero_grad()
        flow((p, np.full((2, 3), 9.0)))
        optimizer.step()
    assert values(row).tolist() == [3.0, 4.0, 5.0]
    assert values(flat).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    del row, flat
    optimizer.zero_grad()
    flow((p, np.ones((2, 3))))
    assert not arena_of(p).assigned      # nobody looks any more: back in the slot


def test_a_kept_gradient_is_not_changed_by_zeroing_those_of_other_parameters():
    p, q = leaf([0.0]), leaf([0.0])
    optimizer = sgd(p, q)
    flow((p, [1.0]), (q, [2.0]))
    kept = p.grad
    optimizer.zero_grad()
    flow((q, [3.0]))
    optimizer.zero_grad(set_to_none=False)
    assert kept.item() == 1.0
    assert q.grad.item() == 0.0
    assert p.grad is None


def test_a_kept_gradient_can_be_combined_with_the_next():
    # As in gradient surgery: two losses, their gradients joined by hand.
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = sgd(p, q)
    flow((p, [1.0, 2.0]), (q, [1.0]))
    first = [p.grad, q.grad]
    optimizer.zero_grad()
    flow((p, [10.0, 20.0]), (q, [10.0]))
    for x, g in zip((p, q), first):
        x.grad = x.grad + g
    optimizer.step()
    assert values(p).tolist() == [-11.0, -22.0]
    assert values(first[0]).tolist() == [1.0, 2.0]


def test_zero_grad_without_set_to_none_keeps_the_gradients_and_their_memory():
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = genesis.optim.Adam([p, q], lr=0.1)
    flow((p, [1.0, 2.0]))
    q.grad = mine = genesis.tensor([4.0])
    held = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is held
    assert values(held).tolist() == [0.0, 0.0]
    assert q.grad is mine
    assert mine.item() == 0.0
    optimizer.step()                     # zeros are gradients: the step counts
    assert optimizer.state[p]["step"] == 1
    flow((p, [1.0, 1.0]))
    assert values(held).tolist() == [1.0, 1.0]


def test_a_gradient_read_and_dropped_leaves_the_slot_free():
    p = leaf([0.0])
    optimizer = sgd(p)
    for _ in range(3):
        flow((p, [1.0]))
        assert p.grad.item() == 1.0
        optimizer.step()
        optimizer.zero_grad()
        assert not arena_of(p).assigned
    flow((p, [1.0]))
    assert arena_of(p).present == 1


# Shapes and layouts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_that_are_not_contiguous_are_updated(name):
    rng = np.random.default_rng(0)
    start, gradient = rng.standard_normal((5, 4)), rng.standard_normal((4, 5)).astype(np.float32)
    p = genesis.tensor(start, dtype=genesis.float32).T.requires_grad_()
    q = leaf(start.T)
    base = genesis.tensor(start, dtype=genesis.float32)
    r = base.T.detach().requires_grad_()      # its memory has another user
    assert not p.is_contiguous()
    for x in (p, q, r):
        optimizer = OPTIMIZERS[name]([x], lr=0.1)
        for _ in range(3):
            flow((x, gradient))
            optimizer.step()
    assert np.array_equal(values(p), values(q))
    assert np.array_equal(values(r), values(q))
    assert np.array_equal(values(base), values(q).T)


def test_parameters_on_parts_of_one_buffer_are_updated_in_place():
    base = genesis.zeros(10)
    p, q = base[2:5].detach().requires_grad_(), base[5:9].detach().requires_grad_()
    optimizer = sgd(p, q)
    for _ in range(2):
        flow((p, [1.0, 2.0, 3.0]), (q, [4.0, 5.0, 6.0, 7.0]))
        optimizer.step()
        optimizer.zero_grad()
    assert values(base).tolist() == [0, 0, -2, -4, -6, -8, -10, -12, -14, 0]


def test_a_gradient_flows_into_a_parameter_that_was_expanded_in_the_graph():
    p = leaf([[1.0], [2.0]])
    optimizer = sgd(p)
    (p.expand(2, 3) * genesis.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).sum().backward()
    optimizer.step()
    assert values(p).tolist() == [[-5.0], [-13.0]]


@pytest.mark.parametrize(("name", "case"), everything(extremes))
def test_zero_size_and_0d_parameters_take_part(name, case):
    empty, scalar, both = leaf(np.zeros((0, 3))), leaf(2.0), leaf(np.zeros(0))
    optimizer = OPTIMIZERS[name]([empty, scalar, both], lr=0.1, **case)
    for _ in range(3):
        flow((empty, np.zeros((0, 3))), (scalar, 1.0), (both, np.zeros(0)))
        optimizer.step()
        optimizer.zero_grad()
    assert empty.shape == (0, 3)
    assert scalar.shape == ()
    assert scalar.item() != 2.0
    if optimizer.counts_steps:
        assert optimizer.state[empty]["step"] == 3
    only = OPTIMIZERS[name]([leaf(np.zeros(0))], lr=0.1, **case)
    give(only.param_groups[0]["params"][0], np.zeros(0))
    only.step()
    only.load_state_dict(only.state_dict())


def test_a_16_bit_parameter_takes_a_gradient_of_its_type():
    for dtype in (genesis.float16, genesis.bfloat16):
        p = leaf([1.0, 2.0], dtype)
        optimizer = sgd(p, lr=0.5)
        flow((p, [1.0, 2.0]))
        assert p.grad.dtype is dtype
        assert not arena_of(p).assigned
        optimizer.step()
        assert values(p).tolist() == [0.5, 1.0]


def test_parameters_of_different_types_in_one_group_are_updated():
    params = [leaf([1.0, 2.0], dtype) for dtype in (genesis.float32, genesis.float16, genesis.bfloat16)]
    optimizer = sgd(*params, lr=0.5)
    flow(*[(p, [1.0, 2.0]) for p in params[:1]])
    for p in params[1:]:
        flow((p, [1.0, 2.0]))
    with launches() as seen:
        optimizer.step()
    assert updates(seen) == 3
    for p in params:
        assert values(p).tolist() == [0.5, 1.0]


# Groups added later -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_added_later_are_updated_from_then_on(name):
    rng = np.random.default_rng(0)
    p, q, r = (leaf(x) for x in rng.standard_normal((3, 40)))
    q2 = leaf(values(q))
    optimizer, alone = OPTIMIZERS[name]([p], lr=0.1), OPTIMIZERS[name]([q2], lr=0.2)
    for step in range(6):
        if step == 2:
            optimizer.add_param_group({"params": q, "lr": 0.2})
            optimizer.add_param_group({"params": [r], "lr": 0.3})
        g = rng.standard_normal(40).astype(np.float32)
        flow((p, g), *[(x, g) for x in (q, q2) if step >= 2])
        optimizer.step()
        alone.step()
        optimizer.zero_grad()
        alone.zero_grad()
    assert np.array_equal(values(q), values(q2))
    if optimizer.counts_steps:
        assert optimizer.state[p]["step"] == 6
        assert optimizer.state[q]["step"] == 4
    assert optimizer.state[r].get("step", 0) == 0
    assert len(optimizer.param_groups) == 3


# In-place changes between forward and backward ----------------------------------------------------------------------


def test_a_step_between_forward_and_backward_is_reported():
    p = leaf(np.ones((2, 2)))
    optimizer = sgd(p)
    loss = (p @ p).sum()
    give(p, np.ones((2, 2)))
    optimizer.step()
    with pytest.raises(genesis.errors.GenesisError, match="changed in place"):
        loss.backward()


def test_a_step_of_other_parameters_between_forward_and_backward_is_fine():
    # Two heads on frozen features: each has its own loss, one optimizer.
    p, q = leaf(np.ones((2, 2))), leaf(np.ones((2, 2)))
    optimizer = sgd(p, q)
    first, second = (p * p).sum(), (q * q).sum()
    first.backward()
    optimizer.step()
    optimizer.zero_grad()
    second.backward()
    optimizer.step()
    assert values(p).tolist() == values(q).tolist() == [[-1.0, -1.0], [-1.0, -1.0]]


def test_a_parameter_saved_by_a_graph_when_the_optimizer_is_made_is_watched_too():
    p = leaf(np.ones((2, 2)))
    loss = (p * p).sum()
    optimizer = sgd(p)
    give(p, np.ones((2, 2)))
    optimizer.step()
    with pytest.raises(genesis.errors.GenesisError, match="changed in place"):
        loss.backward()


# Hooks of tensors ---------------------------------------------------------------------------------------------------


def test_hooks_of_a_parameter_change_what_the_step_uses():
    p = leaf([0.0, 0.0])
    optimizer = sgd(p)
    handle = p.register_hook(lambda g: g * 10)
    flow((p, [1.0, 2.0]))
    optimizer.step()
    assert values(p).tolist() == [-10.0, -20.0]
    handle.remove()
    optimizer.zero_grad()
    flow((p, [1.0, 2.0]))
    optimizer.step()
    assert values(p).tolist() == [-11.0, -22.0]


def test_a_tensor_that_retains_its_gradient_can_be_optimized():
    p = leaf([1.0, 2.0])
    q = p * 2
    q.retain_grad()
    optimizer = sgd(q)
    (q * genesis.tensor([3.0, 4.0])).sum().backward()
    optimizer.step()
    assert values(q).tolist() == [-1.0, 0.0]
    assert values(p.grad).tolist() == [6.0, 8.0]
