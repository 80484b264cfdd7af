"""Our files in the hands of the safetensors library, and its files in ours."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from checkpoint_builders import container, load, same, saved

import genesis


def test_names_follow_the_path():
    tensors = [genesis.tensor(float(i)) for i in range(6)]
    obj = {
        "model": {"fc.weight": tensors[0], "fc.bias": tensors[1]},
        "optimizer": {"state": {0: {"exp_avg": tensors[2]}}},
        "list": [tensors[3], (tensors[4], np.float32([5.0]))],
    }
    stored = safetensors.numpy.load(saved(obj))
    assert {name: array.item() for name, array in stored.items()} == {
        "model.fc.weight": 0,
        "model.fc.bias": 1,
        "optimizer.state.0.exp_avg": 2,
        "list.0": 3,
        "list.1.0": 4,
        "list.1.1": 5,
    }


def test_clashing_names_are_told_apart():
    values = [genesis.tensor(float(i)) for i in range(8)]
    obj = {
        "a": {"b": values[0], "b#2": values[1]},
        "a.b": values[2],
        1: values[3],
        "1": values[4],
        "__metadata__": values[5],
        "": values[6],
        "\ud800": values[7],
    }
    data = saved(obj)
    assert same(obj, load(data))
    assert len(safetensors.numpy.load(data)) == 8


def test_flat_dict_is_a_plain_safetensors_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    state = {"b.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1, 2]), "c": np.float16([[3]])}
    genesis.save({name: genesis.tensor(array) for name, array in state.items()}, path)
    stored = safetensors.numpy.load_file(path)
    assert stored.keys() == state.keys()
    assert all(same(state[name], np.array(stored[name])) for name in state)
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata()["format"] == "pt"  # some readers refuse a file that does not say so
    assert list(genesis.load(path)) == list(state)  # in the order of saving


def test_elements_are_aligned():
    obj = {"a": np.ones(3, np.uint8), "b": np.ones(3), "c": np.ones(3, np.float16), "d": np.ones(1, bool)}
    data = saved(obj)
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert all(header[name]["data_offsets"][0] % array.itemsize == 0 for name, array in obj.items())


def test_safetensors_of_other_tools_load(tmp_path):
    path = tmp_path / "other.safetensors"
    state = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3),
        "h": np.float16([1.5]),
        "i": np.int64([-5]),
        "u": np.uint8([200]),
        "b": np.array([True, False]),
        "e": np.zeros((0, 2), np.int32),
    }
    safetensors.numpy.save_file(state, path, metadata={"format": "np", "author": "someone"})
    loaded = genesis.load(path)
    assert loaded.keys() == state.keys()
    assert all(same(genesis.tensor(state[name]), loaded[name]) for name in state)
    safetensors.numpy.save_file({}, path)
    assert genesis.load(path) == {}


@pytest.mark.parametrize(
    ("dtype", "wider"),
    [
        (np.uint16, genesis.int32),
        (np.uint32, genesis.int64),
        (np.uint64, genesis.int64),
    ],
)
def test_integers_genesis_has_not_become_wider(dtype, wider):
    info = np.iinfo(dtype)
    values = [info.min, info.max if dtype is not np.uint64 else 2**63 - 1]
    loaded = load(safetensors.numpy.save({"a": np.array(values, dtype)}))["a"]
    assert (loaded.dtype, loaded.tolist()) == (wider, values)


def test_float8_becomes_float32():
    raw = np.arange(256, dtype=np.uint8)
    header = {"a": {"dtype": "F8_E5M2", "shape": [256], "data_offsets": [0, 256]}}
    loaded = load(container(header, raw.tobytes()))["a"]
    assert loaded.dtype is genesis.float32
    np.testing.assert_array_equal(loaded.numpy(), raw.view(ml_dtypes.float8_e5m2).astype(np.float32))


def test_what_no_tensor_can_hold_is_refused():
    assert load(safetensors.numpy.save({"a": np.full(2, 1j, np.complex64)}))["a"].tolist() == [1j, 1j]
    with pytest.raises(genesis.CheckpointError, match="beyond int64"):
        load(safetensors.numpy.save({"a": np.array([2**63], np.uint64)}))
