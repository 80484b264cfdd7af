"""Padding layers, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, normal

import genesis
from genesis import nn

torch = pytest.importorskip("torch")

SIZES = {1: (5,), 2: (4, 5), 3: (3, 4, 5)}
PADDINGS = {1: (1, (2, 1)), 2: (1, (2, 1, 0, 3)), 3: (1, (2, 1, 0, 3, 1, 2))}
KINDS = ["ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_layers(kind, n):
    name, options = f"{kind}{n}d", (2.5,) if kind == "ConstantPad" else ()
    for padding in PADDINGS[n]:
        size = tuple(max(m, 4) for m in SIZES[n])
        for lead in ((2, 3), (3,)):
            check_like_torch(lambda lib, x, p=padding: getattr(lib.nn, name)(p, *options)(x),
                             normal(*lead, *size).astype(np.float32))
        assert repr(getattr(nn, name)(padding, *options)) == repr(getattr(torch.nn, name)(padding, *options))


@pytest.mark.parametrize("kind", ["ConstantPad", "ZeroPad", "ReplicationPad", "CircularPad"])
def test_negative_padding_cuts_off(kind):
    options = (2.5,) if kind == "ConstantPad" else ()
    check_like_torch(lambda lib, x: getattr(lib.nn, f"{kind}2d")((1, -2, -1, 2), *options)(x),
                     normal(2, 3, 4, 5).astype(np.float32))


def test_inputs_that_do_not_fit_are_told():
    x = genesis.zeros(2, 3, 4, 5)
    with pytest.raises(ValueError, match="CircularPad1d takes an input of 2 or 3 dimensions"):
        nn.CircularPad1d(1)(x)
    with pytest.raises(NotImplementedError, match="pads the last"):
        nn.ReflectionPad1d(1)(x)
    with pytest.raises(RuntimeError, match="more than the 4 elements"):
        nn.ReflectionPad2d(5)(x)
    assert nn.ConstantPad1d(1, 3.0)(x).shape == (2, 3, 4, 7)      # any number of dimensions
