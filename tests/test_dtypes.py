"""Element types: promotion, conversion, rounding."""

import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest
from helpers import close, f32

import genesis
from genesis import dtypes
from genesis.ops.elementwise import dtype_of

AVAILABLE = [d for d in dtypes.ALL if d is not genesis.float64 or genesis.device().fp64]
COMPLEX = [d for d in dtypes.COMPLEX if d is not genesis.complex128 or genesis.device().fp64]
FLOATS = [d for d in AVAILABLE if d.is_floating_point]


def _ids(dtype):
    return dtype.name if isinstance(dtype, dtypes.DType) else repr(dtype)


@pytest.fixture(scope="module")
def arrays():
    """For each type an array of one dimension and one of none."""
    return {d: (genesis.zeros(2, dtype=d)._array, genesis.zeros((), dtype=d)._array) for d in (*AVAILABLE, *COMPLEX)}


@pytest.mark.parametrize(("x_dims", "y_dims"), [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_promotion_of_two_tensors_is_that_of_torch(arrays, x_dims, y_dims):
    torch = pytest.importorskip("torch")
    for a, b in itertools.product((*AVAILABLE, *COMPLEX), repeat=2):
        x, y = (torch.zeros((2,) * dims, dtype=getattr(torch, d.name)) for d, dims in ((a, x_dims), (b, y_dims)))
        wanted = str(torch.result_type(x, y)).removeprefix("torch.").replace("complex32", "complex64")
        mine, its = arrays[a][1 - x_dims], arrays[b][1 - y_dims]
        assert dtype_of(mine, its).name == wanted, (a, b)
        assert genesis.result_type(genesis.Tensor._wrap(mine), genesis.Tensor._wrap(its)).name == wanted, (a, b)


@pytest.mark.parametrize("dims", [1, 0])
def test_promotion_with_a_number_is_that_of_torch(arrays, dims):
    torch = pytest.importorskip("torch")
    for dtype, number in itertools.product((*AVAILABLE, *COMPLEX), (True, 2, 2.5, 2j)):
        x = torch.zeros((2,) * dims, dtype=getattr(torch, dtype.name))
        wanted = str(torch.result_type(x, number)).removeprefix("torch.").replace("complex32", "complex64")
        for mine in (dtype_of(arrays[dtype][1 - dims], number), dtype_of(number, arrays[dtype][1 - dims])):
            assert mine.name == wanted, (dtype, number)


def test_promotion_without_torch():
    one = genesis.ones(2, dtype=genesis.float16)
    assert (one + genesis.ones(2, dtype=genesis.bfloat16)).dtype is genesis.float32
    assert (one + 2.5).dtype is genesis.float16
    assert (one + genesis.ones(2, dtype=genesis.int64)).dtype is genesis.float16
    assert (one + genesis.tensor(2.5)).dtype is genesis.float16
    assert (genesis.ones(2, dtype=genesis.int64) + 2.5).dtype is genesis.float32
    assert (genesis.ones(2, dtype=genesis.uint8) + genesis.ones(2, dtype=genesis.int32)).dtype is genesis.int32
    assert (genesis.ones(2, dtype=genesis.bool) + 1).dtype is genesis.int64


# Numbers that every type holds in one way or another, without overflow.
WHOLE = np.array([0, 1, 2, 7, 100, 255])


@pytest.mark.parametrize("source", AVAILABLE, ids=_ids)
def test_casts_between_all_types(source):
    values = (WHOLE % 2 if source is genesis.bool else WHOLE).astype(source.numpy)
    x = genesis.tensor(values)
    assert x.dtype is source
    for target in AVAILABLE:
        y = x.to(target)
        assert y.dtype is target
        assert (y is x) == (target is source)
        np.testing.assert_array_equal(y.numpy(), values.astype(target.numpy))
    part = x[1::2].to(genesis.int64)
    np.testing.assert_array_equal(part.numpy(), values[1::2].astype(np.int64))


def test_casts_to_integers_truncate_and_wrap():
    x = f32([-2.7, -0.5, 0.5, 2.7, 300.0, -1.0])
    assert x.long().tolist() == [-2, 0, 0, 2, 300, -1]
    assert x.int().tolist() == [-2, 0, 0, 2, 300, -1]
    assert x[1:].to(genesis.uint8).tolist() == [0, 0, 2, 44, 255]
    assert genesis.tensor([2**40 + 3, -1, 256]).to(genesis.uint8).tolist() == [3, 255, 0]
    assert genesis.tensor([2**40 + 3, -1]).int().tolist() == [3, -1]
    assert genesis.tensor([2**53 + 1]).clone().item() == 2**53 + 1
    assert genesis.tensor(np.array([2**31 - 1], np.int32)).long().item() == 2**31 - 1


def test_casts_to_bool_ask_for_zero():
    assert f32([0.0, -0.0, 0.2, -3, np.nan, np.inf]).bool().tolist() == [False, False, True, True, True, True]
    assert genesis.tensor([0, 256, -1]).bool().tolist() == [False, True, True]
    assert genesis.full((2,), 0.5, dtype=genesis.bool).tolist() == [True, True]
    x = genesis.zeros(2, dtype=genesis.bool)
    x[0] = 0.25
    assert x.tolist() == [True, False]


def _hard_floats(numpy_type):
    """Values at and around the points where rounding to a 16-bit type changes, and the special ones."""
    every = np.arange(1 << 16, dtype=np.uint16).view(numpy_type).astype(np.float32)
    finite = np.sort(every[np.isfinite(every)])
    middle = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    most = np.float32(ml_dtypes.finfo(numpy_type).max)
    special = np.array([0, -0.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 65519.99, 65520, -65520, most,
                        np.nextafter(most, np.float32(np.inf))], np.float32)
    with np.errstate(over="ignore"):
        return np.concatenate([finite, middle, np.nextafter(middle, np.float32(np.inf)),
                               np.nextafter(middle, -np.float32(np.inf)), special])


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=_ids)
def test_rounding_to_16_bits_is_to_nearest_even(dtype):
    values = _hard_floats(dtype.numpy)
    with np.errstate(over="ignore"):
        expected = values.astype(dtype.numpy)
    x = genesis.tensor(values)
    for rounded in (x.to(dtype), genesis.zeros(values.size, dtype=dtype).copy_(x)):
        bits, wanted = rounded.numpy().view(np.uint16), expected.view(np.uint16)
        nan = np.isnan(values)
        assert np.isnan(rounded.numpy()[nan].astype(np.float32)).all()
        np.testing.assert_array_equal(bits[~nan], wanted[~nan])


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=_ids)
def test_16_bit_floats_widen_exactly(dtype):
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype.numpy)
    with np.errstate(invalid="ignore"):
        expected = every.astype(np.float32)
    np.testing.assert_array_equal(genesis.tensor(every).float().numpy(), expected)
    assert genesis.tensor(every).isnan().sum().item() == np.isnan(expected).sum()


def test_from_python_and_numpy():
    for data, expected in ((1, genesis.int64), (1.0, genesis.float32), (True, genesis.bool), ([], genesis.float32),
                           ([[1, 2]], genesis.int64), ([1, 2.5], genesis.float32), ([True, False], genesis.bool)):
        assert genesis.tensor(data).dtype is expected
    for dtype in AVAILABLE:
        assert genesis.tensor(np.zeros(2, dtype.numpy)).dtype is dtype
        assert genesis.tensor([0, 1], dtype=dtype).dtype is dtype
    assert genesis.tensor([1], dtype=float).dtype is genesis.float32
    assert genesis.tensor([1.0], dtype=int).dtype is genesis.int64
    assert genesis.tensor([1.0], dtype=bool).dtype is genesis.bool
    assert genesis.tensor([1.0], dtype=np.float16).dtype is genesis.float16
    assert genesis.tensor([1e10], dtype=genesis.float16).item() == np.inf
    with pytest.raises(TypeError, match="uint16"):
        genesis.tensor(np.zeros(2, np.uint16))
    with pytest.raises(TypeError, match="no dtype"):
        genesis.zeros(2, dtype="decimal")


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
def test_python_floats_keep_their_digits_as_float64():
    assert genesis.tensor([0.1], dtype=genesis.float64).item() == 0.1
    assert genesis.tensor(0.1, dtype=genesis.float64).item() == 0.1
    assert genesis.tensor(np.array(0.1)).dtype is genesis.tensor([np.float64(0.1)]).dtype is genesis.float64
    assert genesis.full((1,), 0.1, dtype=genesis.float64).item() == 0.1
    assert (genesis.tensor([0.1], dtype=genesis.float64) + 0.2).item() == 0.1 + 0.2


@pytest.mark.skipif(genesis.device().fp64, reason="the device has float64")
def test_float64_is_refused_where_the_device_has_none():
    for make in (lambda: genesis.zeros(2, dtype=genesis.float64), lambda: genesis.tensor(np.zeros(2)),
                 lambda: genesis.ones(2).double()):
        with pytest.raises(TypeError, match="float64"):
            make()


def test_names_and_pickling():
    for dtype in dtypes.ALL:
        assert pickle.loads(pickle.dumps(dtype)) is dtype
        assert repr(dtype) == f"genesis.{dtype.name}"
    assert genesis.bool is genesis.bool_
    assert genesis.bfloat16.itemsize == 2


@pytest.mark.parametrize("dtype", FLOATS, ids=_ids)
def test_gradients_have_the_type_of_their_tensor(dtype):
    x = genesis.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
    y = genesis.tensor([3.0, 4.0], requires_grad=True)
    (x * y + x.float()).sum().backward()
    assert x.grad.dtype is dtype
    assert y.grad.dtype is genesis.float32
    close(x.grad.float(), [4, 5])
    close(y.grad, [1, 2])
    genesis.cat([x, y]).sum().backward()
    assert x.grad.dtype is dtype


FLOATING = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


@pytest.mark.parametrize("name", [*FLOATING, *INTEGERS])
def test_limits_of_types_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    mine, its = (getattr(lib, "finfo" if name in FLOATING else "iinfo")(getattr(lib, name)) for lib in (genesis, torch))
    for attribute in ("bits", "max", "min", "dtype", *(("eps", "tiny", "smallest_normal", "resolution")
                                                      if name in FLOATING else ())):
        assert getattr(mine, attribute) == getattr(its, attribute), attribute
    assert name in repr(mine)


def test_limits_are_asked_of_the_right_kind():
    assert genesis.finfo().dtype == "float32"
    assert genesis.finfo(float).max == genesis.finfo(genesis.float32).max
    with pytest.raises(TypeError, match="iinfo"):
        genesis.finfo(genesis.int64)
    with pytest.raises(TypeError, match="finfo"):
        genesis.iinfo(genesis.float32)


def test_result_types_and_casts_are_those_of_torch():
    torch = pytest.importorskip("torch")
    names = [d.name for d in genesis.dtypes.ALL]
    theirs = {getattr(torch, n): n for n in names}
    for a in names:
        for b in names:
            assert genesis.promote_types(getattr(genesis, a), getattr(genesis, b)).name == theirs[
                torch.promote_types(getattr(torch, a), getattr(torch, b))]
            assert genesis.can_cast(getattr(genesis, a), getattr(genesis, b)) == torch.can_cast(
                getattr(torch, a), getattr(torch, b)), (a, b)
    for one in ("float16", "int32", "bool", "uint8", "int8", "float32", "bfloat16"):
        for other in (2, 2.5, True):
            for shape in ((2,), ()):
                mine, its = (lib.zeros(shape, dtype=getattr(lib, one)) for lib in (genesis, torch))
                assert genesis.result_type(mine, other).name == theirs[torch.result_type(its, other)], (one, other)
    assert genesis.get_default_dtype() is genesis.float32
