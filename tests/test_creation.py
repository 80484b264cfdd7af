"""Functions that make tensors."""

import numpy as np
import pytest
from helpers import close

import genesis


def test_shapes_are_given_as_numbers_or_as_one_sequence():
    for make in (genesis.zeros, genesis.ones, genesis.empty, genesis.rand, genesis.randn):
        for given in ((2, 3), ((2, 3),), ([2, 3],), (genesis.Size((2, 3)),), (np.int64(2), 3)):
            assert make(*given).shape == (2, 3)
        assert make().shape == make(()).shape == ()
        assert make(5).shape == (5,)
        assert make(0, 4).shape == (0, 4)
        with pytest.raises(RuntimeError, match="negative"):
            make(2, -1)


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float16, genesis.bfloat16, genesis.int32, genesis.int64,
                                   genesis.uint8, genesis.bool])
def test_constants(dtype):
    for make, value in ((genesis.zeros, 0), (genesis.ones, 1)):
        x = make(3, 5, dtype=dtype)
        assert x.dtype is dtype
        np.testing.assert_array_equal(x.numpy(), np.full((3, 5), value, dtype.numpy))
    assert genesis.ones_like(genesis.zeros(2, dtype=dtype)).dtype is dtype


def test_full_takes_its_type_from_the_number():
    assert genesis.full((2,), 3).dtype is genesis.int64
    assert genesis.full((2,), 3.5).tolist() == [3.5, 3.5]
    assert genesis.full((), True).dtype is genesis.bool
    assert genesis.full(2, 1.5, dtype=genesis.int64).tolist() == [1, 1]
    assert genesis.full((1,), -1, dtype=genesis.uint8).item() == 255
    assert genesis.full_like(genesis.zeros(2, 2), 7).tolist() == [[7, 7], [7, 7]]
    assert genesis.zeros_like(genesis.ones(2), dtype=genesis.int64).dtype is genesis.int64
    assert genesis.empty_like(genesis.ones(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("arguments", [(5,), (2, 7), (7, 2, -2), (0, 1, 0.3), (2.5,), (3, 3), (0,), (-1.0, 1.0, 0.25)])
def test_arange(arguments):
    expected = np.arange(*arguments)
    x = genesis.arange(*arguments)
    assert x.dtype is (genesis.float32 if expected.dtype.kind == "f" else genesis.int64)
    close(x, expected)


def test_arange_errors_and_types():
    for arguments in ((5, 0), (0, 5, -1), (0, 5, 0)):
        with pytest.raises(RuntimeError):
            genesis.arange(*arguments)
    assert genesis.arange(3, dtype=genesis.float16).dtype is genesis.float16
    assert genesis.arange(np.int64(3)).dtype is genesis.int64


def test_linspace_and_eye():
    close(genesis.linspace(-1, 2, 7), np.linspace(-1, 2, 7))
    assert genesis.linspace(3, 5, 1).tolist() == [3]
    assert genesis.linspace(0, 1, 0).shape == (0,)
    close(genesis.eye(3), np.eye(3))
    close(genesis.eye(2, 4, dtype=genesis.int64), np.eye(2, 4))


def test_tensor_copies_its_data():
    values = np.array([1, 2], np.float32)
    x, y = genesis.tensor(values), genesis.from_numpy(values)
    values[0] = 9
    assert x.tolist() == y.tolist() == [1, 2]
    z = genesis.tensor(x)
    z[0] = 5
    assert x.tolist() == [1, 2]
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    close(genesis.tensor(transposed), transposed)
    close(genesis.tensor(transposed[::-1]), transposed[::-1])


def test_tensor_takes_nested_data():
    x = genesis.tensor([1.0, 2.0])
    assert genesis.tensor([x, x]).tolist() == [[1, 2], [1, 2]]
    assert genesis.tensor((x[0], 3.0)).tolist() == [1, 3]
    assert genesis.tensor((x[0], 3.0)).dtype is genesis.tensor([np.float32(1), 2.5]).dtype is genesis.float32
    assert genesis.tensor([np.array([1, 2]), np.array([3, 4])]).dtype is genesis.int64
    assert genesis.tensor(range(3)).tolist() == [0, 1, 2]
    assert genesis.tensor([[]]).shape == (1, 0)
    for bad, error in (([[1, 2], [3]], ValueError), ("text", TypeError), (None, TypeError), ({}, TypeError),
                       ([1, "a"], TypeError), ([2**70], TypeError)):
        with pytest.raises(error):
            genesis.tensor(bad)
        with pytest.raises(error):
            genesis.tensor(bad, dtype=genesis.float32)
    with pytest.raises(TypeError, match="NumPy array"):
        genesis.from_numpy([1])


def test_requires_grad_is_set_on_creation():
    for x in (genesis.zeros(2, requires_grad=True), genesis.rand(2, requires_grad=True),
              genesis.tensor([1.0], requires_grad=True), genesis.linspace(0, 1, 3, requires_grad=True)):
        assert x.requires_grad
        assert x.is_leaf
    with pytest.raises(RuntimeError, match="floating-point"):
        genesis.zeros(2, dtype=genesis.int64, requires_grad=True)


def test_values_come_back_as_they_were():
    rng = np.random.default_rng(0)
    for shape in ((), (0,), (7,), (3, 0, 2), (2, 3, 4)):
        for dtype in (np.float32, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_, np.float16):
            values = rng.integers(0, 200, shape).astype(dtype)
            x = genesis.tensor(values)
            np.testing.assert_array_equal(x.numpy(), values)
            np.testing.assert_array_equal(np.asarray(x), values)
            assert x.tolist() == values.tolist()
            assert x.shape == shape
            assert x.numel() == values.size
            assert x.nbytes == values.nbytes


def test_new_tensors_are_of_the_others_type():
    x = genesis.zeros(2, dtype=genesis.float16)
    for y, values in ((x.new_zeros(2, 3), [[0] * 3] * 2), (x.new_ones((2,)), [1, 1]), (x.new_full((2,), 5), [5, 5]),
                      (x.new_tensor([1.5, 2]), [1.5, 2])):
        assert y.dtype is genesis.float16
        assert y.device is x.device
        assert y.tolist() == values
    assert x.new_empty(3, 0).shape == (3, 0)
    assert x.new_zeros(2, dtype=genesis.int64).dtype is genesis.int64
    assert x.new_ones(2, requires_grad=True).requires_grad
    assert genesis.ones(2).type_as(x).dtype is genesis.float16


def test_as_tensor_copies_only_what_has_to_change():
    x = genesis.ones(2, requires_grad=True)
    assert genesis.as_tensor(x) is x
    y = genesis.as_tensor(x, dtype=genesis.float16)
    assert y.dtype is genesis.float16
    assert y.requires_grad
    assert genesis.as_tensor([1, 2]).dtype is genesis.int64
    assert genesis.as_tensor(np.float64(1.5), dtype=genesis.float32).item() == 1.5


def test_logspace_and_scalar_tensor():
    close(genesis.logspace(0, 3, 4), [1, 10, 100, 1000], rtol=1e-6)
    close(genesis.logspace(-1, 1, 3, base=2), [0.5, 1, 2])
    x = genesis.scalar_tensor(3)
    assert x.shape == ()
    assert x.dtype is genesis.float32


def test_questions_about_a_tensor():
    x = genesis.zeros(2, 3, dtype=genesis.bfloat16)
    assert (x.numel(), x.nelement(), x.ndimension(), x.element_size()) == (6, 6, 2, 2)
    assert genesis.numel(x) == 6
    assert genesis.is_floating_point(x)
    assert not genesis.is_floating_point(x.long())
    assert x.is_signed()
    assert not x.to(genesis.uint8).is_signed()
    assert x.is_same_size(x + 1)
    assert not x.is_same_size(x[0])
    assert x.equal(x.clone())
    assert not x.equal(x + 1)
    assert not x.equal(x[0])
    assert genesis.is_nonzero(genesis.tensor([2.0]))
    assert not genesis.tensor(0).is_nonzero()
    with pytest.raises(RuntimeError, match="ambiguous"):
        x.is_nonzero()


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "float32", "float16", "bfloat16", "float64"])
def test_arange_of_whole_numbers(dtype):
    kind = getattr(genesis, dtype)
    if kind is genesis.float64 and not genesis.device().fp64:
        pytest.skip("no float64 on this device")
    for args in ((7,), (2, 9, 3), (5, -6, -2), (3, 3), (0, 130, 1), (10, 12, 10**17)):
        expected = np.array(range(*args), dtype=np.int64)
        if dtype in ("int8", "uint8"):
            expected = expected.astype(dtype)
        found = genesis.arange(*args, dtype=kind)
        assert found.dtype is kind
        assert [float(x) for x in found.tolist()] == [float(x) for x in expected]
    assert genesis.arange(2**40, 2**40 + 3).tolist() == [2**40, 2**40 + 1, 2**40 + 2]
    assert genesis.arange(2**62, 2**62 + 3).tolist() == [2**62, 2**62 + 1, 2**62 + 2]
