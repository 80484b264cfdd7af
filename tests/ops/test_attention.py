"""Attention: values and gradients against PyTorch in float64, masks, layouts, dropout, and what is kept in memory."""

import dataclasses
import math

import numpy as np
import pytest
from helpers import close, fused_attention, leaf, needs_float64, normal

import genesis
from genesis.nn import functional as F
from genesis.nn.functional.attention import packed_self_attention
from genesis.ops import attention, vectors

torch = pytest.importorskip("torch", reason="attention is compared with PyTorch's")
attend, its_attend = F.scaled_dot_product_attention, torch.nn.functional.scaled_dot_product_attention


def tensors(*shapes, dtype=None):
    values = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    return [leaf(x, dtype) for x in values], [torch.tensor(x, requires_grad=True) for x in values]


def check(shapes, mask=None, rtol=1e-4, atol=1e-5, **options):
    """Compare values and gradients."""
    mine, its = tensors(*shapes)
    if mask is not None:
        options["attn_mask"] = genesis.tensor(mask)
    result = attend(*mine, **options)
    if mask is not None:
        if options.get("is_causal"):      # PyTorch takes one of the two
            mask = mask & np.tril(np.ones(mask.shape[-2:], dtype=bool))
            options["is_causal"] = False
        options["attn_mask"] = torch.tensor(mask if mask.dtype == bool else mask.astype(np.float64))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = its_attend(*its, **options)
    close(result, expected.detach().numpy(), rtol, atol)
    g = normal(*expected.shape, seed=9)
    result.backward(genesis.tensor(g, dtype=genesis.float32))
    expected.backward(torch.tensor(g))
    for x, y in zip(mine, its):
        close(x.grad, y.grad.numpy(), rtol, atol)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("rows", "keys"), [(1, 1), (1, 70), (12, 13), (16, 17), (31, 33), (32, 32), (33, 31), (48, 49),
                                            (64, 96), (97, 65), (65, 3), (130, 200)])
def test_lengths(rows, keys, causal):
    check([(2, 3, rows, 16), (2, 3, keys, 16), (2, 3, keys, 16)], is_causal=causal)


@pytest.mark.parametrize(("size", "value_size"), [(1, 1), (13, 13), (15, 17), (64, 64), (80, 31), (128, 128)])
def test_head_sizes(size, value_size):
    check([(1, 2, 40, size), (1, 2, 50, size), (1, 2, 50, value_size)], is_causal=True)


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (2, 1, 3, 5, 7)])
def test_other_numbers_of_dimensions(shape):
    check([shape] * 3, is_causal=True)
    check([shape] * 3, normal(5, 5) > -0.5)


def test_leading_dimensions_broadcast():
    check([(2, 3, 5, 8), (1, 1, 6, 8), (3, 6, 8)])
    check([(5, 8), (2, 6, 8), (2, 6, 4)])


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_few_heads_are_shared_by_many(heads):
    check([(2, 6, 37, 16), (2, heads, 41, 16), (2, heads, 41, 12)], enable_gqa=True, is_causal=True)
    check([(6, 5, 16), (heads, 41, 16), (heads, 41, 16)], enable_gqa=True)


@pytest.mark.parametrize("shape", [(40, 50), (50,), (1, 50), (40, 1), (2, 1, 1, 50), (3, 40, 50), (2, 3, 40, 50)])
@pytest.mark.parametrize("boolean", [True, False])
def test_masks_broadcast(shape, boolean):
    mask = normal(*shape, seed=5)
    check([(2, 3, 40, 16), (2, 3, 50, 16), (2, 3, 50, 16)], mask > -0.7 if boolean else mask.astype(np.float32))


def test_mask_and_causal_hold_together():
    check([(2, 2, 40, 16), (2, 2, 40, 16), (2, 2, 40, 16)], normal(2, 1, 40, 40, seed=5) > -0.5, is_causal=True)


def test_rows_that_see_nothing_give_zeros():
    mask = np.ones((40, 50), dtype=bool)
    mask[3] = mask[39] = False
    mask[5, 1:] = False
    mask[:, 49] = False
    check([(2, 2, 40, 16), (2, 2, 50, 16), (2, 2, 50, 16)], mask)
    (q, k, v), _ = tensors((1, 1, 4, 8), (1, 1, 4, 8), (1, 1, 4, 8))
    out = attend(q, k, v, genesis.zeros(4, 4, dtype=genesis.bool))
    close(out, np.zeros((1, 1, 4, 8)))
    out.sum().backward()
    assert all((x.grad == 0).all() for x in (q, k, v))


def test_scale_and_large_scores():
    check([(1, 2, 40, 16)] * 3, scale=0.0)
    check([(1, 2, 40, 16)] * 3, scale=-1.5)
    check([(1, 2, 40, 16)] * 3, scale=60.0, rtol=1e-3, atol=2e-3)


def test_gradients_of_a_mask():
    q, k, v, mask = (leaf(normal(*shape, seed=i)) for i, shape in enumerate([(2, 2, 5, 4)] * 3 + [(5, 5)]))
    others = [torch.tensor(x.detach().numpy(), dtype=torch.float64, requires_grad=True) for x in (q, k, v, mask)]
    attend(q, k, v, mask).sin().sum().backward()
    its_attend(*others).sin().sum().backward()
    for x, y in zip((q, k, v, mask), others):
        close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_gradients_go_only_where_they_are_asked_for(wanted):
    mine, its = tensors(*[(2, 2, 33, 8)] * 3)
    for x, y, need in zip(mine, its, wanted):
        x.requires_grad_(need)
        y.requires_grad_(need)
    attend(*mine).sum().backward()
    its_attend(*its).sum().backward()
    for x, y, need in zip(mine, its, wanted):
        assert (x.grad is not None) == need
        if need:
            close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


def test_one_tensor_as_query_key_and_value():
    x, y = leaf(normal(2, 2, 33, 8)), torch.tensor(normal(2, 2, 33, 8), requires_grad=True)
    attend(x, x, x).cos().sum().backward()
    its_attend(y, y, y).cos().sum().backward()
    close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


def test_views_are_read_in_place():
    value = normal(2, 33, 3, 4, 8)
    x, y = leaf(value), torch.tensor(value, requires_grad=True)
    (q, k, v), its = x.permute(2, 0, 3, 1, 4), y.permute(2, 0, 3, 1, 4)
    attend(q, k, v, is_causal=True).transpose(1, 2).flatten(2).sin().sum().backward()
    its_attend(*its, is_causal=True).transpose(1, 2).flatten(2).sin().sum().backward()
    close(x.grad, y.grad.numpy(), 1e-4, 1e-5)
    a, b = leaf(normal(2, 2, 8, 20)), torch.tensor(normal(2, 2, 8, 20), requires_grad=True)      # a step of 20 inside
    attend(a.mT, a.mT[..., ::2, :], a.mT[..., 1::2, :]).sin().sum().backward()
    its_attend(b.mT, b.mT[..., ::2, :], b.mT[..., 1::2, :]).sin().sum().backward()
    close(a.grad, b.grad.numpy(), 1e-4, 1e-5)


@fused_attention
def test_the_result_lies_in_the_order_of_the_layers():
    x = genesis.randn(2, 4, 33, 8)
    assert attend(x, x, x).transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats(dtype):
    mine, _ = tensors(*[(2, 2, 40, 16)] * 3, dtype=dtype)
    wide = [leaf(x.detach().float().numpy()) for x in mine]
    unit = 2.0 ** -11 if dtype is genesis.float16 else 2.0 ** -8
    result, expected = attend(*mine, is_causal=True), attend(*wide, is_causal=True)
    assert result.dtype is dtype
    close(result.float(), expected.detach().numpy(), 1.1 * unit, 1e-5)
    result.sum().backward()
    expected.sum().backward()
    for x, y in zip(mine, wide):
        assert x.grad.dtype is dtype
        close(x.grad.float(), y.grad.numpy(), 1.1 * unit, 20 * unit)


@needs_float64
def test_float64():
    values = [normal(2, 3, 41, 20, seed=i) for i in range(3)]
    mine = [leaf(x, genesis.float64) for x in values]
    its = [torch.tensor(x, requires_grad=True) for x in values]
    attend(*mine, is_causal=True).sin().sum().backward()
    its_attend(*its, is_causal=True).sin().sum().backward()
    for x, y in zip(mine, its):
        close(x.grad, y.grad.numpy(), 1e-12, 1e-12)


@pytest.mark.parametrize("shapes", [
    [(2, 2, 0, 8), (2, 2, 5, 8), (2, 2, 5, 8)], [(2, 2, 5, 8), (2, 2, 0, 8), (2, 2, 0, 8)], [(0, 2, 5, 8)] * 3])
def test_empty(shapes):
    mine, _ = tensors(*shapes)
    result = attend(*mine)
    close(result, np.zeros((*shapes[0][:3], 8)))
    result.sum().backward()
    for x in mine:
        close(x.grad, np.zeros(x.shape))


def test_results_repeat_bit_for_bit():
    mine, _ = tensors(*[(1, 3, 100, 16)] * 3)
    runs = []
    for _ in range(2):
        out = attend(*mine, is_causal=True)
        runs.append([out.detach().numpy(), *(g.numpy() for g in genesis.autograd.grad(out.sin().sum(), mine))])
    for x, y in zip(*runs):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("heads", [1, 4])
def test_both_ways_of_backward(heads, monkeypatch):
    """One head is shared between kernels; where compute units are few, a work-item has a whole head."""
    monkeypatch.setattr(genesis.device(), "compute_units", 4)
    for causal in (False, True):
        check([(1, heads, 70, 24), (1, heads, 90, 24), (1, heads, 90, 20)], is_causal=causal)
        check([(1, 2 * heads, 70, 24), (1, heads, 90, 24), (1, heads, 90, 20)], is_causal=causal, enable_gqa=True)
    check([(1, heads, 70, 24), (1, heads, 90, 24), (1, heads, 90, 20)], normal(70, 90) > 0)


@fused_attention
def test_tiles_for_other_processors(monkeypatch):
    """Those for twice or half as many registers as the processor has; its own are used everywhere else."""
    monkeypatch.setattr(attention, "registers", lambda device, real: 48 - vectors.registers(device, real))
    monkeypatch.setattr(attention, "_plans", {})
    for compute_units in (1, 4):             # both ways of backward
        monkeypatch.setattr(genesis.device(), "compute_units", compute_units)
        check([(1, 2, 41, 23), (1, 2, 70, 23), (1, 2, 70, 20)], is_causal=True)


# Dropout -----------------------------------------------------------------------------------------------------------


def dropped(q, k, v, mask, key, **options):
    genesis.manual_seed(key)
    return attend(q, k, v, mask, 0.25, **options)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_dropout_is_the_same_in_forward_and_backward(heads, causal, monkeypatch):
    """With v the identity, the result is P after dropping: its zeros are the mask, and gradients must follow it."""
    monkeypatch.setattr(genesis.device(), "compute_units", 4)
    q, k, v = normal(1, heads, 50, 8), normal(1, heads, 50, 8, seed=1), np.eye(50)
    weights = dropped(leaf(q), leaf(k), leaf(np.broadcast_to(v, (1, heads, 50, 50))), None, 3, is_causal=causal)
    kept = weights.detach().numpy() != 0
    allowed = np.tril(np.ones((50, 50), dtype=bool)) if causal else np.ones((50, 50), dtype=bool)
    share = kept[:, :, allowed].mean()
    assert abs(share - 0.75) < 0.05
    mine = [leaf(q), leaf(k), leaf(normal(1, heads, 50, 12, seed=2))]
    its = [torch.tensor(x.detach().numpy(), dtype=torch.float64, requires_grad=True) for x in mine]
    result = dropped(*mine, None, 3, is_causal=causal)
    scores = its[0] @ its[1].mT / math.sqrt(8)
    scores = scores.masked_fill(torch.tensor(~allowed), -math.inf)
    expected = (scores.softmax(-1) * torch.tensor(kept) / 0.75) @ its[2]
    close(result, expected.detach().numpy(), 1e-4, 1e-5)
    result.sin().sum().backward()
    expected.sin().sum().backward()
    for x, y in zip(mine, its):
        close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


def test_dropout_differs_from_call_to_call():
    x = genesis.randn(1, 2, 40, 8)
    first, second = attend(x, x, x, dropout_p=0.5), attend(x, x, x, dropout_p=0.5)
    assert not genesis.equal(first, second)
    close(attend(x, x, x, dropout_p=1.0), np.zeros((1, 2, 40, 8)))


# Other ways ---------------------------------------------------------------------------------------------------------


def test_packed_attention_equals_separate(monkeypatch):
    for heads, causal, mask in ((3, True, None), (1, False, None), (2, False, normal(33, 33) > -0.5)):
        value = normal(2, 33, 3 * 24)
        x, y = leaf(value), torch.tensor(value, requires_grad=True)
        result = packed_self_attention(x, heads, None if mask is None else genesis.tensor(mask), is_causal=causal)
        expected = its_attend(*y.reshape(2, 33, 3, heads, 24 // heads).permute(2, 0, 3, 1, 4), is_causal=causal,
                              attn_mask=None if mask is None else torch.tensor(mask))
        expected = expected.transpose(1, 2).reshape(2, 33, 24)
        close(result, expected.detach().numpy(), 1e-4, 1e-5)
        result.sin().sum().backward()
        expected.sin().sum().backward()
        close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_from_matrix_products_where_a_device_limits_loops(causal, monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=60_000))
    shapes = [(2, 4, 33, 8), (2, 2, 20, 8), (2, 2, 20, 6)]
    check(shapes, enable_gqa=True, is_causal=causal)
    mask = normal(33, 20) > 0
    mask[4] = False
    check(shapes, mask, enable_gqa=True, is_causal=causal)
    x = leaf(normal(2, 9, 24))
    genesis.nn.functional.attention.packed_self_attention(x, 2, is_causal=causal).sum().backward()
    assert attend(*tensors(*[(1, 2, 8, 8)] * 3)[0], dropout_p=0.5).shape == (1, 2, 8, 8)


@pytest.mark.parametrize("causal", [False, True])
def test_the_form_for_gpus_on_any_device(causal, monkeypatch):
    monkeypatch.setattr(genesis.device(), "type", "gpu")
    check([(1, 4, 70, 20), (1, 2, 90, 20), (1, 2, 90, 12)], enable_gqa=True, is_causal=causal)
    check([(1, 2, 70, 20), (1, 2, 90, 20), (1, 2, 90, 12)], normal(70, 90) > 0)


def test_very_large_heads():
    check([(1, 2, 7, 300), (1, 2, 9, 300), (1, 2, 9, 20)], is_causal=True)


def test_memory_is_linear_in_the_length():
    device = genesis.device()
    if device.quirks.max_loop:
        pytest.skip("attention is put together from matrix products on this device")
    x = leaf(normal(1, 1, 4096, 8))
    genesis.synchronize()
    device.pool.reset_peak()
    before = device.pool.allocated
    attend(x, x, x, is_causal=True).sum().backward()
    genesis.synchronize()
    assert device.pool.peak - before < 20 * x.nbytes < 4096 * 4096 * 4


def test_what_does_not_fit():
    x = genesis.randn(1, 2, 5, 8)
    for others, message in (
            ({"query": x[0, 0, 0]}, "two dimensions"), ({"key": x[..., :4]}, "last dimension"),
            ({"value": x[:, :, :3]}, "the one before"), ({"key": x.half()}, "one floating-point type"),
            ({"attn_mask": genesis.zeros(5, 5, dtype=genesis.int64)}, "boolean or"),
            ({"attn_mask": genesis.zeros(4, 4)}, "broadcast"), ({"dropout_p": 1.5}, "between 0 and 1"),
            ({"query": genesis.randn(1, 3, 5, 8)}, "broadcast"),
            ({"query": genesis.randn(1, 3, 5, 8), "enable_gqa": True}, "multiple")):
        with pytest.raises(RuntimeError, match=message):
            attend(**{"query": x, "key": x, "value": x, **others})
    with pytest.raises(RuntimeError, match="7 heads"):
        packed_self_attention(genesis.randn(2, 5, 24 * 5), 7)
