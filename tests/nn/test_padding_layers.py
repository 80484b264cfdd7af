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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8", "bool", "int64", "complex64"])
def test_padding_by_a_constant(dtype):
    x = genesis.ones(2, 3, 1, 2, 20).to(getattr(genesis, dtype))
    for sides in ((1, 0), (1, 0, 0, 2, 1, 1), (0, 0, 3, 1, 0, 0, 0, 0, 2, 1)):
        found = genesis.nn.functional.pad(x, sides, value=3).numpy()
        pairs = [(0, 0)] * 5
        pairs[5 - len(sides) // 2:] = list(zip(sides[::2], sides[1::2]))[::-1]
        assert (found == np.pad(x.numpy(), pairs, constant_values=np.array(3).astype(found.dtype))).all()
    assert (genesis.nn.functional.pad(x[..., 1:].transpose(0, 4), (2, 1)).sum() == x[..., 1:].sum()).item()
    assert genesis.nn.functional.pad(x[:0], (1, 1, 0, 0, 0, 0, 0, 0, 1, 0), value=1).shape == (1, 3, 1, 2, 22)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_of_wide_rows_and_other_types(mode):
    def padded(lib, x):
        return lib.nn.functional.pad(x, (19, 1, 0, 2, 1, 1)[:2 * (x.ndim - 2)], mode)

    for shape in ((2, 3, 37), (1, 2, 5, 40), (2, 1, 3, 4, 33)):
        x = normal(*shape).astype(np.float32)
        check_like_torch(padded, x)
        check_like_torch(lambda lib, x: padded(lib, x[..., 1:].transpose(0, 1)), x)
        check_like_torch(lambda lib, x: lib.view_as_real(padded(lib, lib.view_as_complex(x.unsqueeze(-1).expand(
            *x.shape, 2).contiguous()))), x)
    check_like_torch(padded, np.arange(40).reshape(2, 20).astype(np.uint8)[None])
    half = genesis.tensor(normal(2, 30), requires_grad=True, dtype=genesis.bfloat16)
    padded(genesis, half.view(1, 2, 30)).sum().backward()
    assert half.grad.sum().item() == 100

    def cut(lib, x):
        return lib.nn.functional.pad(x, (-2, 3, 2, -1), mode)

    check_like_torch(cut, normal(2, 6, 40).astype(np.float32))
    check_like_torch(lambda lib, x: lib.autograd.grad((cut(lib, x) ** 3).sum(), x, create_graph=True)[0],
                     normal(2, 6, 7).astype(np.float32), atol=1e-4)


def test_inputs_that_do_not_fit_are_told():
    x = genesis.zeros(2, 3, 4, 5)
    with pytest.raises(ValueError, match="CircularPad1d takes an input of 2 or 3 dimensions"):
        nn.CircularPad1d(1)(x)
    with pytest.raises(NotImplementedError, match="pads the last"):
        nn.ReflectionPad1d(1)(x)
    with pytest.raises(RuntimeError, match="more than the 4 elements"):
        nn.ReflectionPad2d(5)(x)
    assert nn.ConstantPad1d(1, 3.0)(x).shape == (2, 3, 4, 7)      # any number of dimensions
