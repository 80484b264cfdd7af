"""Functions of one, two and more corresponding elements: values, gradients, types and layouts, against PyTorch."""

import itertools
import math

import numpy as np
import pytest
from helpers import EDGES, check_gradients, close, f32, leaf, needs_float64, normal
from hypothesis import given, settings
from hypothesis import strategies as st

import genesis

torch = pytest.importorskip("torch")

SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 6, -6, 20, -20, 1e-6, -1e-6, 100, -100, 0.3, 0.9, -0.9,
                    1.5,
                    4.7, -7.5, math.inf, -math.inf, math.nan], np.float32)
UNARY = ("abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor frac log log10 "
         "log1p log2 logit nan_to_num neg rad2deg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt square tan "
         "tanh trunc").split()
TESTS = "isfinite isinf isnan isneginf isposinf logical_not signbit".split()
BINARY = ("add atan2 copysign div fmax fmin fmod hypot logaddexp maximum minimum mul pow remainder sub xlogy").split()
TRUTH = "eq ne lt le gt ge logical_and logical_or logical_xor".split()
DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32")


def _same(mine, its, rtol=2e-6, atol=1e-37):
    """Equal shapes, types and, nearly, values; NaN equals NaN."""
    assert mine.shape == tuple(its.shape)
    assert str(mine.dtype).split(".")[1] == str(its.dtype).split(".")[1]
    np.testing.assert_allclose(mine.detach().numpy().astype(np.float64) if mine.is_floating_point() else mine.numpy(),
                               its.detach().double().numpy() if its.is_floating_point() else its.numpy(),
                               rtol=rtol, atol=atol, equal_nan=True)


@pytest.mark.parametrize("name", UNARY + TESTS)
def test_values_at_special_points(name):
    _same(getattr(genesis, name)(genesis.tensor(SPECIAL)), getattr(torch, name)(torch.tensor(SPECIAL)))


@pytest.mark.parametrize("name", UNARY)
def test_gradients_at_special_points(name):
    points = SPECIAL[~(np.abs(SPECIAL) == 1)] if name in ("acosh", "asin", "acos", "atanh") else SPECIAL
    x, y = leaf(points), torch.tensor(points.astype(np.float64), requires_grad=True)
    getattr(genesis, name)(x).sum().backward()
    getattr(torch, name)(y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.float().numpy(), rtol=2e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "sign"])
def test_steps_are_recorded_with_gradients_of_zero(name):
    x = leaf(normal(5))
    y = getattr(x, name)()
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [0] * 5


def test_rounding_to_decimals():
    values = np.array([1.25, -1.35, 1234.5678, 0.05], np.float32)
    for decimals in (0, 1, 2, -2):
        _same(genesis.tensor(values).round(decimals=decimals), torch.tensor(values).round(decimals=decimals), rtol=1e-6)


PAIRS = tuple(np.array(v, np.float32) for v in zip(*itertools.product(SPECIAL[~(np.abs(SPECIAL) > 50)], repeat=2)))


@pytest.mark.parametrize("name", BINARY + TRUTH)
def test_binary_values_at_special_points(name):
    a, b = PAIRS
    _same(getattr(genesis, name)(genesis.tensor(a), genesis.tensor(b)),
          getattr(torch, name)(torch.tensor(a), torch.tensor(b)), rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize("name", BINARY)
def test_binary_gradients_at_special_points(name):
    finite = np.isfinite(PAIRS[0]) & np.isfinite(PAIRS[1])
    a, b = (x[finite] for x in PAIRS)
    if name in ("fmod", "remainder"):            # jumps, at which rounding decides
        a, b = a[np.abs(b) > 0.25], b[np.abs(b) > 0.25]
    mine, its = (leaf(a), leaf(b)), tuple(torch.tensor(x, requires_grad=True) for x in (a, b))
    getattr(genesis, name)(*mine).sum().backward()
    getattr(torch, name)(*its).sum().backward()
    for x, y in zip(mine, its):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("needs", [(True, False), (False, True)])
@pytest.mark.parametrize("name", BINARY)
def test_gradients_reach_the_operand_that_wants_one(name, needs):
    values = np.array([1.3, 0.4, 2.2]), np.array([0.7, 1.9, 0.6])
    both, one = [leaf(v) for v in values], [genesis.tensor(v.astype(np.float32), requires_grad=n)
                                            for v, n in zip(values, needs)]
    getattr(genesis, name)(*both).sum().backward()
    getattr(genesis, name)(*one).sum().backward()
    for x, y, need in zip(both, one, needs):
        assert (y.grad is not None) == need
        if need:
            assert y.grad.tolist() == x.grad.tolist()


SEVERAL = {
    "addcmul": (lambda a, b, c: a.addcmul(b, c, value=0.5), lambda a, b, c: a + 0.5 * b * c),
    "addcdiv": (lambda a, b, c: a.addcdiv(b, c, value=-2.0), lambda a, b, c: a - 2 * b / c),
    "lerp": (lambda a, b, c: a.lerp(b, c), lambda a, b, c: a + c * (b - a)),
    "clamp": (lambda a, b, c: (3 * a).clamp(b, c), lambda a, b, c: np.minimum(np.maximum(3 * a, b), c)),
    "where": (lambda a, b, c: genesis.where(a > 1.3, b, c * a), lambda a, b, c: np.where(a > 1.3, b, c * a)),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("shapes", [((65,),) * 3, ((4, 3), (3,), (4, 1)), ((1,), (2, 3), ())])
def test_several_operands(name, shapes):
    rng = np.random.default_rng(1)
    check_gradients(*SEVERAL[name], *(rng.uniform(0.5, 2, s).astype(np.float32) for s in shapes))


def test_scaled_additions():
    a, b = normal(5), normal(5, seed=1)
    check_gradients(lambda x, y: x.add(y, alpha=2.5), lambda x, y: x + 2.5 * y, a, b)
    check_gradients(lambda x, y: genesis.sub(x, y, alpha=2), lambda x, y: x - 2 * y, a, b)
    assert genesis.tensor([1, 2]).add(genesis.tensor([3, 4]), alpha=2).tolist() == [7, 10]
    with pytest.raises(RuntimeError, match="alpha"):
        genesis.tensor([1]).add(genesis.tensor([3]), alpha=0.5)
    assert genesis.lerp(f32([0.0]), f32([8.0]), 0.25).item() == 2


def test_division_rounds_as_asked():
    values = np.array([7.5, -7.5, 4.0, -1.0], np.float32), np.array([2.0, 2.0, -3.0, 3.0], np.float32)
    whole = np.array([7, -7, 8, -9]), np.array([2, 2, -3, 4])
    for a, b in (values, whole):
        for mode in (None, "floor", "trunc"):
            _same(genesis.div(genesis.tensor(a), genesis.tensor(b), rounding_mode=mode),
                  torch.div(torch.tensor(a), torch.tensor(b), rounding_mode=mode))
    x = leaf([7.5])
    x.div(2.0, rounding_mode="floor").sum().backward()
    assert x.grad.tolist() == [0]
    with pytest.raises(RuntimeError, match="rounding_mode"):
        x.div(2.0, rounding_mode="up")


def test_shifts_and_named_bitwise_operations():
    a, b = np.array([1, 5, -8, 7]), np.array([0, 3, 2, 1])
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"):
        _same(getattr(genesis, name)(genesis.tensor(a), genesis.tensor(b)),
              getattr(torch, name)(torch.tensor(a), torch.tensor(b)))
    assert (genesis.tensor([1]) << 4).tolist() == [16]
    assert (1 << genesis.tensor([4])).tolist() == [16]
    for operation in (lambda x: x << 1.5, lambda x: x & 1.0, lambda x: x.float() >> 1):
        with pytest.raises(TypeError):
            operation(genesis.tensor([1]))


def test_clamp_to_tensors_and_one_sided():
    x, y = leaf([-2.0, 0.5, 3.0]), torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    low, bound = leaf([-1.0, 1.0, 4.0]), torch.tensor([-1.0, 1.0, 4.0], requires_grad=True)
    x.clamp(min=low).sum().backward()
    y.clamp(min=bound).sum().backward()
    close(x.grad, y.grad.numpy())
    close(low.grad, bound.grad.numpy())
    assert x.clamp_max(1.0).tolist() == x.clip(max=1.0).tolist() == [-2, 0.5, 1]
    assert genesis.clamp_min(x, 0.0).tolist() == [0, 0.5, 3]
    whole = genesis.tensor([1, 5, 9])
    assert whole.clamp(genesis.tensor([2, 2, 2]), genesis.tensor([6, 6, 6])).tolist() == [2, 5, 6]
    assert whole.clamp(max=genesis.tensor(6)).tolist() == [1, 5, 6]
    with pytest.raises(TypeError):
        x.clamp(0.0, low)


def test_masked_fill_takes_numbers_and_tensors_without_dimensions():
    x, mask = leaf(normal(3)), genesis.tensor([True, False, True])
    value = leaf(2.5)
    x.masked_fill(mask, value).sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    assert value.grad.item() == 2
    assert genesis.tensor([1, 2, 3]).masked_fill(mask, 7).tolist() == [7, 2, 7]
    for call in (lambda: x.masked_fill(genesis.tensor([1, 0, 1]), 0.0), lambda: x.masked_fill(mask, genesis.zeros(3)),
                 lambda: genesis.tensor([1, 2, 3]).masked_fill(mask, 0.5)):
        with pytest.raises(RuntimeError):
            call()


def test_closeness():
    a = np.array([1.0, 1.0, math.nan, math.inf, math.inf, 0.0], np.float32)
    b = np.array([1.000001, 1.1, math.nan, math.inf, -math.inf, 1e-9], np.float32)
    for options in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"rtol": 0, "atol": 0}):
        _same(genesis.isclose(genesis.tensor(a), genesis.tensor(b), **options),
              torch.isclose(torch.tensor(a), torch.tensor(b), **options))
    assert genesis.allclose(genesis.ones(3), genesis.ones(3) + 1e-7)
    assert not genesis.allclose(genesis.ones(3), genesis.tensor([1.0, 1.0, math.nan]))


def test_nan_to_num_follows_the_type():
    values = [math.nan, math.inf, -math.inf, 1.0]
    for dtype in ("float32", "float16", "bfloat16"):
        _same(genesis.tensor(values, dtype=getattr(genesis, dtype)).nan_to_num(),
              torch.tensor(values, dtype=getattr(torch, dtype)).nan_to_num())
    assert genesis.tensor(values).nan_to_num(1.0, 2.0, 3.0).tolist() == [1, 2, 3, 1]
    x = leaf(values)
    x.nan_to_num().sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("name", ["exp", "sqrt", "erf", "relu", "abs", "square", "reciprocal", "sign", "neg"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_types_of_results(name, dtype):
    if dtype == "bool" and name in ("abs", "relu", "neg"):
        with pytest.raises(RuntimeError):
            getattr(torch, name)(torch.tensor([True]))
        return
    values = np.array([0, 1, 3])
    _same(getattr(genesis, name)(genesis.tensor(values, dtype=getattr(genesis, dtype if dtype != "bool" else "bool_"))),
          getattr(torch, name)(torch.tensor(values, dtype=getattr(torch, dtype))),
          rtol={"float16": 1e-3, "bfloat16": 8e-3}.get(dtype, 1e-6))


@pytest.mark.parametrize("n", EDGES)
def test_sizes_around_work_group_edges(n):
    values = normal(n) / 2
    x = leaf(values)
    y = x.addcmul(x, x, value=2).erf()
    close(y, torch.erf(torch.tensor(values + 2 * values * values)).numpy(), atol=2e-6)
    y.sum().backward()
    assert x.grad.shape == (n,)


@needs_float64
def test_float64_is_computed_in_float64():
    values = np.linspace(-0.9, 0.9, 33)
    for name in ("erf", "erfc", "atan", "log1p", "tanh", "sigmoid", "asinh", "exp2"):
        mine, its = leaf(values, genesis.float64), torch.tensor(values, requires_grad=True)
        y, z = getattr(genesis, name)(mine), getattr(torch, name)(its)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-13)
        y.sum().backward()
        z.sum().backward()
        np.testing.assert_allclose(mine.grad.numpy(), its.grad.numpy(), rtol=1e-12)


LAYOUTS = (lambda x: x, lambda x: x.T, lambda x: x[1:], lambda x: x[:, ::2], lambda x: x[:, :1].expand(4, 4),
           lambda x: x[1], lambda x: x[1, 2])


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(name=st.sampled_from(["add", "sub", "mul", "div", "maximum", "where", "fmod", "remainder", "lt", "logical_and",
                             "floor_divide"]),
       types=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
       layouts=st.tuples(st.sampled_from(range(len(LAYOUTS))), st.sampled_from(range(len(LAYOUTS)))),
       scalar=st.sampled_from([None, 3, 2.5, True]), seed=st.integers(0, 99))
def test_types_and_layouts_of_two_operands(name, types, layouts, scalar, seed):
    """Either both give the same values and type, or both refuse."""
    rng = np.random.default_rng(seed)
    values = [rng.integers(1, 6, (4, 4)) for _ in types]
    results = []
    for library in (genesis, torch):
        operands = [LAYOUTS[how](library.tensor(v).to(getattr(library, "bool" if t == "bool" else t)))
                    for v, t, how in zip(values, types, layouts)]
        if scalar is not None:
            operands[1] = scalar
        try:
            if name == "where":
                first = operands[0]
                results.append(library.where(first > 2, first, operands[1]))
            elif scalar is not None and name in ("maximum", "logical_and"):
                return
            else:
                results.append(getattr(library, name)(*operands))
        except (RuntimeError, NotImplementedError):
            results.append(None)
    mine, its = results
    assert (mine is None) == (its is None)
    if mine is None:
        return
    loose = str(its.dtype) in ("torch.float16", "torch.bfloat16")
    _same(mine, its, rtol=1e-2 if loose else 1e-6, atol=1e-6)
