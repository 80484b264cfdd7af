"""From samples to batches."""

import collections
import types

import numpy as np
import pytest

import genesis
from genesis.data import default_collate, default_convert
from genesis.data.collate import to_tensors

Point = collections.namedtuple("Point", "x y")


class Registry(dict):
    """A dict that knows something besides its items."""


def plain(value):
    """The same structure with (dtype, values) for tensors of either library."""
    if hasattr(value, "detach"):
        return ("tensor", str(value.dtype).rpartition(".")[2], value.tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else value


SAME_AS_TORCH = {
    "ints": [1, 2, 3],
    "bools": [True, False],
    "strings": ["a", "b"],
    "bytes": [b"a", b"b"],
    "arrays": [np.arange(3.0, dtype=np.float32), np.ones(3, dtype=np.float32)],
    "0-d arrays": [np.array(1), np.array(2)],
    "numpy scalars": [np.int32(4), np.int32(5)],
    "numpy bools": [np.bool_(True), np.bool_(False)],
    "uint8": [np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)],
    "int8": [np.zeros(2, np.int8), np.ones(2, np.int8)],
    "tuples": [(1, "a"), (2, "b")],
    "lists": [[1, 2], [3, 4]],
    "named tuples": [Point(1, np.zeros(2, np.float32)), Point(2, np.ones(2, np.float32))],
    "dicts": [{"x": 1, "y": "a"}, {"y": "b", "x": 2}],
    "nested": [{"p": Point((1, 2), ["a"]), "q": [{"r": 1}]}, {"p": Point((3, 4), ["b"]), "q": [{"r": 2}]}],
    "one": [(1, 2)],
    "empty tuples": [(), ()],
    "arrays without elements": [np.zeros((0, 3), np.float32)] * 2,
}
if genesis.device().fp64:
    SAME_AS_TORCH["float64 arrays"] = [np.arange(3.0), np.ones(3)]
    SAME_AS_TORCH["numpy floats"] = [np.float64(0.5), np.float64(1.5)]


@pytest.mark.parametrize("batch", SAME_AS_TORCH.values(), ids=SAME_AS_TORCH)
def test_collate_matches_torch(batch):
    torch_data = pytest.importorskip("torch.utils.data")
    assert plain(default_collate(batch)) == plain(torch_data.default_collate(batch))


CONVERTED = {
    "int": 1,
    "float": 1.5,
    "string": "a",
    "none": None,
    "array": np.arange(3),
    "numpy scalar": np.float32(2),
    "tuple": (np.arange(2), "a"),
    "list": [np.arange(2), 3],
    "named tuple": Point(np.arange(2), 0),
    "dict": {"a": np.arange(2), "b": (1, np.arange(1))},
    "string array": np.str_("a"),
}


@pytest.mark.parametrize("sample", CONVERTED.values(), ids=CONVERTED)
def test_convert_matches_torch(sample):
    torch_data = pytest.importorskip("torch.utils.data")
    assert plain(default_convert(sample)) == plain(torch_data.default_convert(sample))


def test_python_floats_become_float32():
    assert plain(default_collate([0.5, 1.5])) == ("tensor", "float32", [0.5, 1.5])
    assert plain(default_collate([1, 0.5])) == ("tensor", "float32", [1.0, 0.5])
    assert plain(default_collate([True, 2])) == ("tensor", "int64", [1, 2])


def test_tensors_are_stacked():
    batch = default_collate([genesis.tensor([1, 2]), genesis.tensor([3, 4])])
    assert isinstance(batch, genesis.Tensor)
    assert batch.tolist() == [[1, 2], [3, 4]]


def test_float16_and_bfloat16_arrays_keep_their_type():
    import ml_dtypes

    for dtype in (np.float16, ml_dtypes.bfloat16):
        batch = default_collate([np.ones(2, dtype), np.zeros(2, dtype)])
        assert plain(batch) == ("tensor", np.dtype(dtype).name, [[1.0, 1.0], [0.0, 0.0]])


def test_a_batch_does_not_alias_its_samples():
    samples = [np.zeros(3, np.float32), np.zeros(3, np.float32)]
    batch = default_collate(samples)
    samples[0][:] = 7
    assert batch.tolist() == [[0.0] * 3] * 2


def test_a_dict_subclass_keeps_what_it_knows():
    samples = [Registry(x=1), Registry(x=2)]
    samples[0].name = "first"
    batch = default_collate(samples)
    assert (type(batch), batch.name, batch["x"].tolist()) == (Registry, "first", [1, 2])
    assert samples[0]["x"] == 1


def test_a_mapping_that_cannot_be_filled_becomes_a_dict():
    batch = default_collate([types.MappingProxyType({"x": 1}), types.MappingProxyType({"x": 2})])
    assert batch["x"].tolist() == [1, 2]


@pytest.mark.parametrize("tensors", [False, True])
def test_unequal_shapes_are_named_with_their_place(tensors):
    make = genesis.from_numpy if tensors else lambda array: array
    batch = [{"a": (0, make(np.zeros((2, 3), np.float32)))}, {"a": (0, make(np.zeros((2, 4), np.float32)))}]
    with pytest.raises(RuntimeError, match=r"sample\['a'\]\[1\].*shape \(2, 3\), sample 1 has shape \(2, 4\)"):
        default_collate(batch)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "empty batch"),
        ([None, None], TypeError, "NoneType"),
        ([1, None], TypeError, "sample 1 is None"),
        ([1, "a"], TypeError, "sample 1 is 'a'"),
        ([np.zeros(2), [0, 0]], TypeError, r"sample 1 is \[0, 0\]"),
        ([(1, 2), (1,)], RuntimeError, "sample 0 has 2 elements, sample 1 has 1"),
        ([[1], 3], RuntimeError, "sample 1 is 3"),
        ([{"x": 1}, {"y": 1}], KeyError, "keys"),
        ([{"x": 1}, 4], KeyError, "sample 1 is 4"),
        ([np.array(["a"]), np.array(["b"])], TypeError, "<U1"),
        ([np.array([None])], TypeError, "object"),
        ([np.zeros(2, np.uint16)], TypeError, "uint16"),
        ([np.complex64(1)], TypeError, "complex64"),
        ([2**70, 1], TypeError, "int64"),
        ([1j], TypeError, "complex"),
    ],
)
def test_bad_batches_say_what_is_wrong(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)


def test_to_tensors_keeps_structure_and_what_is_no_tensor():
    strings, odd, item = np.array(["a"]), np.zeros(2, np.uint16), object()
    batch = (Point(np.arange(2), strings), [odd, item], {"n": np.float64(3), "t": (np.zeros(1, np.float32),)})
    result = to_tensors(batch)
    assert type(result) is tuple
    assert type(result[0]) is Point
    assert isinstance(result[0].x, genesis.Tensor)
    assert result[0].y is strings
    assert result[1][0] is odd
    assert result[1][1] is item
    assert type(result[2]["n"]) is np.float64
    assert isinstance(result[2]["t"][0], genesis.Tensor)
