"""Operations on corresponding elements: values, gradients, layouts, integer rules."""

import itertools
import math

import numpy as np
import pytest
from helpers import EDGES, check_against_torch, check_gradients, close, f32, leaf, normal

import genesis
from genesis.ops import elementwise

# name -> (operation on a tensor, the same on an array, interval of arguments)
UNARY = {
    "exp": (lambda x: x.exp(), np.exp, (-5, 5)),
    "expm1": (lambda x: x.expm1(), np.expm1, (-2, 2)),
    "log": (lambda x: x.log(), np.log, (0.1, 9)),
    "log1p": (lambda x: x.log1p(), np.log1p, (-0.9, 9)),
    "sqrt": (lambda x: x.sqrt(), np.sqrt, (0.1, 9)),
    "rsqrt": (lambda x: x.rsqrt(), lambda x: x ** -0.5, (0.2, 9)),
    "abs": (lambda x: x.abs(), np.abs, (-3, 3)),
    "neg": (lambda x: -x, np.negative, (-3, 3)),
    "sin": (lambda x: x.sin(), np.sin, (-6, 6)),
    "cos": (lambda x: x.cos(), np.cos, (-6, 6)),
    "tanh": (lambda x: x.tanh(), np.tanh, (-3, 3)),
    "sigmoid": (lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x)), (-6, 6)),
    "relu": (lambda x: x.relu(), lambda x: np.maximum(x, 0), (-3, 3)),
    "square": (lambda x: x.square(), np.square, (-3, 3)),
    "clamp": (lambda x: x.clamp(-1, 1.5), lambda x: np.clip(x, -1, 1.5), (-3, 3)),
    "pow_scalar": (lambda x: x ** 3, lambda x: x ** 3, (-2, 2)),
    "pow_negative": (lambda x: x ** -1.5, lambda x: x ** -1.5, (0.3, 3)),
    "rpow": (lambda x: 2.5 ** x, lambda x: 2.5 ** x, (-3, 3)),
    "add_scalar": (lambda x: 1.5 + x, lambda x: 1.5 + x, (-3, 3)),
    "rsub": (lambda x: 1.5 - x, lambda x: 1.5 - x, (-3, 3)),
    "rdiv": (lambda x: 2 / x, lambda x: 2 / x, (0.2, 3)),
    "div_scalar": (lambda x: x / 7, lambda x: x / 7, (-3, 3)),
    "mod_scalar": (lambda x: x % 0.75, lambda x: x % 0.75, (0.8, 1.4)),
    "where_self": (lambda x: x.where(x > 0, 0.25), lambda x: np.where(x > 0, x, 0.25), (-2, 2)),
    "masked_fill": (lambda x: x.masked_fill(x > 0, 0.5), lambda x: np.where(x > 0, 0.5, x), (-2, 2)),
}

BINARY = {
    "add": (lambda a, b: a + b, np.add, (-3, 3)),
    "sub": (lambda a, b: a - b, np.subtract, (-3, 3)),
    "mul": (lambda a, b: a * b, np.multiply, (-3, 3)),
    "div": (lambda a, b: a / b, np.divide, (0.3, 3)),
    "pow": (lambda a, b: a ** b, np.power, (0.3, 2)),
    "maximum": (lambda a, b: a.maximum(b), np.maximum, (-3, 3)),
    "minimum": (lambda a, b: a.minimum(b), np.minimum, (-3, 3)),
    "remainder": (lambda a, b: a % (b + 10), lambda a, b: a % (b + 10), (0.1, 3)),
    "where": (lambda a, b: a.where(a > b, b * b), lambda a, b: np.where(a > b, a, b * b), (-2, 2)),
}


def _numbers(interval, shape, seed=0):
    low, high = interval
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("name", UNARY)
def test_unary_values_and_gradients(name):
    function, reference, interval = UNARY[name]
    for shape in ((1003,), (3, 1, 7)):
        check_gradients(function, reference, _numbers(interval, shape))


@pytest.mark.parametrize("name", UNARY)
def test_unary_matches_torch(name):
    function, _, interval = UNARY[name]
    check_against_torch(function, _numbers(interval, (65,), seed=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BINARY)
def test_binary_values_and_gradients(name):
    function, reference, interval = BINARY[name]
    check_gradients(function, reference, _numbers(interval, (1003,)), _numbers(interval, (1003,), 1))


@pytest.mark.parametrize("name", ["add", "mul", "div", "pow", "where"])
@pytest.mark.parametrize(("a", "b"), [((3, 5), (5,)), ((5,), (3, 5)), ((4, 1), (1, 3)), ((2, 1, 3), (4, 1)),
                                      ((), (3, 2)), ((1,), (4,)), ((1, 1), ()), ((), ())])
def test_binary_broadcasts_and_sums_gradients_back(name, a, b):
    function, reference, interval = BINARY[name]
    check_gradients(function, reference, _numbers(interval, a), _numbers(interval, b, 1))


@pytest.mark.parametrize("name", BINARY)
def test_binary_matches_torch(name):
    function, _, interval = BINARY[name]
    check_against_torch(function, _numbers(interval, (7, 9)), _numbers(interval, (9,), 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", EDGES)
def test_sizes_around_work_group_edges(n):
    a, b = normal(n), normal(n, seed=1)
    close(f32(a) + f32(b), a + b)
    x, y = normal(n, 3), normal(3, seed=1)
    close(leaf(x) * leaf(y), x * y)
    column = normal(n, 1, seed=2)
    close(leaf(x) * leaf(column), x * column)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 4)])
def test_empty_tensors_give_empty_results(shape):
    x = leaf(np.zeros(shape))
    result = (x.exp() + x * 2).where(x > 0, 1.0)
    assert result.shape == shape
    result.sum().backward()
    assert x.grad.shape == shape
    assert (leaf(np.zeros((1, *shape))) + x).shape == (1, *shape)


def _layouts():
    """Views of one array of shape (6, 5) that exercise offsets, steps, transposition and repetition."""
    return {
        "contiguous": lambda x: x,
        "transposed": lambda x: x.T,
        "rows": lambda x: x[1:4],
        "columns": lambda x: x[:, 1:4],
        "steps": lambda x: x[::2, 1::3],
        "transposed steps": lambda x: x.T[::2, 1::2],
        "one row": lambda x: x[2],
        "one column": lambda x: x[:, 3],
        "new dimension": lambda x: x[:, None, ::2],
        "one element": lambda x: x[4, 2, ...],
    }


@pytest.mark.parametrize("name", _layouts())
def test_views_are_read_by_their_strides(name):
    view = _layouts()[name]
    values = normal(6, 5)
    expected = view(values)
    x = view(leaf(values))
    close(x, expected)
    close(x + x, 2 * expected)
    close(x * genesis.ones(*expected.shape), expected)
    close(2 - x, 2 - expected)


@pytest.mark.parametrize("name", _layouts())
def test_views_are_written_by_their_strides(name):
    view = _layouts()[name]
    values, x = normal(6, 5), f32(normal(6, 5))
    part, expected = view(x), view(values)
    part += 1
    expected[...] += 1
    part.copy_(part * genesis.full(expected.shape, 3.0))
    expected[...] *= 3
    close(x, values)


def test_expanded_views_are_read_without_copying():
    row = normal(5)
    x = leaf(row).expand(4, 5)
    assert x.stride() == (0, 1)
    close(x + genesis.ones(4, 5), np.broadcast_to(row, (4, 5)) + 1)
    x.sum().backward()
    column = leaf(normal(3, 1))
    close(column.expand(2, 3, 4) * 1, np.broadcast_to(normal(3, 1), (2, 3, 4)))


def test_five_dimensions_that_cannot_merge():
    a, b = normal(2, 3, 4, 2, 3), normal(2, 3, 4, 2, 3, seed=1)
    b = b.transpose(2, 4, 0, 3, 1).copy()
    x = leaf(b).permute(2, 4, 0, 3, 1)
    close(leaf(a).permute(4, 2, 0, 3, 1) - x.permute(4, 2, 0, 3, 1),
          (a - b.transpose(2, 4, 0, 3, 1)).transpose(4, 2, 0, 3, 1))


def test_writing_over_memory_that_is_being_read():
    values = normal(9, 9)
    x = f32(values)
    x += x.T
    close(x, values + values.T)
    y = f32(values)
    y[1:] += y[:-1]
    values[1:] += values[:-1].copy()
    close(y, values)


COMPARISONS = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
               "ge": np.greater_equal}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    a = np.array([1, 2, 3, np.nan, np.inf, -np.inf, -0.0], np.float32)
    b = np.array([2, 2, 1, np.nan, np.inf, 1, 0.0], np.float32)
    result = getattr(genesis.tensor(a), name)(genesis.tensor(b))
    assert result.dtype is genesis.bool
    np.testing.assert_array_equal(result.numpy(), COMPARISONS[name](a, b))
    np.testing.assert_array_equal(getattr(genesis.tensor(a), name)(2).numpy(), COMPARISONS[name](a, 2))
    whole = np.array([-3, 0, 2**40, -2**62])
    np.testing.assert_array_equal(getattr(genesis.tensor(whole), name)(2**40).numpy(),
                                  COMPARISONS[name](whole, 2**40))
    narrow = np.array([-3, 0, 7], np.int32)
    np.testing.assert_array_equal(getattr(genesis.tensor(narrow), name)(2**40).numpy(),
                                  COMPARISONS[name](narrow.astype(np.int64), 2**40))
    np.testing.assert_array_equal(getattr(genesis.tensor(narrow), name)(0.5).numpy(), COMPARISONS[name](narrow, 0.5))


def test_comparison_operators_follow_python():
    x = genesis.tensor([1.0, 2.0])
    assert (x < 2).tolist() == [True, False]
    assert (2 > x).tolist() == [True, False]  # noqa: SIM300
    assert (x == x).tolist() == [True, True]
    assert (x == None) is False  # noqa: E711
    assert (x == "a") is False
    with pytest.raises(TypeError):
        x < None  # noqa: B015


INTEGERS = np.array([-7, -2, -1, 0, 1, 2, 3, 7, 100])


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_integer_division_and_remainder_round_down(dtype):
    a, b = (np.array(v, dtype) for v in zip(*itertools.product(INTEGERS, INTEGERS[INTEGERS != 0])))
    x, y = genesis.tensor(a), genesis.tensor(b)
    for result, expected in ((x // y, a // b), (x % y, a % b)):
        assert result.dtype is x.dtype
        np.testing.assert_array_equal(result.numpy(), expected)
    np.testing.assert_array_equal((100 // y).numpy(), 100 // b)
    np.testing.assert_array_equal((-100 % y).numpy(), -100 % b)
    close(x / y, a / b)
    assert (x / y).dtype is genesis.float32


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_integer_division_never_stops_the_process(dtype):
    least = np.iinfo(dtype).min
    x = genesis.tensor(np.array([1, -1, 0, least], dtype))
    assert (x // 0).tolist() == [0, 0, 0, 0]
    assert (x % 0).tolist() == [1, -1, 0, least]
    assert (x // -1).tolist()[:3] == [-1, 1, 0]
    assert (x % -1).tolist() == [0, 0, 0, 0]


def test_float_division_and_remainder_follow_python():
    numbers = [-7.5, -2.0, -0.75, 0.0, 0.1, 0.3, 1.0, 2.0, 7.25]
    a, b = (np.array(v, np.float32) for v in zip(*itertools.product(numbers, [x for x in numbers if x])))
    x, y = genesis.tensor(a), genesis.tensor(b)
    close(x // y, a // b)
    close(x % y, a % b, atol=1e-5)
    assert (genesis.tensor([1.0, -1.0, 0.0]) // 0).tolist()[:2] == [math.inf, -math.inf]
    assert (genesis.tensor([1.0]) // 0.1).item() == 9          # 0.1 is a little more than a tenth
    assert (genesis.tensor([5.0, -5.0]) % math.inf).tolist() == [5, math.inf]


def test_integer_powers():
    a, b = (np.array(v) for v in zip(*itertools.product([-3, -1, 0, 1, 2, 7], [0, 1, 2, 3, 10])))
    np.testing.assert_array_equal((genesis.tensor(a) ** genesis.tensor(b)).numpy(), a ** b)
    assert (genesis.tensor([2, 3]) ** 0.5).dtype is genesis.float32
    close(genesis.tensor([4, 9]) ** 0.5, [2, 3])
    with pytest.raises(RuntimeError, match="negative"):
        genesis.tensor([2, 3]) ** -1


def test_powers_at_special_points():
    torch = pytest.importorskip("torch")
    base = np.array([-2, -1, 0, 0.5, 1, 3, np.inf, -np.inf, np.nan], np.float32)
    power = np.array([-2, -1, 0, 0.5, 1, 2, 3], np.float32)
    a, b = (np.array(v, np.float32) for v in zip(*itertools.product(base, power)))
    np.testing.assert_allclose((genesis.tensor(a) ** genesis.tensor(b)).numpy(),
                               (torch.tensor(a) ** torch.tensor(b)).numpy(), rtol=1e-5)
    for exponent in (2, 0.5, 1, 0, 3):
        x, y = leaf([0.0, 2.0]), torch.tensor([0.0, 2.0], requires_grad=True)
        (x ** exponent).sum().backward()
        (y ** exponent).sum().backward()
        close(x.grad, y.grad.numpy())
    x, y = leaf([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 2.0], requires_grad=True)
    (genesis.tensor([0.0, 0.0, 3.0]) ** x).sum().backward()
    (torch.tensor([0.0, 0.0, 3.0]) ** y).sum().backward()
    close(x.grad, y.grad.numpy())


def test_uint8_wraps_around():
    x = genesis.tensor(np.array([0, 1, 200, 255], np.uint8))
    assert (x + 100).tolist() == [100, 101, 44, 99]
    assert (x - 1).tolist() == [255, 0, 199, 254]
    assert (-x).tolist() == [0, 255, 56, 1]
    assert (x * x).tolist() == [0, 1, 64, 1]
    assert (x + 300).tolist() == [44, 45, 244, 43]
    assert (x // 3).tolist() == [0, 0, 66, 85]
    assert (~x).tolist() == [255, 254, 55, 0]
    assert (x > 199).tolist() == [False, False, True, True]


def test_int32_and_int64_wrap_around():
    x = genesis.tensor(np.array([2**31 - 1], np.int32))
    assert (x + 1).item() == -2**31
    assert (x * 0 + 2**40).item() == 0
    y = genesis.tensor([2**63 - 1])
    assert (y + 1).item() == -2**63
    assert (y * 0 + (2**53 + 1)).item() == 2**53 + 1        # not by way of a float


def test_boolean_operations():
    a, b = genesis.tensor([True, True, False, False]), genesis.tensor([True, False, True, False])
    assert (a & b).tolist() == [True, False, False, False]
    assert (a | b).tolist() == [True, True, True, False]
    assert (a ^ b).tolist() == [False, True, True, False]
    assert (~a).tolist() == a.logical_not().tolist() == [False, False, True, True]
    assert (a + b).tolist() == [True, True, True, False]
    assert (a + b).dtype is (a * b).dtype is genesis.bool
    assert (a * b).tolist() == [True, False, False, False]
    assert (a + 1).tolist() == [2, 2, 1, 1]
    assert (a * 2.5).tolist() == [2.5, 2.5, 0, 0]
    assert (a / b).dtype is genesis.float32
    assert (True & b).tolist() == b.tolist()
    with pytest.raises(RuntimeError, match="subtracted"):
        a - b
    with pytest.raises(RuntimeError, match="negative"):
        -a


def test_bitwise_operations_on_integers():
    a, b = np.array([12, -5, 255, 0]), np.array([10, 3, -1, 7])
    x, y = genesis.tensor(a), genesis.tensor(b)
    for mine, expected in ((x & y, a & b), (x | y, a | b), (x ^ y, a ^ b), (~x, ~a), (x & 6, a & 6), (1 | x, 1 | a)):
        np.testing.assert_array_equal(mine.numpy(), expected)
    for operation in (lambda v: v & 1, lambda v: v | v, lambda v: ~v):
        with pytest.raises(TypeError, match="integers or booleans"):
            operation(genesis.tensor([1.0]))


def test_rounding_and_sign():
    a = np.array([-2.5, -1.5, -0.4, -0.0, 0.5, 1.5, 2.5, 1e9, np.inf], np.float32)
    x = genesis.tensor(a)
    close(x.floor(), np.floor(a))
    close(x.ceil(), np.ceil(a))
    close(x.round(), np.round(a))
    close(x.sign(), np.sign(a))
    whole = genesis.tensor([-3, 0, 5])
    assert whole.sign().tolist() == [-1, 0, 1]
    assert whole.floor().tolist() == [-3, 0, 5]
    assert genesis.tensor([-3, 4]).abs().tolist() == [3, 4]
    assert math.copysign(1, genesis.tensor([-0.0]).abs().item()) == 1


def test_special_values():
    x = genesis.tensor([math.nan, math.inf, -math.inf, 1.0])
    assert x.isnan().tolist() == [True, False, False, False]
    assert x.isinf().tolist() == [False, True, True, False]
    assert x.isfinite().tolist() == [False, False, False, True]
    assert genesis.tensor([1, 2]).isnan().tolist() == [False, False]
    for y in (x.relu(), x.maximum(0.0), genesis.zeros(4).maximum(x), x.minimum(0.0), x.clamp(-1, 1), x.abs(), x.exp()):
        assert math.isnan(y[0].item())
    assert x.exp().tolist()[1:3] == [math.inf, 0]
    assert genesis.tensor([0.0, -1.0]).log().tolist()[0] == -math.inf
    assert genesis.tensor([-200.0, 200.0]).sigmoid().tolist() == [0, 1]
    close(genesis.tensor([-200.0, 200.0]).tanh(), [-1, 1])


def test_clamp_bounds():
    x = genesis.tensor([-2.0, 0.5, 3.0])
    assert x.clamp(min=0).tolist() == [0, 0.5, 3]
    assert x.clamp(max=1).tolist() == [-2, 0.5, 1]
    assert x.clamp(3, 1).tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError):
        x.clamp()
    for dtype in (genesis.int32, genesis.int64, genesis.uint8):
        whole = genesis.tensor([1, 5, 9], dtype=dtype)
        assert whole.clamp(min=2).tolist() == [2, 5, 9]
        assert whole.clamp(max=6).tolist() == [1, 5, 6]
        assert whole.clamp(max=2**40).tolist() == [1, 5, 9]
        assert whole.clamp(max=6).dtype is dtype
        assert whole.clamp(1.5, 6.5).tolist() == [1.5, 5, 6.5]


def test_equal_operands_share_the_gradient_of_maximum():
    a, b = leaf([1.0, 2.0, 3.0]), leaf([1.0, 3.0, 2.0])
    a.maximum(b).sum().backward()
    assert a.grad.tolist() == [0.5, 0, 1]
    assert b.grad.tolist() == [0.5, 1, 0]
    d = leaf([0.0, 0.5, 1.0])
    d.maximum(0.5).sum().backward()
    assert d.grad.tolist() == [0, 0.5, 1]
    c = leaf([0.5])
    c.clamp(0.5, 1).backward()
    assert c.grad.tolist() == [1]


def test_where_takes_tensors_and_numbers():
    condition = genesis.tensor([[True], [False]])
    x = leaf([1.0, 2.0])
    y = genesis.where(condition, x, 9.0)
    assert y.tolist() == [[1, 2], [9, 9]]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert genesis.where(condition, 1.0, 0.0).tolist() == [[1], [0]]
    assert genesis.where(condition, 1, 0).dtype is genesis.int64
    assert genesis.where(genesis.tensor([2, 0]), 1, 0).tolist() == [1, 0]
    big = genesis.where(genesis.tensor([True]), 2**53 + 1, genesis.tensor([0]))
    assert big.item() == 2**53 + 1


def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(RuntimeError, match=r"\(2, 3\).*\(4,\)"):
        genesis.zeros(2, 3) + genesis.zeros(4)
    with pytest.raises(RuntimeError, match=r"\(3, 2\)"):
        genesis.zeros(2).add_(genesis.zeros(3, 2))


@pytest.mark.parametrize("name", ["mul", "div", "pow", "maximum", "eq", "lt", "add_", "mul_"])
def test_methods_refuse_what_is_no_number(name):
    with pytest.raises(TypeError, match=name):
        getattr(genesis.ones(2), name)("a")


def test_numpy_operands():
    x = genesis.tensor([1.0, 2.0])
    for result in (x + np.array([1, 1], np.float32), np.array([1, 1], np.float32) + x, np.float32(1) + x,
                   x + np.float64(1), np.int64(1) + x):
        assert isinstance(result, genesis.Tensor)
        assert result.dtype is genesis.float32
        assert result.tolist() == [2, 3]
    assert (np.array([3, 3], np.float32) - x).tolist() == [2, 1]
    assert (np.array([3.0, 3.0], np.float32) > x).tolist() == [True, True]


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_compute_in_float32_and_round_once(dtype):
    x = leaf(normal(1003) / 2, dtype)
    exact = x.detach().float().numpy().astype(np.float64)
    y = (x * 3 + 1).exp()
    step = np.asarray((exact * 3).astype(dtype.numpy).astype(np.float64) + 1).astype(dtype.numpy).astype(np.float64)
    unit = 2.0 ** -10 if dtype is genesis.float16 else 2.0 ** -7
    close(y.float(), np.exp(step), rtol=0.51 * unit)
    y.sum().backward()
    assert x.grad.dtype is dtype
    close(x.grad.float(), 3 * np.exp(step), rtol=3 * unit)


def test_repeated_calls_reuse_the_kernel():
    x = genesis.ones(77, 3)
    x * x
    compiled = len(x.device.programs.compiled) + len(x.device.programs.loaded)
    plans = len(elementwise._plans)
    for _ in range(5):
        x * x
    assert len(x.device.programs.compiled) + len(x.device.programs.loaded) == compiled
    assert len(elementwise._plans) == plans
