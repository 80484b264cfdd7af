"""What cannot be saved is named, with the path to it."""

from __future__ import annotations

import collections
import enum

import numpy as np
import pytest
from checkpoint_builders import round_trip, same, saved

import genesis


class Color(enum.IntEnum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (len, "builtin_function_or_method"),
        (lambda: 0, "function"),
        (object(), "object"),
        ({1}, "set"),
        (bytearray(1), "bytearray"),
        (1j, "complex"),
        (Color.RED, "Color"),
        (Point(1, 2), "Point"),
        (np.array(["a"]), "dtype <U1"),
        (np.array([None]), "dtype object"),
        (np.zeros(1, [("a", "f4")]), "dtype"),
        (np.ma.masked_array([1], [True]), "MaskedArray"),
        (np.str_("a"), "str_"),
        (np.datetime64("2020-01-01"), "datetime64"),
        (genesis.nn.Linear(1, 1), r"Linear; save what its state_dict\(\) returns"),
    ],
)
def test_unsupported_object_is_named_with_its_path(inner, kind):
    with pytest.raises(TypeError, match=r"cannot save obj\['optimizer'\]\[0\]\[3\]: .*" + kind):
        saved({"model": 1, "optimizer": [{3: inner}]})


@pytest.mark.parametrize("key", [(1, 2), 2**63, np.int64(1), Color.RED, frozenset(), genesis.float32])
def test_unsupported_key_is_named_with_its_path(key):
    with pytest.raises(TypeError, match=r"cannot save obj\['a'\]: it has the key"):
        saved({"a": {key: 1}})


def test_object_that_contains_itself_is_refused():
    inner = {}
    inner["x"] = [inner]
    with pytest.raises(ValueError, match=r"obj\['a'\]\['x'\]\[0\]: it contains itself"):
        saved({"a": inner})


def test_depth_is_limited_alike_on_both_sides():
    def nested(depth, wrap):
        obj = 1.5
        for _ in range(depth):
            obj = wrap(obj)
        return obj

    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {1: x}):
        assert same(nested(100, wrap), round_trip(nested(100, wrap)))
        with pytest.raises(ValueError, match="nested more than 100"):
            saved(nested(101, wrap))
        with pytest.raises(ValueError, match="nested more than 100"):
            saved(nested(100_000, wrap))


def test_too_much_beside_tensors_is_refused(monkeypatch):
    monkeypatch.setattr("genesis.serialization.container.MAX_HEADER", 1000)
    with pytest.raises(ValueError, match="into arrays"):
        saved(list(range(1000)))
