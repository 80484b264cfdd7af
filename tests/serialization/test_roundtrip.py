"""What is saved is what is loaded."""

from __future__ import annotations

import collections
import io
import math
import random
import weakref

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from checkpoint_builders import load, round_trip, same, saved
from hypothesis import given, settings
from hypothesis import strategies as st

import genesis
from genesis.serialization import hooks


@pytest.mark.parametrize("dtype", genesis.dtypes.ALL, ids=repr)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 3), (33, 5)], ids=str)
def test_tensor_keeps_every_bit(dtype, shape):
    if dtype is genesis.float64 and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    raw = np.random.default_rng(0).integers(0, 256, math.prod(shape) * dtype.itemsize, np.uint8)
    if dtype is genesis.bool:
        raw &= 1
    tensor = genesis.tensor(raw.view(dtype.numpy).reshape(shape))
    assert same(tensor, round_trip(tensor))
    assert same({"a": [tensor]}, round_trip({"a": [tensor]}))


PLAIN = [
    None,
    True,
    0,
    -1,
    2**63 - 1,
    2**63,
    -(2**63),
    10**5000,
    -(7**1000),
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "å\ud800\0\n\u2028",
    b"",
    bytes(range(256)),
    [],
    (),
    {},
    ((),),
    [[], [()]],
    (1, [2, (3,)]),
    {"$tensor": "x"},
    {"$": 1, "a": 2},
    {"__metadata__": 1},
    {0: "a", "0": "b", 0.5: "c", None: "d", b"0": "e", -(2**62): "f", math.inf: "g"},
    {True: 1, False: {1.5: {}}},
    genesis.float32,
    genesis.bool,
    np.float64(0.1),
    np.float32("nan"),
    np.float16(-0.0),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.complex128(1 - 2j),
    ml_dtypes.bfloat16(1.5),
]


@pytest.mark.parametrize("obj", PLAIN, ids=lambda obj: type(obj).__name__)
def test_plain_object_is_exact(obj):
    for whole in (obj, [obj], {"a": {"b": (obj, obj)}}, {1: obj}):
        assert same(whole, round_trip(whole))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
keys = st.none() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text() | st.binary()
objects = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(objects)
def test_any_plain_object_is_exact(obj):
    assert same(obj, round_trip(obj))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::-2],
        np.array(3, np.uint32),
        np.zeros((0, 2), np.int8),
        np.array([1 + 2j], np.complex64),
        np.array([1.5, np.nan], ml_dtypes.bfloat16),
        np.array([1.5], ml_dtypes.float8_e4m3fn),
        np.array([True, False]),
    ],
    ids=lambda array: array.dtype.name,
)
def test_numpy_array_stays_one(array):
    loaded = round_trip({"a": array, "t": genesis.ones(1)})["a"]
    assert same(np.ascontiguousarray(array).reshape(array.shape), loaded)
    assert loaded.flags.writeable
    assert loaded.flags.owndata or loaded.base.flags.owndata


def test_byte_order_becomes_native():
    loaded = round_trip(np.arange(3, dtype=">i4"))
    assert loaded.dtype == np.int32
    assert loaded.dtype.isnative
    assert loaded.tolist() == [0, 1, 2]


def test_memory_map_becomes_an_array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert same(np.arange(4), round_trip(mapped))


def test_strided_tensor_is_stored_by_value():
    tensor = genesis.tensor(np.arange(12.0, dtype=np.float32).reshape(3, 4))
    loaded = round_trip({"t": tensor.T, "s": tensor[1:, ::2]})
    assert loaded["t"].tolist() == np.arange(12.0).reshape(3, 4).T.tolist()
    assert loaded["s"].tolist() == [[4, 6], [8, 10]]


def test_subclasses_become_plain():
    obj = {
        "o": collections.OrderedDict(a=1),
        "d": collections.defaultdict(list, b=[2]),
        "c": collections.Counter("aab"),
        "s": genesis.ones(2, 3).shape,
    }
    assert same({"o": {"a": 1}, "d": {"b": [2]}, "c": {"a": 2, "b": 1}, "s": (2, 3)}, round_trip(obj))


def test_parameter_becomes_tensor_that_requires_grad():
    parameter = genesis.nn.Parameter(genesis.ones(2))
    loaded = round_trip([parameter, parameter.detach()])
    assert [type(tensor) for tensor in loaded] == [genesis.Tensor] * 2
    assert [tensor.requires_grad for tensor in loaded] == [True, False]
    assert loaded[0].is_leaf


def test_non_leaf_becomes_leaf():
    loaded = round_trip(genesis.ones(2, requires_grad=True) * 3)
    assert (loaded.requires_grad, loaded.is_leaf, loaded.tolist()) == (True, True, [3, 3])


def test_shared_tensor_is_stored_once_and_stays_shared():
    tied, array = genesis.ones(1000), np.ones(1000)
    data = saved({"a": {"w": tied}, "b": [tied, tied.detach()], "x": array, "y": (array,)})
    assert set(safetensors.numpy.load(data)) == {"a.w", "x"}
    loaded = load(data)
    assert loaded["a"]["w"] is loaded["b"][0] is loaded["b"][1]
    assert loaded["x"] is loaded["y"][0]


def test_equal_tensors_stay_apart():
    loaded = round_trip([genesis.ones(2), genesis.ones(2)])
    assert loaded[0] is not loaded[1]


def test_optimizer_state_is_exact():
    rng = np.random.default_rng(0)
    state = {
        "state": {
            i: {"step": genesis.tensor(7.0), "exp_avg": genesis.tensor(rng.random(3, np.float32)), "none": None}
            for i in (0, 1, 10)
        },
        "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "nesterov": False, "params": [0, 1, 10]}],
    }
    generators = {"python": random.Random(3).getstate(), "numpy": np.random.default_rng(3).bit_generator.state}
    loaded = round_trip({"optimizer": state, "rng": generators})
    assert same({"optimizer": state, "rng": generators}, loaded)
    again = random.Random()
    again.setstate(loaded["rng"]["python"])
    assert again.random() == random.Random(3).random()


def test_tensors_are_fetched_one_at_a_time(monkeypatch):
    fetched, alive = [], []
    real = hooks.to_host

    def counted(obj):
        array = real(obj)
        fetched.append(weakref.ref(array))
        alive.append(sum(ref() is not None for ref in fetched))
        return array

    monkeypatch.setattr(hooks, "to_host", counted)
    saved([genesis.full((10,), float(i)) for i in range(20)])
    assert len(alive) == 20
    assert max(alive) <= 2


def test_load_places_tensors_on_the_device():
    for device in genesis.devices():
        loaded = genesis.load(io.BytesIO(saved([genesis.ones(2)])), device=device)
        assert loaded[0].device == device
