"""int8 and int16: every kind of operation gives what PyTorch gives, with numbers that wrap around."""

import numpy as np
import pytest

import genesis
from genesis import dtypes

torch = pytest.importorskip("torch")

KINDS = ("int8", "int16")


def ends(dtype, *shape):
    """Numbers up to the ends of a type's range."""
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max + 1, shape or (2, 7)).astype(dtype)
    values.flat[:4] = limits.min, limits.max, -1, 0
    return values


def same(operation, *operands):
    """What an operation gives in genesis has the values and the type of what it gives in PyTorch."""
    mine = operation(genesis, *map(genesis.tensor, operands))
    its = operation(torch, *map(torch.tensor, operands))
    for x, y in zip(mine, its) if isinstance(its, tuple) else [(mine, its)]:
        assert x.dtype.name == str(y.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def kind_of(name):
    """int8 for most operations: kernels then are compiled once."""
    return "int16" if name in ("number", "sum", "running sum", "sort", "where", "product", "arithmetic") else "int8"


ONE = {
    "neg": lambda t, x: -x,
    "abs": lambda t, x: x.abs(),
    "not": lambda t, x: ~x,
    "powers": lambda t, x: x ** 3,
    "number": lambda t, x: (x + 300) * 7 - 40_000,
    "division by a number that wraps": lambda t, x: (x // 40_005) + x % 40_005,
    "shifts": lambda t, x: (x << 3) ^ (x >> 2) | (x >> 20),
    "to float": lambda t, x: x / 2,
    "limits": lambda t, x: x.clamp(-5, 100),
    "sum": lambda t, x: x.sum(1),
    "narrow sum": lambda t, x: x.sum(0, dtype=x.dtype),
    "prod": lambda t, x: x.prod(1),
    "largest": lambda t, x: x.max(1),
    "smallest": lambda t, x: x.amin(0),
    "places": lambda t, x: (x.argmax(), x.argmin(1)),
    "truth": lambda t, x: (x.bool(), x.any(0), x.all(1)),
    "running sum": lambda t, x: x.cumsum(1),
    "narrow running product": lambda t, x: x.cumprod(1, dtype=x.dtype),
    "running maximum": lambda t, x: x.cummax(1).values,
    "sort": lambda t, x: x.sort(1, descending=True),
    "largest three": lambda t, x: x.topk(3, 1).values,
    "unique": lambda t, x: t.unique(x, return_counts=True),
    "where": lambda t, x: t.where(x > 3, x, 7),
    "assigned": lambda t, x: x.masked_fill(x < 0, -2).index_fill(1, t.tensor([0, 2]), 9),
    "joined": lambda t, x: t.cat([t.stack([x[0], x[1]]), x.flip(1)]),
    "picked": lambda t, x: x.gather(1, t.tensor([[1, 0], [2, 2]])) + x[:, [3, 4]] + x[:, 1::4],
    "scattered": lambda t, x: x.scatter_add(1, t.tensor([[1, 1], [2, 2]]), x),
    "statistics": lambda t, x: x.median(),
    "difference": lambda t, x: x.diff(),
}
TWO = {
    "arithmetic": lambda t, x, y: x + y * x - y,
    "floor": lambda t, x, y: x // y.clamp(min=1),
    "remainders": lambda t, x, y: (x % y.clamp(min=1), t.fmod(x, y.clamp(max=-1))),
    "bits": lambda t, x, y: x & y | x ^ y,
    "comparisons": lambda t, x, y: (x < y, x == y, x >= -1),
    "extremes": lambda t, x, y: t.maximum(x, y) + t.minimum(x, y),
    "product": lambda t, x, y: x @ y.T,
    "shifts": lambda t, x, y: (x << y, x >> y),
    "divisors": lambda t, x, y: t.gcd(x, y),
}


@pytest.mark.parametrize("name", ONE)
def test_operations_on_one_tensor(name):
    same(ONE[name], ends(kind_of(name)))


@pytest.mark.parametrize("name", TWO)
def test_operations_on_two_tensors(name):
    kind = kind_of(name)
    same(TWO[name], ends(kind), ends(kind)[::-1, ::-1].copy())


def test_types_meet():
    for other in ("uint8", "float16"):
        same(lambda t, x, y: x + y, ends("int8"), np.full(7, 3, other))
    same(lambda t, x, y: x * y, ends("int8"), ends("int16"))
    same(lambda t, x, y: x * y, ends("int8"), np.array(300))                # 0-d: only its kind counts
    same(lambda t, x, y: x.add_(y), ends("int8"), np.full(7, 300))


@pytest.mark.parametrize("kind", KINDS)
def test_conversions_are_those_of_torch(kind):
    numbers = np.float32([1, -2.7, 300, -129.5, 127.9, 32767, 40_000, -70_000])
    same(lambda t, x: x.to(getattr(t, kind)), numbers)
    same(lambda t, x: (x.char(), x.short()), np.array([1 << 40 | 200, -129, 70_000]))
    for wide in (genesis.bool, genesis.uint8, genesis.int64, genesis.bfloat16, genesis.float32):
        assert genesis.tensor(ends(kind)).to(wide).to(genesis.float32).tolist() == torch.tensor(ends(kind)).to(
            getattr(torch, wide.name)).float().tolist()


def test_tensors_of_them_are_made_as_others():
    for make in (lambda t: t.arange(-3, 300, dtype=t.int8), lambda t: t.linspace(-100, 100, 5, dtype=t.int16),
                 lambda t: t.eye(3, dtype=t.int8), lambda t: t.full((2,), -7, dtype=t.int16),
                 lambda t: t.tensor([1, -2], dtype=t.short), lambda t: t.zeros(3, dtype=t.int8),
                 lambda t: t.frombuffer(bytearray(range(200, 208)), dtype=t.int16)):
        same(lambda t, make=make: make(t))
    drawn = genesis.randint(-128, 128, (5000,), dtype=genesis.int8).numpy()
    assert (drawn.min(), drawn.max()) == (-128, 127)
    assert genesis.zeros(70_000, dtype=genesis.int16).random_().numpy().max() > 32_000
    assert sorted(genesis.randperm(100, dtype=genesis.int8).tolist()) == list(range(100))
    x = genesis.tensor(np.int8([1, -2]))
    assert repr(x) == "tensor([ 1, -2], dtype=genesis.int8)"
    assert (x.type(), x.short().type()) == ("torch.CharTensor", "torch.ShortTensor")
    assert genesis.short is genesis.int16 is dtypes.int16


@pytest.mark.parametrize("write", [
    lambda t, x, number: t.full((2,), number, dtype=x.dtype),
    lambda t, x, number: t.tensor([0, number], dtype=x.dtype),
    lambda t, x, number: x.fill_(number),
    lambda t, x, number: x.__setitem__(1, number),
    lambda t, x, number: x.masked_fill(x == 0, number),
    lambda t, x, number: t.where(x == 0, x, number),
    lambda t, x, number: x ** abs(number),
    lambda t, x, number: x.clamp(min=abs(number)),
    lambda t, x, number: t.randint(number, abs(number), (3,), dtype=x.dtype),
    lambda t, x, number: t.linspace(0, number, 3, dtype=x.dtype),
], ids="full tensor fill_ setitem masked_fill where pow clamp randint linspace".split())
def test_numbers_that_do_not_fit_are_refused(write):
    for lib in (genesis, torch):
        for dtype, number in ((lib.int8, -129), (lib.int16, -40_000), (lib.uint8, -256)):
            with pytest.raises(RuntimeError):
                write(lib, lib.zeros(2, dtype=dtype), number)


def test_nor_are_nan_and_infinity():
    for value in (float("nan"), float("inf"), 127.5 * 2):
        for lib in (genesis, torch):
            with pytest.raises(RuntimeError):
                lib.full((2,), value, dtype=lib.int8)
    assert genesis.full((2,), -1, dtype=genesis.uint8).tolist() == torch.full((2,), -1, dtype=torch.uint8).tolist()


def test_they_are_no_index_tensors():
    for lib in (genesis, torch):
        for dtype in (lib.int8, lib.int16):
            with pytest.raises(IndexError):
                lib.arange(5)[lib.tensor([1, 2], dtype=dtype)]
            assert lib.arange(5)[lib.tensor(2, dtype=dtype)].item() == 2
